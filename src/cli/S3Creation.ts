/**
 * S3Creation: makes a datastore in a bucket, or a cache folder for one that is there, whose metadata is then fetched.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import * as CacheBound from "../config/CacheBound.ts"
import * as ConfigFolder from "../config/ConfigFolder.ts"
import * as BucketDatastore from "../datastore/BucketDatastore.ts"
import * as DatastoreName from "../model/DatastoreName.ts"
import * as NodePlatform from "../platform/NodePlatform.ts"
import { creationProgress } from "./creationProgress.ts"
import { parseInput } from "./Failure.ts"
import * as RepositoryName from "./RepositoryName.ts"
import * as S3Refresh from "./S3Refresh.ts"
import { bucketOf, cacheFolder } from "./S3Repository.ts"

export interface CreationOptions {
  readonly folder: Option.Option<string>
  readonly reuse: boolean
  readonly overwriteInUse: boolean
  readonly maxCacheBytes?: number
}

export const createInBucket = (place: RepositoryName.S3Place, options: CreationOptions) =>
  Effect.gen(function* () {
    const { maxCacheBytes, overwriteInUse, reuse } = options
    yield* parseInput(() => DatastoreName.check(place.store))
    const folder = Option.isSome(options.folder) ? options.folder.value : yield* cacheFolder(place)
    const bucket = yield* bucketOf(place)
    yield* ConfigFolder.makeFolders(path.dirname(folder))
    const onProgress = yield* creationProgress(folder)
    const { needsRefresh } = yield* BucketDatastore.create({
      path: folder,
      bucket,
      overwriteInUse,
      reuse,
      onProgress
    })
    if (maxCacheBytes !== undefined) yield* CacheBound.write(folder, maxCacheBytes)
    const name = RepositoryName.format(place)
    if (needsRefresh) {
      const { json, text } = yield* S3Refresh.run(folder, bucket)
      return {
        folder,
        json,
        text: `took over the datastore ${name}, with its cache folder in ${folder}\n${text}`
      }
    }
    const next = `back up into it with: granary backup -r ${name} home.pxar:/home`
    const text = `made an empty datastore ${name}, with its cache folder in ${folder}\n${next}`
    return { folder, json: {}, text }
  }).pipe(Effect.scoped, Effect.provide(NodePlatform.layer))
