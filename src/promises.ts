/**
 * Granary for programs that use promises: opening a datastore, and everything that can be done with it.
 *
 * ```ts
 * await using datastore = await openDatastore("/mnt/store")
 * await datastore.backup({ "home.pxar": "/home/me" }, { group: "host/laptop" })
 * ```
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
import { Files } from "./platform/Files.ts"
import * as NodeFiles from "./platform/NodeFiles.ts"
import * as NodePlatform from "./platform/NodePlatform.ts"
import { Progress } from "./platform/Progress.ts"
import { Datastore } from "./promises/PromiseDatastore.ts"
import { type CallOptions, type ProgressOptions, Runs } from "./promises/Runs.ts"
import type { SyncLevel } from "./store/ChunkStore.ts"

export { SourceError } from "./backup/ByteSource.ts"
export { KnownChunkMissing, type KnownChunksCheck } from "./backup/KnownChunks.ts"
export { FormatError } from "./format/FormatError.ts"
export { KeyError } from "./format/KeyFile.ts"
export { InvalidName } from "./model/InvalidName.ts"
export { ChunkError } from "./platform/ChunkCodec.ts"
export { FilesError } from "./platform/Files.ts"
export type { ProgressEvent } from "./platform/Progress.ts"
export type * from "./promises/PromiseDatastore.ts"
export type { CollectOptions, CollectResult } from "./promises/collecting.ts"
export type { ForgetGroupResult, PruneOptions, PruneResult } from "./promises/pruning.ts"
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

const layerOf = (path: string, { threads, syncLevel }: OpenOptions) => {
  const platform = NodePlatform.layerWith(threads === undefined ? {} : { threads })
  const options = syncLevel === undefined ? { path } : { path, syncLevel }
  return DatastoreService.layer(options).pipe(Layer.provideMerge(platform))
}

/** Opens the datastore in a folder. Opening writes nothing. */
export const openDatastore = async (path: string, options: OpenOptions = {}): Promise<Datastore> => {
  const runs = new Runs(path, ManagedRuntime.make(layerOf(path, options)))
  const { key } = options
  try {
    // The first run also opens the store, so it is here that a folder that is none is refused.
    const crypt = await runs.run(key === undefined ? Effect.succeed(undefined) : openKey(key), options)
    return new Datastore(path, runs, crypt)
  } catch (error) {
    await runs.close()
    throw error
  }
}

/** Makes an empty datastore in a folder that is empty or missing, and opens it. */
export const createDatastore = async (
  path: string,
  options: OpenOptions & ProgressOptions = {}
): Promise<Datastore> => {
  const runs = new Runs(path, ManagedRuntime.make(NodeFiles.layer))
  const create = Effect.flatMap(Progress, (report) =>
    DatastoreService.create(path, ({ done, total }) =>
      Effect.sync(() =>
        report({
          type: "progress",
          task: "create",
          subject: path,
          state: done < total ? "running" : "ended",
          unit: "folders",
          done,
          total,
          counts: {}
        })
      )
    )
  )
  try {
    await runs.run(create, options)
  } finally {
    await runs.close()
  }
  return openDatastore(path, options)
}
