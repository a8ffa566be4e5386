/** openInBucket: a datastore in a bucket, opened with its cache folder, or without one for reading. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as CacheBound from "../config/CacheBound.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import * as BucketReading from "./BucketReading.ts"
import * as Datastore from "./Datastore.ts"

export interface OpenInBucketOptions extends Partial<
  Pick<Datastore.DatastoreOptions, "cache" | "syncLevel">
> {
  /** Without one nothing is kept, and nothing can be changed. */
  readonly folder?: string | undefined
}

type Opening = ReturnType<typeof CacheBound.read> | ReturnType<typeof Datastore.open>

/** The cache folder keeps as much as it was told to when it was made. */
export const openInBucket = (
  bucket: StoreBucket,
  { folder, ...options }: OpenInBucketOptions
): Effect.Effect<
  Datastore.Datastore["Service"],
  Effect.Error<Opening>,
  Datastore.DatastoreRequirements | Scope.Scope
> =>
  Effect.gen(function* () {
    if (folder === undefined) return yield* BucketReading.open(bucket)
    const maxCacheBytes = yield* CacheBound.read(folder)
    const bound = maxCacheBytes === undefined ? {} : { maxCacheBytes }
    return yield* Datastore.open({ path: folder, bucket, ...options, ...bound })
  })
