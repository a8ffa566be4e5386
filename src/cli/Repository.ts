/**
 * Repository: opens the datastore that the shared flags name and runs a command on it: in a folder, in a bucket with a
 * cache folder beside it, on a server, or wherever the configuration says that it is.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as fs from "node:fs"
import * as Datastore from "../datastore/Datastore.ts"
import * as Namespace from "../model/Namespace.ts"
import * as NodePlatform from "../platform/NodePlatform.ts"
import * as Untouched from "../platform/Untouched.ts"
import { parseInput, UsageError } from "./Failure.ts"
import type { OpenOptions } from "./OpenOptions.ts"
import * as RepositoryName from "./RepositoryName.ts"
import { root } from "./Root.ts"

const noRepository = new UsageError({
  detail: "no datastore was named",
  hint: "use --repository FOLDER or set GRANARY_REPOSITORY"
})

const isFolder = (path: string): boolean =>
  fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/** What a text that somebody typed means: a word is the folder of this name if there is one. */
export const placeOf = (text: string) =>
  Effect.map(
    parseInput(() => RepositoryName.parse(text), RepositoryName.form),
    (place): RepositoryName.RepositoryName =>
      place.kind === "name" && isFolder(place.name) ? { kind: "folder", path: place.name } : place
  )

/** What `--repository` names. */
export const repository = Effect.flatMap(root, ({ repository: text }) =>
  Option.match(text, {
    onNone: () => Effect.fail(noRepository),
    onSome: placeOf
  })
)

/** The namespace that `--ns` names. */
export const namespace = Effect.flatMap(root, ({ ns }) => parseInput(() => Namespace.parse(ns)))

/** The datastore in a folder. */
export const datastoreIn = (path: string) => Datastore.layer({ path }).pipe(Layer.provide(NodePlatform.layer))

/** The machine as the command may use it. */
export const machineFor = ({ plans = false }: OpenOptions, platform: NodePlatform.PlatformOptions) => {
  const machine = NodePlatform.layerWith(platform)
  return plans ? Layer.provideMerge(Untouched.layer, machine) : machine
}

/** The datastore in this place, open as it is needed. What opens other than folders is loaded when it is met. */
export const openPlace = (place: RepositoryName.RepositoryName, options: OpenOptions) =>
  Effect.gen(function* () {
    if (place.kind === "folder") return yield* Datastore.open({ path: place.path })
    if (place.kind === "s3") {
      const Bucket = yield* Effect.promise(() => import("./S3Repository.ts"))
      return yield* Bucket.open(place, options)
    }
    if (place.kind === "remote") {
      const Server = yield* Effect.promise(() => import("./RemoteRepository.ts"))
      return yield* Server.open(place, options)
    }
    const Configured = yield* Effect.promise(() => import("./ConfiguredRepository.ts"))
    return yield* Configured.open(place.name, options)
  })

const withStore = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: OpenOptions,
  platform: NodePlatform.PlatformOptions
) =>
  Effect.flatMap(repository, (place) => {
    const store = Layer.effect(Datastore.Datastore, openPlace(place, options))
    return Effect.provide(effect, Layer.provideMerge(store, machineFor(options, platform)))
  })

/** Like `withDatastore`, for work on the content of many chunks: its threads get ready while the store is opened. */
export const withWorkingDatastore = <A, E, R>(effect: Effect.Effect<A, E, R>, options: OpenOptions = {}) =>
  withStore(effect, options, { startsEarly: true })

/** Runs `effect` with the repository open. */
export const withDatastore = <A, E, R>(effect: Effect.Effect<A, E, R>, options: OpenOptions = {}) =>
  withStore(effect, options, {})
