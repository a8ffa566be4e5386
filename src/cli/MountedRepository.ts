/**
 * MountedRepository: the datastore that the flags name, told in the way in which the process of a mount can open it by
 * itself.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import type { BucketStore, MountedStore } from "../fuse/MountRequest.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import { configFolder } from "./ConfigFlag.ts"
import { parseInput } from "./Failure.ts"
import { repository } from "./Repository.ts"
import * as RepositoryName from "./RepositoryName.ts"
import { root } from "./Root.ts"

const bucketStore = (place: RepositoryName.S3Place) =>
  Effect.gen(function* () {
    const [Connection, S3Budget, Repository] = yield* Effect.promise(() =>
      Promise.all([import("./S3Connection.ts"), import("./S3Budget.ts"), import("./S3Repository.ts")])
    )
    const { s3Budget } = yield* root
    const settings = yield* Connection.settingsOf(place.endpoint, place.bucket)
    const folder = yield* Repository.cacheFolder(place)
    const cacheFolder = yield* Repository.existingCache(place, folder).pipe(
      // Reading needs none.
      Effect.catchTag("CommandFailed", () => Effect.succeed(undefined)),
      Effect.provide(NodeFiles.layer)
    )
    const budget = Option.isNone(s3Budget)
      ? {}
      : { budget: yield* parseInput(() => S3Budget.parse(s3Budget.value)) }
    const store: BucketStore = {
      kind: "bucket",
      settings,
      store: place.store,
      title: RepositoryName.format(place),
      ...(cacheFolder === undefined ? {} : { cacheFolder }),
      ...budget
    }
    return store
  })

/** One that the configuration knows. The process of the mount says of itself that it reads, for as long as it lives. */
const configuredStore = (name: string) =>
  Effect.gen(function* () {
    const Configured = yield* Effect.promise(() => import("./ConfiguredRepository.ts"))
    const config = yield* configFolder
    const entry = yield* DatastoreConfig.get(config, name)
    const folder = DatastoreConfig.folderOf(entry)
    const place = Configured.bucketPlace(entry)
    const configured = { folder: config, name }
    if (place === undefined) return { kind: "folder", path: folder, configured } satisfies MountedStore
    return { ...(yield* bucketStore(place)), cacheFolder: folder, configured } satisfies MountedStore
  }).pipe(Effect.provide(NodeFiles.layer))

const remoteStore = ({ address }: RepositoryName.RemotePlace) =>
  Effect.gen(function* () {
    const { loginFor } = yield* Effect.promise(() => import("./RemoteConnection.ts"))
    return { kind: "remote", address, ...(yield* loginFor(address)) } satisfies MountedStore
  })

export const mountedStore = Effect.gen(function* () {
  const place = yield* repository
  const store: MountedStore =
    place.kind === "folder"
      ? { kind: "folder", path: path.resolve(place.path) }
      : yield* place.kind === "name"
          ? configuredStore(place.name)
          : place.kind === "remote"
            ? remoteStore(place)
            : bucketStore(place)
  return store
})
