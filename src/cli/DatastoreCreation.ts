/**
 * DatastoreCreation: makes a datastore that the configuration is to know, or takes one that is there: in a folder, or
 * in a bucket with a cache folder.
 *
 * Invariant: the section is written last, under the lock of its file: what could not be made has no name.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as ConfigFolder from "../config/ConfigFolder.ts"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as Datastore from "../datastore/Datastore.ts"
import * as Places from "../datastores/Places.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import * as StoreLayout from "../store/StoreLayout.ts"
import * as ConfiguredRepository from "./ConfiguredRepository.ts"
import { creationProgress } from "./creationProgress.ts"
import { UsageError } from "./Failure.ts"

export interface CreationOptions {
  readonly reuse: boolean
  readonly overwriteInUse: boolean
}

export interface Made {
  readonly json: object
  readonly text: string
}

const notInBucket = new UsageError({
  detail: "--overwrite-in-use is for datastores in buckets",
  hint: "add --backend s3 --endpoint ENDPOINT-ID --bucket BUCKET"
})

const inFolder = (name: string, folder: string, { overwriteInUse, reuse }: CreationOptions) =>
  Effect.gen(function* () {
    if (overwriteInUse) return yield* notInBucket
    if (reuse) {
      yield* StoreLayout.open(folder)
      return { json: {}, text: `datastore ${name} is the one in ${folder}` }
    }
    yield* ConfigFolder.makeFolders(path.dirname(folder), 0o755)
    yield* Datastore.create(folder, yield* creationProgress(folder))
    const next = `back up into it with: granary backup -r ${name} home.pxar:/home`
    return { json: {}, text: `made datastore ${name} in ${folder}\n${next}` }
  })

const isCacheOf = (folder: string) =>
  StoreLayout.open(folder).pipe(
    Effect.as(true),
    Effect.catchIf(
      ({ reason }) => reason === "NotADatastore",
      () => Effect.succeed(false)
    )
  )

/** A cache folder that is there needs no other; without one the bucket's metadata is fetched. */
const inBucket = (name: string, folder: string, bucket: StoreBucket, options: CreationOptions) =>
  Effect.gen(function* () {
    const BucketDatastore = yield* Effect.promise(() => import("../datastore/BucketDatastore.ts"))
    if (options.reuse && (yield* isCacheOf(folder))) {
      yield* Datastore.open({ path: folder, bucket })
      yield* BucketDatastore.markUse({ bucket, ...options })
      return { json: {}, text: `datastore ${name} is ${bucket.title}, with its cache folder in ${folder}` }
    }
    yield* ConfigFolder.makeFolders(path.dirname(folder))
    const { needsRefresh } = yield* BucketDatastore.create({
      path: folder,
      bucket,
      ...options,
      onProgress: yield* creationProgress(folder)
    })
    const place = `${bucket.title}, with its cache folder in ${folder}`
    if (!needsRefresh) return { json: {}, text: `made datastore ${name} as ${place}` }
    const S3Refresh = yield* Effect.promise(() => import("./S3Refresh.ts"))
    const { json, text } = yield* S3Refresh.run(folder, bucket)
    return { json, text: `took over ${place}, as datastore ${name}\n${text}` }
  }).pipe(Effect.scoped)

const makeFor = (config: string, entry: DatastoreConfig.DatastoreEntry, options: CreationOptions) =>
  Effect.gen(function* () {
    const folder = DatastoreConfig.folderOf(entry)
    const { bucketOf } = Places.make(config, yield* ConfiguredRepository.connectorFor(entry))
    const bucket = yield* bucketOf(entry)
    const made: Made = yield* bucket === undefined
      ? inFolder(entry.id, folder, options)
      : inBucket(entry.id, folder, bucket, options)
    return made
  }).pipe(Effect.scoped)

/** Makes the datastore and gives it its section. */
export const make = (
  config: string,
  name: string,
  texts: DatastoreConfig.DatastoreTexts,
  options: CreationOptions
) =>
  Effect.gen(function* () {
    let made: Made = { json: {}, text: "" }
    yield* DatastoreConfig.create(config, name, texts, (entry) =>
      Effect.map(makeFor(config, entry, options), (result) => {
        made = result
      })
    )
    return made
  })
