/**
 * openStore: opens the datastore that is to be mounted, in the process of the mount. What buckets, servers and
 * configurations need is loaded for one in a bucket, on a server, or known by a name alone.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import * as Datastore from "../datastore/Datastore.ts"
import * as RemoteAddress from "../remote/RemoteAddress.ts"
import type { BucketStore, ConfiguredName, MountedStore, RemoteStore } from "./MountRequest.ts"

/** The folders that belong to a store on this machine. */
export const foldersOf = (store: MountedStore): ReadonlyArray<string> => {
  if (store.kind === "folder") return [path.resolve(store.path)]
  if (store.kind === "remote") return []
  return store.cacheFolder === undefined ? [] : [path.resolve(store.cacheFolder)]
}

/** What `df` shows. */
export const titleOf = (store: MountedStore): string => {
  if (store.kind === "remote") return RemoteAddress.format(store.address)
  return store.kind === "folder" ? path.resolve(store.path) : store.title
}

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

const openRemote = ({ address, fingerprint, secret }: RemoteStore) =>
  Effect.gen(function* () {
    const { Remote, RemoteReading } = yield* Effect.promise(() => import("./remoteModules.ts"))
    return yield* RemoteReading.open(yield* Remote.make({ address, fingerprint, secret }))
  })

/** Says of the store that somebody reads it, until the scope closes, and lets its maintenance mode refuse that. */
const registerAs = ({ folder, name }: ConfiguredName) =>
  Effect.gen(function* () {
    const { Reading } = yield* Effect.promise(() => import("./configuredModules.ts"))
    yield* Reading.hold(folder, name)
  })

type Opening =
  | ReturnType<typeof registerAs>
  | ReturnType<typeof openBucket>
  | ReturnType<typeof openRemote>
  | ReturnType<typeof Datastore.open>

export const openStore = (
  store: MountedStore
): Effect.Effect<
  Datastore.Datastore["Service"],
  Effect.Error<Opening>,
  Datastore.DatastoreRequirements | Scope.Scope
> => {
  if (store.kind === "remote") return openRemote(store)
  const { configured } = store
  const opened: Effect.Effect<
    Datastore.Datastore["Service"],
    Effect.Error<Opening>,
    Datastore.DatastoreRequirements | Scope.Scope
  > = store.kind === "folder" ? Datastore.open({ path: path.resolve(store.path) }) : openBucket(store)
  return configured === undefined ? opened : Effect.andThen(registerAs(configured), opened)
}
