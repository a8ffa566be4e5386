/**
 * VfsPaths: the tree by paths, for programs that want no mount: list, look, read, walk. In Effect here, and for reading
 * also as what the rest of JavaScript knows (`iterate`, `readable`).
 *
 * A path is text or raw bytes, from the root of the tree; superfluous slashes do not count. Symbolic links are followed
 * as a system would, but never out of the tree: a target that begins with a slash begins at the tree's root, and `..`
 * of the root is the root.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import { splitPath } from "../restore/browse/TreeNode.ts"
import { type Attributes, type Entry, type Inode, Vfs } from "./Vfs.ts"
import { type VfsError, vfsError } from "./VfsError.ts"

/** Text is UTF-8. */
export type VfsPath = string | Uint8Array

export interface FollowOptions {
  /** Whether a symbolic link at the very end stands for what it leads to. Default true. */
  readonly follow?: boolean
}

export interface ReadOptions {
  /** Of the first byte. Default 0. */
  readonly start?: number
  /** Behind the last byte. Default: the end of the file. */
  readonly end?: number
}

export interface SignalOptions {
  readonly signal?: AbortSignal
}

export interface WalkEntry {
  /** Below the directory where the walk began; empty for that one. */
  readonly path: Uint8Array
  readonly attributes: Attributes
}

type Operations = Vfs["Service"]

/** As many as Linux follows. */
const linksMax = 40

const pieceBytes = 1024 * 1024

const batchEntries = 256

const slash = 0x2f

const nothing = new Uint8Array(0)

const bytesOf = (path: VfsPath): Uint8Array => (typeof path === "string" ? Buffer.from(path) : path)

const textOf = (path: VfsPath): string =>
  JSON.stringify(typeof path === "string" ? path : new TextDecoder().decode(path))

const isParent = (name: Uint8Array): boolean => name.length === 2 && name[0] === 0x2e && name[1] === 0x2e

const isFile = ({ kind }: Attributes, path: VfsPath): Effect.Effect<void, VfsError> => {
  if (kind === "file") return Effect.void
  const detail = kind === "directory" ? "it is a directory" : `a ${kind} has no content`
  return Effect.fail(vfsError(kind === "directory" ? "IsADirectory" : "WrongKind", textOf(path), detail))
}

/** Finds what a path leads to. */
const resolve = (
  vfs: Operations,
  path: VfsPath,
  { follow = true }: FollowOptions = {}
): Effect.Effect<Attributes, VfsError> =>
  Effect.gen(function* () {
    let found = vfs.root
    let links = 0
    const pending = splitPath(bytesOf(path)).toReversed()
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (isParent(name)) {
        found = yield* vfs.attributes(yield* vfs.parent(found.inode))
        continue
      }
      const directory = found
      found = yield* vfs.lookup(directory.inode, name)
      if (found.kind !== "symlink" || (pending.length === 0 && !follow)) continue
      if (++links > linksMax) {
        return yield* vfsError(
          "WrongKind",
          textOf(path),
          `it leads over more than ${linksMax} symbolic links`
        )
      }
      const target = yield* vfs.readLink(found.inode)
      found = target[0] === slash ? vfs.root : directory
      pending.push(...splitPath(target).toReversed())
    }
    return found
  })

/** What there is at a path. */
export const stat = (path: VfsPath, options?: FollowOptions): Effect.Effect<Attributes, VfsError, Vfs> =>
  Effect.flatMap(Vfs, (vfs) => resolve(vfs, path, options))

/** Everything in a directory, with attributes. */
export const readdir = (path: VfsPath): Effect.Effect<ReadonlyArray<Entry>, VfsError, Vfs> =>
  Effect.flatMap(Vfs, (vfs) =>
    Effect.flatMap(resolve(vfs, path), ({ inode }) => Effect.map(vfs.list(inode), ({ entries }) => entries))
  )

/** Where a symbolic link leads, as it is stored. */
export const readlink = (path: VfsPath): Effect.Effect<Uint8Array, VfsError, Vfs> =>
  Effect.flatMap(Vfs, (vfs) =>
    Effect.flatMap(resolve(vfs, path, { follow: false }), ({ inode }) => vfs.readLink(inode))
  )

/** Extended attributes by name, each letter of which stands for one byte. */
export const xattrs = (
  path: VfsPath,
  options?: FollowOptions
): Effect.Effect<ReadonlyMap<string, Uint8Array>, VfsError, Vfs> =>
  Effect.gen(function* () {
    const vfs = yield* Vfs
    const { inode } = yield* resolve(vfs, path, options)
    const found = new Map<string, Uint8Array>()
    for (const name of yield* vfs.xattrNames(inode)) {
      found.set(Buffer.from(name).toString("latin1"), yield* vfs.xattr(inode, name))
    }
    return found
  })

