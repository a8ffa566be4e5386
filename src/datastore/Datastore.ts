/**
 * Datastore: one open store, the entrance to everything in it.
 *
 * It owns the store's locks, guards and worker threads for as long as its scope lives; backups, restores and
 * verifications borrow them. Opening one writes nothing. One in a bucket is opened with its cache folder; without any
 * folder, for reading, `BucketReading` opens it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as BackupGroups from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import { tallied } from "../objectstore/decorators/tallied.ts"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import { Files, type FileSystemStat } from "../platform/Files.ts"
import * as BucketChunks from "../store/bucket/BucketChunks.ts"
import * as BucketPresence from "../store/bucket/BucketPresence.ts"
import * as ChunkCache from "../store/bucket/ChunkCache.ts"
import * as FolderMark from "../store/bucket/FolderMark.ts"
import * as Hosts from "../store/bucket/Hosts.ts"
import * as Mirror from "../store/bucket/Mirror.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import * as UploadRecords from "../store/bucket/UploadRecords.ts"
import * as ChunkPresence from "../store/ChunkPresence.ts"
import * as ChunkStore from "../store/ChunkStore.ts"
import * as DigestGuards from "../store/DigestGuards.ts"
import * as Hierarchy from "../store/Hierarchy.ts"
import * as MoveJournal from "../store/MoveJournal.ts"
import * as SnapshotFiles from "../store/SnapshotFiles.ts"
import type { StoreError } from "../store/StoreError.ts"
import * as StoreLayout from "../store/StoreLayout.ts"
import * as StoreLocks from "../store/StoreLocks.ts"
import * as Writers from "../store/Writers.ts"
import type { StorageError } from "../store/StorageError.ts"
import * as StoreChanges from "./StoreChanges.ts"

export { groupLockName, snapshotLockName } from "./lockNames.ts"

export interface DatastoreOptions {
  /** The folder; of a store in a bucket, its cache folder. */
  readonly path: string
  /** Default `filesystem`, as PBS: everything is flushed once, before a backup counts as finished. */
  readonly syncLevel?: ChunkStore.SyncLevel
  /** The bucket that holds the store; without one the folder does. */
  readonly bucket?: StoreBucket
  /** How much chunk content the cache folder keeps. Default: what the file system has room for. */
  readonly maxCacheBytes?: number
  /** `bypass`: chunks that are read or stored leave no content in the cache folder. Default `use`. */
  readonly cache?: "use" | "bypass"
}

/** What an open datastore needs of the machine. */
export type DatastoreRequirements = Files | FileLocks | ChunkCodec

export class Datastore extends Context.Service<
  Datastore,
  {
    readonly layout: StoreLayout.StoreLayout
    /** The bucket that holds the store; undefined when the folder does. */
    readonly bucket: StoreBucket | undefined
    /** A network lies between: what cannot be read may be sound all the same. */
    readonly isDistant: boolean
    /** What this host has uploaded into the bucket; undefined without one. */
    readonly records: UploadRecords.UploadRecords | undefined
    /** How this host keeps out of other hosts' way in the bucket; undefined when the folder is the store. */
    readonly hosts: Hosts.Hosts | undefined
    /** Of the chunks: whoever changes or removes one holds its digest's guard. */
    readonly guards: DigestGuards.DigestGuards["Service"]
    readonly chunks: ChunkStore.ChunkStore["Service"]
    readonly presence: ChunkPresence.ChunkPresence["Service"]
    readonly hierarchy: Hierarchy.Hierarchy["Service"]
    readonly snapshotFiles: SnapshotFiles.SnapshotFiles["Service"]
    readonly locks: StoreLocks.StoreLocks["Service"]
    /** Who writes into the store, in all processes. Whoever wants to write registers here first. */
    readonly writers: Writers.Writers["Service"]
    /** Which groups were moved, for a garbage collection that is under way. */
    readonly moves: MoveJournal.MoveJournal
    /** Of the file system that holds the store; undefined when a bucket does, which has no end. */
    readonly space: Effect.Effect<FileSystemStat | undefined, StorageError>
    /** Makes everything written so far survive a power loss, as the sync level asks. */
    readonly flush: Effect.Effect<void, StorageError>
    /**
     * Removes a snapshot for good, under its locks; refuses a protected one. Its chunks stay until they are collected.
     */
    readonly forget: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot
    ) => Effect.Effect<void, StorageError | StoreError>
    /**
     * Moves a group with all its snapshots into another namespace, which must exist. Refuses when that has a group of
     * this name; fails with `Busy` while a backup is made into the group or one of its snapshots is read.
     */
    readonly moveGroup: (
      from: Namespace,
      group: BackupGroups.BackupGroup,
      to: Namespace
    ) => Effect.Effect<void, StorageError | StoreError>
  }
>()("granary/datastore/Datastore") {}

/** How a store keeps what it is given through a power loss. */
interface Durability {
  /** Chunks are flushed late, so that a power loss leaves doubts. */
  readonly flushesLate: boolean
  /** The files of snapshots are flushed one by one. */
  readonly syncsFiles: boolean
  readonly syncsFolders: boolean
}

/**
 * In a bucket everything is durable once it is put. The folder has to agree with it after a power loss: so files and
 * folders of snapshots are flushed one by one there, which are few; chunks are not flushed at all, since a torn one is
 * fetched again.
 */
