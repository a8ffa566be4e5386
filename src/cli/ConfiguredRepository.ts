/**
 * ConfiguredRepository: opens a datastore by the name that it has in the configuration, for one command.
 *
 * Invariant: as long as the command has it open it counts as at work there, so that whoever wants the store for himself
 * waits for it; and its maintenance mode has let the command in.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as Datastore from "../datastore/Datastore.ts"
import { openInBucket } from "../datastore/openInBucket.ts"
import * as Datastores from "../datastores/Datastores.ts"
import * as Places from "../datastores/Places.ts"
import { unchanging } from "../objectstore/decorators/unchanging.ts"
import * as NodeFileLocks from "../platform/NodeFileLocks.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import { configFolder } from "./ConfigFlag.ts"
import type { OpenOptions } from "./OpenOptions.ts"
import type { S3Place } from "./RepositoryName.ts"

/** How buckets are reached: what was typed goes before what the configuration says. Takes long to load. */
const connector = Effect.gen(function* () {
  const { connecting, flagTexts } = yield* Effect.promise(() => import("./S3Connection.ts"))
  const { deleteBatchSizeOf } = yield* Effect.promise(() => import("../objectstore/s3/connectS3.ts"))
  const Sources = yield* Effect.promise(() => import("../objectstore/s3/S3SettingSources.ts"))
  const connect = yield* connecting
  const flags = yield* flagTexts
  const reach: Places.Connect = (texts) =>
    Effect.gen(function* () {
      const settings = yield* Sources.load({ ...texts, ...flags })
      const { patient: objects } = yield* connect(settings)
      return { objects, deleteBatchSize: deleteBatchSizeOf(settings) }
    })
  return reach
})

const isInBucket = (entry: DatastoreConfig.DatastoreEntry): boolean =>
  DatastoreConfig.backendOf(entry).type === "s3"

/** Where a datastore in a bucket is; undefined for one in a folder. */
export const bucketPlace = (entry: DatastoreConfig.DatastoreEntry): S3Place | undefined => {
  const backend = DatastoreConfig.backendOf(entry)
  if (backend.type !== "s3") return undefined
  return { kind: "s3", endpoint: backend.client, bucket: backend.bucket, store: entry.id }
}

/** How the datastore of this name is reached, if it is in a bucket. */
export const connectorFor = (entry: DatastoreConfig.DatastoreEntry) =>
  isInBucket(entry) ? connector : Effect.succeed(Places.connectS3)

/** The configured datastores, reached as this datastore has to be. Who is at work there is always written down. */
const datastoresFor = (connect: Places.Connect, folder: string) =>
  Datastores.make({ folder, connect }).pipe(Effect.provide(Layer.merge(NodeFiles.layer, NodeFileLocks.layer)))

/** The configured datastores, for work on the one of this name. */
export const datastores = (name: string) =>
  Effect.gen(function* () {
    const folder = yield* configFolder
    const entry = yield* Effect.provide(DatastoreConfig.get(folder, name), NodeFiles.layer)
    return yield* datastoresFor(yield* connectorFor(entry), folder)
  })

/** The bucket that holds a datastore, for a plan one that cannot be changed; undefined when a folder does. */
export const bucketOf = (entry: DatastoreConfig.DatastoreEntry, { plans = false }: OpenOptions) =>
  Effect.gen(function* () {
    const places = Places.make(yield* configFolder, yield* connectorFor(entry))
    const bucket = yield* places.bucketOf(entry)
    if (bucket === undefined || !plans) return bucket
    return { ...bucket, objects: unchanging(bucket.objects) }
  })

/** Opened once more, beside the handle: so that it cannot be changed, or keeps nothing of what is read. */
const openApart = (entry: DatastoreConfig.DatastoreEntry, options: OpenOptions) =>
  Effect.gen(function* () {
    const { cache = "use", plans = false } = options
    const folder = DatastoreConfig.folderOf(entry)
    const bucket = yield* bucketOf(entry, options)
    if (bucket === undefined) return yield* Datastore.open({ path: folder })
    return yield* openInBucket(bucket, { folder, cache: plans ? "bypass" : cache })
  })

/** The datastore of this name, open as the command needs it. */
export const open = (name: string, options: OpenOptions) =>
  Effect.gen(function* () {
    const { cache = "use", plans = false, writes = false } = options
    const { lookup } = yield* datastores(name)
    const { entry, store } = yield* lookup(name, writes && !plans ? "write" : "read")
    const isApart = plans || (cache === "bypass" && isInBucket(entry))
    return isApart ? yield* openApart(entry, options) : store
  })