/** What to read of which file. */
const openFile = (vfs: Operations, path: VfsPath, { end, start = 0 }: ReadOptions) =>
  Effect.gen(function* () {
    const found = yield* resolve(vfs, path)
    yield* isFile(found, path)
    return { inode: found.inode, start, end: Math.min(end ?? found.sizeBytes, found.sizeBytes) }
  })

/** One piece, in memory of its own. */
const readPiece = (vfs: Operations, inode: Inode, offset: number, end: number) =>
  vfs.lend(inode, offset, Math.min(pieceBytes, end - offset), (bytes) => new Uint8Array(bytes))

/** The bytes of a file, in pieces, fetched ahead. */
export const createReadStream = (
  path: VfsPath,
  options: ReadOptions = {}
): Stream.Stream<Uint8Array, VfsError, Vfs> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const vfs = yield* Vfs
      const { end, inode, start } = yield* openFile(vfs, path, options)
      return Stream.unfold(start, (offset) =>
        offset >= end
          ? Effect.succeed(undefined)
          : Effect.map(readPiece(vfs, inode, offset, end), (piece) =>
              piece.length === 0 ? undefined : ([piece, offset + piece.length] as const)
            )
      )
    })
  )

const joined = (path: Uint8Array, name: Uint8Array): Uint8Array => {
  if (path.length === 0) return name
  const whole = new Uint8Array(path.length + 1 + name.length)
  whole.set(path)
  whole[path.length] = slash
  whole.set(name, path.length + 1)
  return whole
}

/** A directory that the walk is in. */
interface Level {
  readonly path: Uint8Array
  readonly rest: Iterator<Entry>
}

/**
 * What is at the path and everything below it, a directory before what is in it. Below the path symbolic links are
 * told, not followed.
 */
export const walk = (path: VfsPath = ""): Stream.Stream<WalkEntry, VfsError, Vfs> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const vfs = yield* Vfs
      const top = yield* resolve(vfs, path)
      const pending: Array<Level> = []

      const enter = (entry: WalkEntry) =>
        entry.attributes.kind === "directory"
          ? Effect.map(vfs.list(entry.attributes.inode), ({ entries }) => {
              pending.push({ path: entry.path, rest: entries.values() })
            })
          : Effect.void

      const nextBatch = Effect.gen(function* () {
        const batch: Array<WalkEntry> = []
        for (let level = pending.at(-1); level !== undefined; level = pending.at(-1)) {
          if (batch.length >= batchEntries) return [batch, Option.some(false)] as const
          const next = level.rest.next()
          if (next.done === true) {
            pending.pop()
            continue
          }
          const entry = { path: joined(level.path, next.value.name), attributes: next.value.attributes }
          batch.push(entry)
          if (entry.attributes.kind === "directory") yield* enter(entry)
        }
        return [batch, Option.none<boolean>()] as const
      })

      const first = { path: nothing, attributes: top }
      return Stream.paginate<boolean, WalkEntry, VfsError>(true, (isFirst) =>
        isFirst ? Effect.as(enter(first), [[first], Option.some(false)] as const) : nextBatch
      )
    })
  )

/** The bytes of a file for `for await`; an aborted signal, or leaving the loop, ends what was fetched. */
export async function* iterate(
  vfs: Operations,
  path: VfsPath,
  { signal, ...options }: ReadOptions & SignalOptions = {}
): AsyncGenerator<Uint8Array, void, undefined> {
  const running = signal === undefined ? {} : { signal }
  signal?.throwIfAborted()
  try {
    const { end, inode, start } = await Effect.runPromise(openFile(vfs, path, options), running)
    for (let offset = start; offset < end;) {
      // What is at hand is read in one go, which no signal interrupts.
      signal?.throwIfAborted()
      const piece = await Effect.runPromise(readPiece(vfs, inode, offset, end), running)
      if (piece.length === 0) return
      offset += piece.length
      yield piece
    }
  } catch (error) {
    // Of an interruption, the signal knows why.
    signal?.throwIfAborted()
    throw error
  }
}

/** The bytes of a file as a stream of Node's. */
export const readable = (
  vfs: Operations,
  path: VfsPath,
  options: ReadOptions & SignalOptions = {}
): Readable => {
  const { signal } = options
  return Readable.from(iterate(vfs, path, options), {
    objectMode: false,
    ...(signal === undefined ? {} : { signal })
  })
}
