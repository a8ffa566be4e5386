/**
 * MemoryFiles: Files over a `MemoryDisk`: what one program does there. Its fault model is the disk's (see there).
 *
 * Everything happens at once, in the fiber that asks, and takes no time; times come from Effect's Clock. Several
 * programs work on one disk, each with its own `make` or `layer`.
 *
 * Invariant: the disk changes by the same calls, in the same order, as `NodeFiles` makes system calls. Where an
 * operation takes several, `point` is run before each of them, so that a laboratory can let others run there, as they
 * would between two system calls, or stop for ever, as a killed program does. Once begun, an operation is not
 * interrupted.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  type ChildStat,
  Files,
  FilesError,
  type FileStat,
  fromErrno,
  type PathStat,
  type ReadHandle
} from "../platform/Files.ts"
import {
  createSteps,
  directorySteps,
  joined,
  replaceSteps,
  type Steps,
  temporaryNameOf,
  usualDirectoryMode
} from "./disk/fileSteps.ts"
import { fail, type Inode, sizeOf, SystemError } from "./disk/Inode.ts"
import type { MemoryDisk, OpenFile } from "./MemoryDisk.ts"

/**
 * Runs before each system call. `step` is 0 before an operation begins, and counts on within one that takes several
 * calls; the label names operation, path, and within an operation the call.
 */
export type FilesPoint = (label: string, step: number) => Effect.Effect<void>

export interface MemoryFilesOptions {
  readonly point?: FilesPoint
  /** Its name, for names of temporary files that do not depend on what other programs do. */
  readonly program?: string
  /** How many files may be open for reading at once. Default: any number. */
  readonly openFilesMax?: number
}

const secondsOf = (millis: number): number => Math.floor(millis / 1000)

const describe = (inode: Inode): FileStat => ({
  kind: inode.kind,
  sizeBytes: sizeOf(inode),
  mtimeSeconds: secondsOf(inode.mtimeMillis),
  atimeSeconds: secondsOf(inode.atimeMillis),
  inode: BigInt(inode.number),
  mode: inode.mode
})

const describeChild = ([name, inode]: readonly [string, Inode]): ChildStat => ({
  name,
  kind: inode.kind,
  sizeBytes: sizeOf(inode),
  mtimeSeconds: secondsOf(inode.mtimeMillis),
  atimeSeconds: secondsOf(inode.atimeMillis)
})

/** What a disk refuses is the operation's failure; anything else is a defect. */
const lift = (operation: string, target: string, error: unknown): Effect.Effect<never, FilesError> => {
  if (error instanceof SystemError) return Effect.fail(fromErrno(operation, target, error))
  return error instanceof FilesError ? Effect.fail(error) : Effect.die(error)
}

const call = <A>(
  operation: string,
  target: string,
  run: (nowMillis: number) => A
): Effect.Effect<A, FilesError> =>
  Effect.clockWith((clock) => {
    try {
      return Effect.succeed(run(clock.currentTimeMillisUnsafe()))
    } catch (error) {
      return lift(operation, target, error)
    }
  })

/** Cleaning is a system call as well; what it cannot remove stays. */
const cleanNow = (clean: () => void): void => {
  try {
    clean()
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
  }
}

/** All steps at once: nobody looks between them. */
const runAtOnce = (operation: string, target: string, make: () => Steps): Effect.Effect<void, FilesError> =>
  call(operation, target, (now) => {
    const { steps, cleaning } = make()
    try {
      for (const step of steps) step.run(now)
    } catch (error) {
      const clean = cleaning?.(now)
      if (clean !== undefined) cleanNow(clean)
      throw error
    }
  })

const runStepwise = (
  operation: string,
  target: string,
  make: () => Steps,
  pointAt: (step: string, index: number) => Effect.Effect<void>
): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    const { steps, cleaning } = make()
    for (const [index, { name, run }] of steps.entries()) {
      if (index > 0) yield* pointAt(name, index)
      yield* call(operation, target, run).pipe(
        Effect.tapError(() =>
          Effect.clockWith((clock) => {
            const clean = cleaning?.(clock.currentTimeMillisUnsafe())
            if (clean === undefined) return Effect.void
            return Effect.andThen(
              pointAt("remove", index + 1),
              Effect.sync(() => cleanNow(clean))
            )
          })
        )
      )
    }
  }).pipe(Effect.uninterruptible)

/** Files held open by one program. */
const makeHandles = (disk: MemoryDisk, openFilesMax: number) => {
  let openFiles = 0

  const open = (target: string): OpenFile => {
    const file = disk.open(target)
    if (openFiles >= openFilesMax) fail("EMFILE")
    openFiles += 1
    return file
  }

  const handleOf = (target: string, file: OpenFile, begin: Begin) => {
    let isOpen = true
    const handle: ReadHandle = {
      sizeBytes: sizeOf(file.inode),
      readAt: (offset, buffer) =>
        begin(
          "readAt",
          target,
          call("read", target, (now) => {
            if (!isOpen) fail("EBADF")
            const found = disk.read(file, now).subarray(offset, offset + buffer.length)
            buffer.set(found)
            return found.length
          })
        )
    }
    const close = (): void => {
      isOpen = false
      openFiles -= 1
    }
    return { handle, close }
  }

  return { open, handleOf }
}

