/**
 * Places: where a configured datastore is: how its section becomes an open store, and how the bucket of one is reached.
 * What reaches buckets is loaded when the first one is asked for.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as CacheBound from "../config/CacheBound.ts"
import type { ConfigError } from "../config/ConfigError.ts"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as Endpoints from "../config/Endpoints.ts"
import * as Datastore from "../datastore/Datastore.ts"
import { type Meter, makeMeter, type Usage } from "../objectstore/decorators/metered.ts"
import type { ObjectStore } from "../objectstore/ObjectStore.ts"
import type { S3SettingsError } from "../objectstore/s3/S3SettingsError.ts"
import type { SettingTexts } from "../objectstore/s3/S3Settings.ts"
import type { Files, FilesError } from "../platform/Files.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreError } from "../store/StoreError.ts"

type Entry = DatastoreConfig.DatastoreEntry

export type PlaceError = ConfigError | FilesError | S3SettingsError | StorageError | StoreError

export interface ConnectedBucket {
  readonly objects: ObjectStore["Service"]
  readonly deleteBatchSize?: number
}

/** Reaches a bucket. Nothing is asked of it yet. */
export type Connect = (
  texts: SettingTexts,
  meter: Meter
) => Effect.Effect<ConnectedBucket, PlaceError, Files | Scope.Scope>

/** By what `s3.cfg` says of the endpoint; keys that it does not have come from the environment. */
export const connectS3: Connect = (texts, meter) =>
  Effect.gen(function* () {
    const Sources = yield* Effect.promise(() => import("../objectstore/s3/S3SettingSources.ts"))
    const S3 = yield* Effect.promise(() => import("../objectstore/s3/connectS3.ts"))
    const settings = yield* Sources.load(texts)
    const { patient: objects } = yield* S3.connectS3(settings, { meter })
    return { objects, deleteBatchSize: S3.deleteBatchSizeOf(settings) }
  })

export interface Places {
  /** The bucket that holds a datastore; undefined for one that its folder holds. */
  readonly bucketOf: (
    entry: Entry
  ) => Effect.Effect<StoreBucket.StoreBucket | undefined, PlaceError, Files | Scope.Scope>
  readonly open: (
    entry: Entry
  ) => Effect.Effect<
    Datastore.Datastore["Service"],
    PlaceError,
    Datastore.DatastoreRequirements | Scope.Scope
  >
  /** What was asked of the bucket by this process, however often it was opened. */
  readonly usage: (name: string) => Effect.Effect<Usage | undefined>
}

export const make = (folder: string, connect: Connect): Places => {
  const meters = new Map<string, Meter>()

  const meterOf = (name: string) =>
    Effect.gen(function* () {
      const meter = meters.get(name) ?? (yield* makeMeter)
      meters.set(name, meter)
      return meter
    })

  const bucketOf = (entry: Entry) =>
    Effect.gen(function* () {
      const backend = DatastoreConfig.backendOf(entry)
      if (backend.type !== "s3") return undefined
      const { bucket, client } = backend
      const { texts } = yield* Endpoints.get(folder, client)
      const connected = yield* connect({ ...texts, bucket }, yield* meterOf(entry.id))
      const title = `s3:${client}/${bucket}/${entry.id}`
      return StoreBucket.make({ ...connected, name: entry.id, title })
    })

  const open = (entry: Entry) =>
    Effect.gen(function* () {
      const backend = DatastoreConfig.backendOf(entry)
      const { syncLevel } = DatastoreConfig.tuningOf(entry)
      const path = DatastoreConfig.folderOf(entry)
      const bucket = yield* bucketOf(entry)
      if (bucket === undefined) return yield* Datastore.open({ path, syncLevel })
      const configured = backend.type === "s3" ? backend.maxCacheBytes : undefined
      const maxCacheBytes = configured ?? (yield* CacheBound.read(path))
      return yield* Datastore.open({
        path,
        bucket,
        syncLevel,
        ...(maxCacheBytes === undefined ? {} : { maxCacheBytes })
      })
    })

  return {
    bucketOf,
    open,
    usage: (name) => meters.get(name)?.usage ?? Effect.succeed(undefined)
  }
}
