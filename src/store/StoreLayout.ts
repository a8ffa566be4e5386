/**
 * Where things lie in a local datastore (spec: directory layout of Proxmox Backup Server), and making a new one.
 *
 * `.granary.lock` is ours: Proxmox Backup Server ignores names with a leading dot. It holds no data, only byte ranges
 * that processes lock (see `StoreLocks`, `DigestGuards`). Ours are as well `.granary-writers` (leases, see `Writers`),
 * `.granary-moves` (see `MoveJournal`) and `.granary-gc` (who collects garbage, or did so last).
 *
 * The cache folder of a bucket's datastore has besides `.granary-bucket` (whose cache it is, see `bucket/FolderMark`),
 * `.granary-cache` (how much chunk content is there, see `CacheCount`), `.granary-cache-id` and `.granary-generation`
 * (see `bucket/Hosts`), and now and then `.granary-refresh` (metadata on its way from the bucket).
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type * as BackupGroup from "../model/BackupGroup.ts"
import * as Digest from "../model/Digest.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as NamespacePaths from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { type DirectoryEntry, Files, FilesError, isNotFound } from "../platform/Files.ts"
import { storeError, type StoreError } from "./StoreError.ts"

export interface StoreLayout {
  readonly base: string
  /** Locked as a whole by Proxmox Backup Server; byte 1 shared by our writers, byte 0 by our garbage collection. */
  readonly processLock: string
  readonly granaryLock: string
  readonly chunks: string
  readonly gcStatus: string
  readonly writers: string
  readonly moveJournal: string
  readonly collector: string
  readonly cacheCount: string
  readonly cacheId: string
  readonly generation: string
  readonly bucketMark: string
  readonly refresh: string
}

export const layoutOf = (base: string): StoreLayout => ({
  base,
  processLock: path.join(base, ".lock"),
  granaryLock: path.join(base, ".granary.lock"),
  chunks: path.join(base, ".chunks"),
  gcStatus: path.join(base, ".gc-status"),
  writers: path.join(base, ".granary-writers"),
  moveJournal: path.join(base, ".granary-moves"),
  collector: path.join(base, ".granary-gc"),
  cacheCount: path.join(base, ".granary-cache"),
  cacheId: path.join(base, ".granary-cache-id"),
  generation: path.join(base, ".granary-generation"),
  bucketMark: path.join(base, ".granary-bucket"),
  refresh: path.join(base, ".granary-refresh")
})

export const chunkPath = (layout: StoreLayout, digest: Digest.Digest): string =>
  `${layout.chunks}/${Digest.prefix(digest)}/${digest}`

export const namespacePath = (layout: StoreLayout, namespace: Namespace): string =>
  path.join(layout.base, NamespacePaths.toPath(namespace))

export const groupPath = (
  layout: StoreLayout,
  namespace: Namespace,
  group: BackupGroup.BackupGroup
): string => path.join(layout.base, Snapshot.groupPath(namespace, group))

export const snapshotPath = (
  layout: StoreLayout,
  namespace: Namespace,
  snapshot: Snapshot.Snapshot
): string => path.join(layout.base, Snapshot.toPath(namespace, snapshot))

const isMissingFile = (error: unknown): error is FilesError =>
  error instanceof FilesError && isNotFound(error)

/**
 * Writes something into the folder of a chunk; that folder is made when it is not there. A datastore has all of them
 * from its beginning, but programs that copy stores may leave out what is empty. `.chunks` itself is never made: where
 * a disk is not mounted, nothing may be written in its place.
 */
export const inChunkFolder = <A, E = never>(
  files: Files["Service"],
  layout: StoreLayout,
  digest: Digest.Digest,
  write: Effect.Effect<A, E | FilesError>
): Effect.Effect<A, E | FilesError> =>
  Effect.catchIf(write, isMissingFile, (missing) =>
    files.makeDirectory(path.dirname(chunkPath(layout, digest)), 0o750).pipe(
      Effect.andThen(files.syncDirectory(layout.chunks)),
      Effect.catchIf(
        ({ reason }) => reason === "AlreadyExists",
        () => Effect.void
      ),
      Effect.catchIf(isNotFound, () => Effect.fail(missing)),
      Effect.andThen(write)
    )
  )

const prefixCount = 0x1_0000
const prefixesPerBatch = 2048

const prefixNames = (from: number): ReadonlyArray<string> =>
  Array.from({ length: prefixesPerBatch }, (_, index) => (from + index).toString(16).padStart(4, "0"))

/** How far `create` is: chunk folders made, of all. */
export interface CreateProgress {
  readonly done: number
  readonly total: number
}

/**
 * Makes an empty datastore in `base` (made as well when missing): all 65,536 chunk folders up front, as the format
 * wants. Refuses a folder that holds anything already.
 *
 * `.chunks` appears complete or not at all: a datastore that lacks some of its folders would fail one backup in many.
 */
export const create = (
  base: string,
  onProgress?: (progress: CreateProgress) => Effect.Effect<void>
): Effect.Effect<StoreLayout, FilesError | StoreError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const layout = layoutOf(path.resolve(base))
    yield* prepareBase(layout)
    const unfinished = yield* files.temporaryName(layout.chunks)
    yield* files.makeDirectory(unfinished, 0o750)
    for (let from = 0; from < prefixCount; from += prefixesPerBatch) {
      yield* files.makeDirectories(unfinished, prefixNames(from), 0o750)
      if (onProgress !== undefined) yield* onProgress({ done: from + prefixesPerBatch, total: prefixCount })
    }
    yield* files.rename(unfinished, layout.chunks)
    yield* files.createFile(layout.processLock, new Uint8Array(0))
    return layout
  })

const prepareBase = (layout: StoreLayout): Effect.Effect<void, FilesError | StoreError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const entries = yield* files
      .readDirectory(layout.base)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    if (entries === undefined) return yield* files.makeDirectory(layout.base, 0o755)
    if (entries.some(({ name }) => name === ".chunks")) {
      return yield* storeError("AlreadyADatastore", layout.base, "it is a datastore already")
    }
    if (entries.some((entry) => entry.name !== "lost+found" && !isRemains(entry))) {
      return yield* storeError("Refused", layout.base, "the folder is not empty")
    }
    for (const { name } of entries.filter(isRemains)) yield* removeRemains(path.join(layout.base, name))
  })

/** What an interrupted `create` left behind. */
const isRemains = ({ name, kind }: DirectoryEntry): boolean =>
  kind === "directory" && name.startsWith(".chunks.tmp_")

const removeRemains = (target: string): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    for (const { name } of yield* files.readDirectory(target)) {
      yield* files.removeDirectory(path.join(target, name))
    }
    yield* files.removeDirectory(target)
  })

/** Proves that `base` is a datastore and answers its layout. */
export const open = (base: string): Effect.Effect<StoreLayout, FilesError | StoreError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const layout = layoutOf(path.resolve(base))
    const notOne = (detail: string) => storeError("NotADatastore", layout.base, detail)
    const stat = yield* files.stat(layout.chunks).pipe(
      Effect.catchIf(
        (error) => isNotFound(error) || error.reason === "NotADirectory",
        () => Effect.fail(notOne("this is not a datastore (it has no folder .chunks)"))
      )
    )
    if (stat.kind !== "directory") return yield* notOne("this is not a datastore (.chunks is not a folder)")
    return layout
  })
