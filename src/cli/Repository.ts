/**
 * Repository: opens the datastore that the shared flags name and runs a command on it: in a folder, or in a bucket with
 * a cache folder beside it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
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

/** What `--repository` names. */
export const repository = Effect.flatMap(root, ({ repository: text }) =>
  Option.match(text, {
    onNone: () => Effect.fail(noRepository),
    onSome: (name) => parseInput(() => RepositoryName.parse(name), RepositoryName.form)
  })
)

/** The namespace that `--ns` names. */
export const namespace = Effect.flatMap(root, ({ ns }) => parseInput(() => Namespace.parse(ns)))

/** The datastore in a folder. */
export const datastoreIn = (path: string) => Datastore.layer({ path }).pipe(Layer.provide(NodePlatform.layer))

/** The machine as the command may use it. */
const machineFor = ({ plans = false }: OpenOptions, platform: NodePlatform.PlatformOptions) => {
  const machine = NodePlatform.layerWith(platform)
  return plans ? Layer.provideMerge(Untouched.layer, machine) : machine
}

const withStore = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: OpenOptions,
  platform: NodePlatform.PlatformOptions
) =>
  Effect.gen(function* () {
    const place = yield* repository
    const machine = machineFor(options, platform)
    if (place.kind === "folder") {
      const store = Datastore.layer({ path: place.path })
      return yield* Effect.provide(effect, Layer.provideMerge(store, machine))
    }
    const { layer } = yield* Effect.promise(() => import("./S3Repository.ts"))
    return yield* Effect.provide(effect, Layer.provideMerge(layer(place, options), machine))
  })

/** Like `withDatastore`, for work on the content of many chunks: its threads get ready while the store is opened. */
export const withWorkingDatastore = <A, E, R>(effect: Effect.Effect<A, E, R>, options: OpenOptions = {}) =>
  withStore(effect, options, { startsEarly: true })

/** Runs `effect` with the repository open. */
export const withDatastore = <A, E, R>(effect: Effect.Effect<A, E, R>, options: OpenOptions = {}) =>
  withStore(effect, options, {})
