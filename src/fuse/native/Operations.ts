/**
 * Operations: answers what `fuse-native` asks from the tree.
 *
 * Invariants: every request gets one answer, and nothing is ever thrown into the package, for that would end the
 * process. What the package has no way to say is not said wrongly if that can do harm: names that are not UTF-8 are
 * left out, link targets that are not cannot be read.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Attributes, Inode, Statistics, Vfs } from "../../vfs/Vfs.ts"
import { type VfsError, vfsError } from "../../vfs/VfsError.ts"
import type * as Faults from "../kernel/Faults.ts"
import { Errno } from "../protocol/Errno.ts"
import { Opcode } from "../protocol/Opcode.ts"
import { InodeNumbers } from "./InodeNumbers.ts"
import type { NativeOperations, NativeStat } from "./NativeModule.ts"
import { Paths } from "./Paths.ts"

export interface Operations {
  readonly native: NativeOperations
  /** Ends what is under way; everybody who waits is answered. */
  readonly interruptAll: Effect.Effect<void>
}

const blockBytes = 4096
const countMax = 2 ** 32

/** As Linux packs them into 32 bits. */
const deviceOf = ({ device }: Attributes): number => {
  if (device === undefined) return 0
  const { major, minor } = device
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0
}

/** Before 1970 there is no time; parts of milliseconds are cut off. */
const millisOf = ({ mtimeNanos, mtimeSeconds }: Attributes): number =>
  Math.max(0, mtimeSeconds * 1000 + Math.floor(mtimeNanos / 1_000_000))

const statOf = (attributes: Attributes, numbers: InodeNumbers): NativeStat => {
  const time = millisOf(attributes)
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.sizeBytes,
    nlink: attributes.linkCount,
    ino: numbers.numberOf(attributes),
    rdev: deviceOf(attributes),
    blksize: blockBytes,
    blocks: attributes.blocks,
    atime: time,
    mtime: time,
    ctime: time
  }
}

/** In blocks so large that their count has room. */
const statisticsOf = ({ availableBytes, longestNameBytes, totalBytes }: Statistics) => {
  let size = blockBytes
  while (totalBytes / size >= countMax) size *= 2
  const available = Math.floor(availableBytes / size)
  return {
    bsize: size,
    frsize: size,
    blocks: Math.floor(totalBytes / size),
    bfree: available,
    bavail: available,
    namemax: longestNameBytes
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Undefined when the bytes are not UTF-8. */
const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Into the room of a caller; the length alone when there is none. */
const deliver = (value: Uint8Array, room: Uint8Array): number => {
  if (room.length === 0) return value.length
  if (value.length > room.length) return -Errno.ERANGE
  room.set(value)
  return value.length
}

const terminated = (names: ReadonlyArray<Uint8Array>): Uint8Array =>
  Buffer.concat(names.flatMap((name) => [name, Buffer.of(0)]))

export interface OperationsOptions {
  readonly tree: Vfs["Service"]
  readonly faults: Faults.Faults
  readonly context: Context.Context<never>
}

type Runner = <A>(
  opcode: number,
  effect: Effect.Effect<A, VfsError>,
  succeed: (value: A) => void,
  fail: (errno: number) => void
) => void

interface Running {
  readonly run: Runner
  readonly interruptAll: Effect.Effect<void>
}

const makeRunning = ({ context, faults }: OperationsOptions): Running => {
  const fork = Effect.runForkWith(context)
  const fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  const run: Runner = (opcode, effect, succeed, fail) => {
    const finish = (exit: Exit.Exit<Parameters<typeof succeed>[0], VfsError>): void => {
      if (Exit.isFailure(exit)) return fail(-faults.errnoOf(opcode, exit.cause))
      try {
        succeed(exit.value)
      } catch (defect) {
        faults.defect(opcode, defect)
        fail(-Errno.EIO)
      }
    }
    const fiber = fork(effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return finish(exit)
    fibers.add(fiber)
    fiber.addObserver((late) => {
      fibers.delete(fiber)
      finish(late)
    })
  }
  return { run, interruptAll: Effect.suspend(() => Fiber.interruptAll([...fibers])) }
}

/** The names and attributes of a directory, its own two among them. */
const listDirectory = (tree: Vfs["Service"], inode: Inode) =>
  Effect.gen(function* () {
    const { entries } = yield* tree.list(inode)
    const [self, above] = [yield* tree.attributes(inode), yield* tree.attributes(yield* tree.parent(inode))]
    const named = entries.flatMap(({ attributes, name }) => {
      const text = textOf(name)
      return text === undefined ? [] : [{ text, attributes }]
    })
    return [{ text: ".", attributes: self }, { text: "..", attributes: above }, ...named]
  })

export const make = (options: OperationsOptions): Operations => {
  const { tree } = options
  const { interruptAll, run } = makeRunning(options)
  const [paths, numbers] = [new Paths(tree), new InodeNumbers()]

  /** What was known by its path may be gone, and another thing be there by now. */
  const at = <A>(
    path: string,
    use: (inode: Inode) => Effect.Effect<A, VfsError>
  ): Effect.Effect<A, VfsError> => {
    const attempt = Effect.suspend(() => Effect.flatMap(paths.find(path), use))
    return Effect.catchIf(
      attempt,
      ({ reason }) => reason === "Gone",
      () =>
        Effect.suspend(() => {
          paths.clear()
          return attempt
        })
    )
  }

  /** Puts the bytes where they are wanted, and answers how many there are. */
  const readInto = (path: string, room: Uint8Array, offset: number, lengthBytes: number) =>
    at(path, (inode) =>
      tree.lend(inode, offset, lengthBytes, (bytes) => {
        if (bytes.length > lengthBytes) throw new Error("the tree has given more than was asked for")
        room.set(bytes)
        return bytes.length
      })
    )

  const native: NativeOperations = {
    getattr: (path, answer) =>
      run(Opcode.attributes, at(path, tree.attributes), (found) => answer(0, statOf(found, numbers)), answer),
    readdir: (path, answer) => {
      const listed = at(path, (inode) => listDirectory(tree, inode))
      const tell = (all: ReadonlyArray<{ readonly text: string; readonly attributes: Attributes }>): void =>
        answer(
          0,
          all.map(({ text }) => text),
          all.map(({ attributes }) => statOf(attributes, numbers))
        )
      run(Opcode.readDirectory, listed, tell, answer)
    },
    readlink: (path, answer) => {
      const target = Effect.flatMap(at(path, tree.readLink), (bytes) => {
        const text = textOf(bytes)
        const reason = "its target is not UTF-8, which fuse-native cannot tell"
        return text === undefined ? Effect.fail(vfsError("Damaged", path, reason)) : Effect.succeed(text)
      })
      run(Opcode.readLink, target, (text) => answer(0, text), answer)
    },
    statfs: (_, answer) =>
      run(Opcode.statistics, tree.statistics, (found) => answer(0, statisticsOf(found)), answer),
    read: (path, _, room, lengthBytes, offset, answer) =>
      run(
        Opcode.read,
        readInto(path, room, offset, lengthBytes),
        // The package takes the first parameter of a read for its result.
        (readBytes) => answer(readBytes),
        answer
      ),
    getxattr: (path, name, room, answer) => {
      const value = at(path, (inode) => tree.xattr(inode, Buffer.from(name)))
      run(Opcode.xattr, value, (bytes) => answer(deliver(bytes, room)), answer)
    },
    listxattr: (path, room, answer) => {
      const names = at(path, tree.xattrNames)
      run(Opcode.xattrNames, names, (all) => answer(deliver(terminated(all), room)), answer)
    }
  }
  return { native, interruptAll }
}
