/**
 * Granary for programs that use promises: opening a datastore, and everything that can be done with it.
 *
 * ```ts
 * await using datastore = await openDatastore("/mnt/store")
 * await datastore.backup({ "home.pxar": "/home/me" }, { group: "host/laptop" })
 * ```
 *
 * A datastore is in a folder, or in a bucket: then it is told by the server's settings and a cache folder, without
 * which it can only be read. Importing this loads nothing of the S3 client; opening a bucket does.
 *
 * Rejections are the typed errors that are exported here; each has a `_tag`, a message for people and a hint.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as DatastoreService from "./datastore/Datastore.ts"
import * as CryptConfig from "./format/CryptConfig.ts"
import { FormatError } from "./format/FormatError.ts"
import * as KeyFile from "./format/KeyFile.ts"
import type { FileLocks } from "./platform/FileLocks.ts"
import { Files } from "./platform/Files.ts"
import * as NodeFileLocks from "./platform/NodeFileLocks.ts"
import * as NodeFiles from "./platform/NodeFiles.ts"
import * as NodePlatform from "./platform/NodePlatform.ts"
import * as bucketPlaces from "./promises/bucketPlaces.ts"
import * as creating from "./promises/creating.ts"
import { Datastore } from "./promises/PromiseDatastore.ts"
import * as refreshing from "./promises/refreshing.ts"
import { type CallOptions, type ProgressOptions, Runs } from "./promises/Runs.ts"
import type { SyncLevel } from "./store/ChunkStore.ts"

export { SourceError } from "./backup/ByteSource.ts"
export { KnownChunkMissing, type KnownChunksCheck } from "./backup/KnownChunks.ts"
export { ConfigError } from "./config/ConfigError.ts"
export { FormatError } from "./format/FormatError.ts"
export { KeyError } from "./format/KeyFile.ts"
export { InvalidName } from "./model/InvalidName.ts"
export type { BudgetLimits } from "./objectstore/decorators/Budget.ts"
export { ObjectStoreError } from "./objectstore/ObjectStoreError.ts"
export { S3SettingsError } from "./objectstore/s3/S3SettingsError.ts"
export { ChunkError } from "./platform/ChunkCodec.ts"
export { FilesError } from "./platform/Files.ts"
export type { ProgressEvent } from "./platform/Progress.ts"
export type { BucketPlace, CachedPlace, S3Options } from "./promises/bucketPlaces.ts"
export type { BucketCreation } from "./promises/creating.ts"
export type * from "./promises/PromiseDatastore.ts"
export type { CollectOptions, CollectResult } from "./promises/collecting.ts"
export type { ForgetGroupResult, PruneOptions, PruneResult } from "./promises/pruning.ts"
export type { RefreshOptions, RefreshResult } from "./promises/refreshing.ts"
export { type CallOptions, ClosedError, type ProgressOptions } from "./promises/Runs.ts"
export type { ArchiveSource, ArchiveSources } from "./promises/sources.ts"
export type * from "./promises/values.ts"
export { PathError } from "./restore/ArchiveTree.ts"
export { ExtractError } from "./restore/Extractor.ts"
export { StoreError } from "./store/StoreError.ts"

export interface KeyOption {
  /** A key file, as `granary key create` and Proxmox Backup Server make them. */
  readonly file: string
  /** Needed when the key in it is protected. */
  readonly passphrase?: string
}

export interface OpenOptions extends CallOptions {
  /** Encrypts backups, and opens encrypted ones. */
  readonly key?: KeyOption
  /** What is flushed to the disk when. Default `filesystem`: everything, before a backup counts as finished. */
  readonly syncLevel?: SyncLevel
  /** Worker threads for compression and checksums; by default as many as there are processors, at most 8. */
  readonly threads?: number
}

const keyFileMaxBytes = 64 * 1024

const openKey = ({ file, passphrase }: KeyOption) =>
  Effect.gen(function* () {
    const files = yield* Files
    const bytes = yield* files.readFile(file, keyFileMaxBytes)
    return yield* Effect.try({
      try: () => CryptConfig.fromKey(KeyFile.unlock(KeyFile.decode(bytes), passphrase)),
      catch: (error) => {
        if (error instanceof KeyFile.KeyError || error instanceof FormatError) return error
        throw error
      }
    })
  })

type Place = string | bucketPlaces.BucketPlace

const nameOf = (place: Place): string => (typeof place === "string" ? place : bucketPlaces.nameOf(place))

const layerOf = (place: Place, { threads, syncLevel }: OpenOptions) => {
  const platform = NodePlatform.layerWith(threads === undefined ? {} : { threads })
  const store =
    typeof place === "string"
      ? DatastoreService.layer({ path: place, ...(syncLevel === undefined ? {} : { syncLevel }) })
      : Layer.effect(DatastoreService.Datastore, bucketPlaces.open(place, syncLevel))
  return store.pipe(Layer.provideMerge(platform))
}

/**
 * Opens the datastore in a folder or in a bucket. Opening writes nothing. One in a bucket is opened with its cache
 * folder, or without any for reading alone: then it is as it was when it was listed last, at most half a minute ago.
 */
export const openDatastore = async (place: Place, options: OpenOptions = {}): Promise<Datastore> => {
  const name = nameOf(place)
  const runs = new Runs(name, ManagedRuntime.make(layerOf(place, options)))
  const { key } = options
  try {
    // The first run also opens the store, so it is here that a place that is none is refused.
    const crypt = await runs.run(key === undefined ? Effect.succeed(undefined) : openKey(key), options)
    return new Datastore(name, runs, crypt)
  } catch (error) {
    await runs.close()
    throw error
  }
}

/** For what is done to a datastore that is not open. */
const runAlone = async <A>(
  place: Place,
  effect: Effect.Effect<A, unknown, Files | FileLocks>,
  options: ProgressOptions
): Promise<A> => {
  const runs = new Runs(nameOf(place), ManagedRuntime.make(Layer.merge(NodeFiles.layer, NodeFileLocks.layer)))
  try {
    return await runs.run(effect, options)
  } finally {
    await runs.close()
  }
}

export interface CreateOptions extends OpenOptions, ProgressOptions {}

/**
 * Makes an empty datastore in a folder that is empty or missing, or in a bucket with such a folder as its cache, and
 * opens it.
 *
 * In a bucket nothing is made before the server has proven that it keeps what a datastore needs. With `reuse` the
 * datastore that is there gets a cache folder; when it rejects while the metadata is fetched, `refreshDatastore` goes
 * on.
 */
export function createDatastore(path: string, options?: CreateOptions): Promise<Datastore>
export function createDatastore(
  place: bucketPlaces.CachedPlace,
  options?: CreateOptions & creating.BucketCreation
): Promise<Datastore>
export async function createDatastore(
  place: string | bucketPlaces.CachedPlace,
  options: CreateOptions & creating.BucketCreation = {}
): Promise<Datastore> {
  const create = typeof place === "string" ? creating.inFolder(place) : creating.inBucket(place, options)
  await runAlone<unknown>(place, create, options)
  return openDatastore(place, options)
}

/**
 * Makes the metadata in a cache folder anew from its bucket: after others have worked on the datastore, or when opening
 * it rejects with `NeedsRefresh`. Rejects with `Busy` while somebody on this machine writes or collects. Who has the
 * datastore open sees what was fetched.
 */
export const refreshDatastore = (
  place: bucketPlaces.CachedPlace,
  options: refreshing.RefreshOptions = {}
): Promise<refreshing.RefreshResult> => runAlone(place, refreshing.refresh(place, options), options)