const readWhole = (disk: MemoryDisk, target: string, maxSizeBytes: number, now: number): Uint8Array => {
  const file = disk.open(target)
  if (file.inode.kind === "file" && sizeOf(file.inode) > maxSizeBytes) {
    throw new FilesError({ operation: "read", path: target, reason: "TooLarge" })
  }
  return disk.read(file, now).slice()
}

const statPath = (disk: MemoryDisk, target: string): PathStat | undefined => {
  try {
    const inode = disk.stat(target)
    return { kind: inode.kind, sizeBytes: sizeOf(inode) }
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return undefined
    throw error
  }
}

/** Runs the point before an operation; interrupted there, the operation does not happen. */
type Begin = <A, E, R>(
  operation: keyof Files["Service"] | "readAt",
  target: string,
  effect: Effect.Effect<A, E, R>
) => Effect.Effect<A, E, R>

type Service = Files["Service"]

const makeLooking = (disk: MemoryDisk, begin: Begin, openFilesMax: number) => {
  const { open, handleOf } = makeHandles(disk, openFilesMax)
  return {
    stat: (target) =>
      begin(
        "stat",
        target,
        call("stat", target, () => describe(disk.stat(target)))
      ),
    readFile: (target, maxSizeBytes) =>
      begin(
        "readFile",
        target,
        call("read", target, (now) => readWhole(disk, target, maxSizeBytes, now))
      ),
    readDirectory: (target) =>
      begin(
        "readDirectory",
        target,
        call("list", target, (now) => disk.list(target, now).map(([name, { kind }]) => ({ name, kind })))
      ),
    statDirectory: (target) =>
      begin(
        "statDirectory",
        target,
        call("list", target, (now) => disk.list(target, now).map(describeChild))
      ),
    statEach: (targets) =>
      begin(
        "statEach",
        targets[0] ?? "",
        Effect.forEach(targets, (target) => call("stat", target, () => statPath(disk, target)))
      ),
    openRead: (target) =>
      begin(
        "openRead",
        target,
        Effect.acquireRelease(
          call("open", target, () => handleOf(target, open(target), begin)),
          ({ close }) => Effect.sync(close)
        ).pipe(Effect.map(({ handle }) => handle))
      ),
    statFileSystem: (target) =>
      begin(
        "statFileSystem",
        target,
        call("stat", target, () => {
          disk.open(target)
          const availableBytes = Math.max(0, disk.capacityBytes - disk.usedBytes)
          return { totalBytes: disk.capacityBytes, availableBytes }
        })
      )
  } satisfies Partial<Service>
}

/** What changes the disk by one system call. */
const makeChanging = (disk: MemoryDisk, begin: Begin) => {
  const one =
    <A>(operation: keyof Service, told: string, run: (target: string, nowMillis: number) => A) =>
    (target: string): Effect.Effect<A, FilesError> =>
      begin(
        operation,
        target,
        call(told, target, (now) => run(target, now))
      )
  return {
    makeDirectory: (target, mode) =>
      one("makeDirectory", "create directory", (path, now) =>
        disk.makeDirectory(path, mode ?? usualDirectoryMode, now)
      )(target),
    rename: (from, to) => one("rename", "rename", (path, now) => disk.rename(path, to, now))(from),
    unlink: one("unlink", "remove", (path, now) => disk.unlink(path, now)),
    removeDirectory: one("removeDirectory", "remove directory", (path, now) =>
      disk.removeDirectory(path, now)
    ),
    touch: one("touch", "touch", (path, now) => disk.touch(path, now)),
    syncDirectory: one("syncDirectory", "sync", (path) => disk.syncDirectory(path)),
    syncFileSystem: one("syncFileSystem", "sync", (path) => {
      disk.open(path)
      disk.syncAll()
    })
  } satisfies Partial<Service>
}

/** One program's Files. */
export const make = (disk: MemoryDisk, options: MemoryFilesOptions = {}): Service => {
  const { point, program, openFilesMax = Number.POSITIVE_INFINITY } = options
  const begin: Begin =
    point === undefined
      ? (_operation, _target, effect) => effect
      : (operation, target, effect) => Effect.andThen(point(`${operation} ${target}`, 0), effect)

  const several = (operation: keyof Service, told: string, target: string, steps: () => Steps) =>
    begin(
      operation,
      target,
      point === undefined
        ? runAtOnce(told, target, steps)
        : runStepwise(told, target, steps, (step, index) => point(`${operation} ${target}: ${step}`, index))
    )

  return {
    ...makeLooking(disk, begin, openFilesMax),
    ...makeChanging(disk, begin),
    makeDirectories: (parent, names, mode) =>
      several("makeDirectories", "create directories in", parent, () =>
        directorySteps(disk, parent, names, mode)
      ),
    createFile: (target, content, writing = {}) =>
      several("createFile", "create", target, () => createSteps(disk, target, content, writing)),
    replaceFile: (target, parts, writing = {}) =>
      several("replaceFile", "write", target, () =>
        replaceSteps(disk, target, joined(parts), { ...writing, program })
      ),
    temporaryName: (target) => Effect.sync(() => temporaryNameOf(disk, target, program))
  }
}

export const layer = (disk: MemoryDisk, options: MemoryFilesOptions = {}): Layer.Layer<Files> =>
  Layer.succeed(Files, make(disk, options))
