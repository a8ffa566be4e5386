/**
 * S3Repository: opens a datastore in a bucket, with its cache folder, or for reading straight from the bucket where
 * there is none.
 *
 * Invariant: what changes a store goes through its cache folder, for that is where guards and leases are.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import * as ConfigFolder from "../config/ConfigFolder.ts"
import { openInBucket } from "../datastore/openInBucket.ts"
import { unchanging } from "../objectstore/decorators/unchanging.ts"
import { deleteBatchSizeOf } from "../objectstore/s3/connectS3.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"
import * as StoreLayout from "../store/StoreLayout.ts"
import { CommandFailed, parseInput } from "./Failure.ts"
import type { OpenOptions } from "./OpenOptions.ts"
import * as RepositoryName from "./RepositoryName.ts"
import { root } from "./Root.ts"
import * as S3Connection from "./S3Connection.ts"

/** The store in its bucket. Nothing is asked yet. */
export const bucketOf = (place: RepositoryName.S3Place, { plans = false }: OpenOptions = {}) =>
  Effect.gen(function* () {
    const settings = yield* S3Connection.settingsOf(place.endpoint, place.bucket)
    const connected = yield* S3Connection.connect(settings)
    const objects = plans ? unchanging(connected) : connected
    return yield* parseInput(() =>
      StoreBucket.make({
        objects,
        name: place.store,
        title: RepositoryName.format(place),
        deleteBatchSize: deleteBatchSizeOf(settings)
      })
    )
  })

/** What `--cache` names, or the folder that is the store's own by default. */
export const cacheFolder = ({ bucket, endpoint, store }: RepositoryName.S3Place) =>
  Effect.gen(function* () {
    const { cache } = yield* root
    if (Option.isSome(cache)) return path.resolve(cache.value)
    return path.join(yield* ConfigFolder.defaultCachePath, endpoint, bucket, store)
  })

/** Whether the folder is there and is a datastore's. */
const isCache = (folder: string) =>
  StoreLayout.open(folder).pipe(
    Effect.as(true),
    Effect.catchIf(
      (error) => error.reason === "NotADatastore",
      () => Effect.succeed(false)
    )
  )

const noCache = (place: RepositoryName.S3Place, folder: string): CommandFailed => {
  const name = RepositoryName.format(place)
  return new CommandFailed({
    detail: `${name}: writing needs a cache folder, and there is none in ${folder}`,
    hint:
      `for a new datastore make it with: granary init --backend s3 -r ${name}; ` +
      "for one that is there add --reuse"
  })
}

/** The folder, if it is there and is a datastore's. */
export const existingCache = (place: RepositoryName.S3Place, folder: string) =>
  Effect.flatMap(isCache(folder), (found) =>
    found ? Effect.succeed(folder) : Effect.fail(noCache(place, folder))
  )

/** The datastore, open as the command needs it. */
export const open = (place: RepositoryName.S3Place, options: OpenOptions) =>
  Effect.gen(function* () {
    const { cache = "use", plans = false, writes = false } = options
    const folder = yield* cacheFolder(place)
    const hasCache = yield* isCache(folder)
    if (writes && !hasCache) return yield* noCache(place, folder)
    const bucket = yield* bucketOf(place, options)
    return yield* openInBucket(bucket, {
      folder: hasCache ? folder : undefined,
      cache: plans ? "bypass" : cache
    })
  })
