/**
 * openStore: opens the datastore that is to be mounted, in the process of the mount. What buckets need is loaded for
 * one in a bucket alone.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import * as Datastore from "../datastore/Datastore.ts"
import type { BucketStore, MountedStore } from "./MountRequest.ts"

/** The folders that belong to a store on this machine. */
export const foldersOf = (store: MountedStore): ReadonlyArray<string> => {
  if (store.kind === "folder") return [path.resolve(store.path)]
  return store.cacheFolder === undefined ? [] : [path.resolve(store.cacheFolder)]
}

/** What `df` shows. */
export const titleOf = (store: MountedStore): string =>
  store.kind === "folder" ? path.resolve(store.path) : store.title

const openBucket = ({ budget, cache, cacheFolder, settings, store, title }: BucketStore) =>
  Effect.gen(function* () {
    const { connecting, openInBucket, StoreBucket } = yield* Effect.promise(
      () => import("./bucketModules.ts")
    )
    const { patient: objects } = yield* connecting.connectS3(settings, budget === undefined ? {} : { budget })
    const bucket = StoreBucket.make({
      objects,
      name: store,
      title,
      deleteBatchSize: connecting.deleteBatchSizeOf(settings)
    })
    const folder = cacheFolder === undefined ? undefined : path.resolve(cacheFolder)
    return yield* openInBucket(bucket, { folder, ...(cache === undefined ? {} : { cache }) })
  })

type Opening = ReturnType<typeof openBucket> | ReturnType<typeof Datastore.open>

export const openStore = (
  store: MountedStore
): Effect.Effect<
  Datastore.Datastore["Service"],
  Effect.Error<Opening>,
  Datastore.DatastoreRequirements | Scope.Scope
> => (store.kind === "folder" ? Datastore.open({ path: path.resolve(store.path) }) : openBucket(store))