const durabilityOf = (syncLevel: ChunkStore.SyncLevel, isInBucket: boolean): Durability => ({
  flushesLate: syncLevel === "filesystem" && !isInBucket,
  syncsFiles: syncLevel !== "none",
  syncsFolders: isInBucket ? syncLevel !== "none" : syncLevel === "file"
})

interface ChunkParts {
  readonly layout: StoreLayout.StoreLayout
  readonly guards: DigestGuards.DigestGuards["Service"]
  readonly syncLevel: ChunkStore.SyncLevel
}

const chunksInFolder = (parts: ChunkParts, writers: Writers.Writers["Service"]) =>
  Effect.gen(function* () {
    const { guards, layout, syncLevel } = parts
    const doubts = yield* writers.doubts
    return yield* ChunkStore.make(layout, { syncLevel, doubts, guards })
  })

/** What a store in a bucket has besides. */
const bucketParts = (
  bucket: StoreBucket,
  { guards, layout }: ChunkParts,
  locks: StoreLocks.StoreLocks["Service"]
) =>
  Effect.gen(function* () {
    const hosts = yield* Hosts.make(layout, bucket, guards)
    const records = yield* UploadRecords.make(layout, locks)
    return { bucket, hosts, records, mirror: Mirror.make(bucket) }
  })

const chunksInBucket = (
  { guards, layout, syncLevel }: ChunkParts,
  { bucket, hosts, records }: Effect.Success<ReturnType<typeof bucketParts>>,
  { cache = "use", maxCacheBytes }: DatastoreOptions
) =>
  Effect.gen(function* () {
    const maxBytes = maxCacheBytes ?? (yield* ChunkCache.defaultBound(layout))
    const content = yield* ChunkCache.make(layout, guards, { maxBytes })
    const { condemning } = hosts
    return yield* BucketChunks.make(layout, bucket, content, {
      cache,
      condemning,
      guards,
      records,
      syncLevel
    })
  })

const changesOf = (parts: StoreChanges.Parts): Pick<Datastore["Service"], "forget" | "moveGroup"> => ({
  forget: (namespace, snapshot) => StoreChanges.forget(parts, namespace, snapshot),
  moveGroup: (from, group, to) => StoreChanges.moveGroup(parts, from, group, to)
})

/** Whoever works in the store can have counted what that asks of the bucket (see `tally`). */
const talliedBucket = (bucket: StoreBucket): StoreBucket => ({
  ...bucket,
  objects: tallied(bucket.objects)
})

/** Opens the datastore in a folder, or the one in a bucket whose cache folder it is. */
export const open = (
  options: DatastoreOptions
): Effect.Effect<Datastore["Service"], StorageError | StoreError, DatastoreRequirements | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* Files
    const { syncLevel = "filesystem" } = options
    const bucket = options.bucket === undefined ? undefined : talliedBucket(options.bucket)
    const { flushesLate, syncsFiles, syncsFolders } = durabilityOf(syncLevel, bucket !== undefined)
    const layout = yield* StoreLayout.open(options.path)
    yield* FolderMark.check(layout, bucket)
    const makeLocks = yield* StoreLocks.Maker
    const locks = yield* makeLocks(layout)
    const makeGuards = yield* DigestGuards.Maker
    const guards = yield* makeGuards(layout)
    const chunkParts = { layout, guards, syncLevel }
    const inBucket = bucket === undefined ? undefined : yield* bucketParts(bucket, chunkParts, locks)
    const { hosts, mirror, records } = inBucket ?? {}
    const makeWriters = yield* Writers.Maker
    const onRegister = hosts === undefined ? {} : { onRegister: hosts.writing }
    const writers = yield* makeWriters(layout, locks, { flushesLate, ...onRegister })
    const moves = yield* MoveJournal.make(layout, locks)
    const hierarchy = yield* Hierarchy.make(layout, { syncsFolders, mirror })
    const chunks =
      inBucket === undefined
        ? yield* chunksInFolder(chunkParts, writers)
        : yield* chunksInBucket(chunkParts, inBucket, options)
    const presence = yield* bucket === undefined
      ? ChunkPresence.make(layout)
      : BucketPresence.make(layout, bucket, guards)
    const snapshotFiles = yield* SnapshotFiles.make(layout, locks, { sync: syncsFiles, mirror })
    const parts = { hierarchy, locks, moves, writers, bucket }

    return Datastore.of({
      layout,
      bucket,
      isDistant: bucket !== undefined,
      records,
      hosts,
      guards,
      chunks,
      presence,
      hierarchy,
      snapshotFiles,
      locks,
      writers,
      moves,
      space: bucket === undefined ? files.statFileSystem(layout.base) : Effect.succeed(undefined),
      flush: flushesLate ? files.syncFileSystem(layout.base) : Effect.ignore(records?.flush ?? Effect.void),
      ...changesOf(parts)
    })
  })

export const layer = (
  options: DatastoreOptions
): Layer.Layer<Datastore, StorageError | StoreError, DatastoreRequirements> =>
  Layer.effect(Datastore, open(options))

/** Makes an empty datastore in a folder. */
export const create = StoreLayout.create
