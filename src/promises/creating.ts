/** How the Promise facade makes datastores, in a folder and in a bucket, and what it can be told about that. */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as CacheBound from "../config/CacheBound.ts"
import * as BucketDatastore from "../datastore/BucketDatastore.ts"
import * as Datastore from "../datastore/Datastore.ts"
import * as DatastoreName from "../model/DatastoreName.ts"
import { Progress } from "../platform/Progress.ts"
import * as Refresh from "../refresh/Refresh.ts"
import * as RefreshPlan from "../refresh/RefreshPlan.ts"
import type { CreateProgress } from "../store/StoreLayout.ts"
import { type CachedPlace, openBucket } from "./bucketPlaces.ts"
import { parsed } from "./names.ts"

/** How a datastore in a bucket is made. */
export interface BucketCreation {
  /** Take over the datastore that is in the bucket; its metadata is fetched. Default false: there must be none. */
  readonly reuse?: boolean
  /** Go on although another host has marked it as its own. Default false. */
  readonly overwriteInUse?: boolean
  /** How much chunk content the cache folder keeps. Default: what the file system has room for. */
  readonly maxCacheBytes?: number
}

const progressOf = (subject: string) =>
  Effect.map(
    Progress,
    (report) =>
      ({ done, total }: CreateProgress) =>
        Effect.sync(() =>
          report({
            type: "progress",
            task: "create",
            subject,
            state: done < total ? "running" : "ended",
            unit: "folders",
            done,
            total,
            counts: {}
          })
        )
  )

export const inFolder = (folder: string) =>
  Effect.flatMap(progressOf(folder), (onProgress) => Datastore.create(folder, onProgress))

export const inBucket = (place: CachedPlace, { maxCacheBytes, overwriteInUse, reuse }: BucketCreation) =>
  Effect.gen(function* () {
    yield* parsed(() => DatastoreName.check(place.store))
    const folder = path.resolve(place.cacheFolder)
    const bucket = yield* openBucket(place)
    const { needsRefresh } = yield* BucketDatastore.create({
      path: folder,
      bucket,
      onProgress: yield* progressOf(folder),
      ...(overwriteInUse === undefined ? {} : { overwriteInUse }),
      ...(reuse === undefined ? {} : { reuse })
    })
    if (maxCacheBytes !== undefined) yield* CacheBound.write(folder, maxCacheBytes)
    if (needsRefresh) yield* Refresh.run(yield* RefreshPlan.make({ path: folder, bucket }))
  }).pipe(Effect.scoped)
