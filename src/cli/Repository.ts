/**
 * Repository: opens the datastore that the shared flags name and runs a command on it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Datastore from "../datastore/Datastore.ts"
import * as Namespace from "../model/Namespace.ts"
import * as NodePlatform from "../platform/NodePlatform.ts"
import { parseInput, UsageError } from "./Failure.ts"
import { root } from "./Root.ts"

const noRepository = new UsageError({
  detail: "no datastore was named",
  hint: "use --repository FOLDER or set GRANARY_REPOSITORY"
})

/** The folder that `--repository` names. */
export const repositoryPath = Effect.flatMap(root, ({ repository }) =>
  Option.match(repository, {
    onNone: () => Effect.fail(noRepository),
    onSome: (path) =>
      /^s3:|^[^/]+@[^/]+:/.test(path)
        ? Effect.fail(
            new UsageError({
              detail: `${path}: this kind of repository is not supported by this version`,
              hint: "name a local folder"
            })
          )
        : Effect.succeed(path)
  })
)

/** The namespace that `--ns` names. */
export const namespace = Effect.flatMap(root, ({ ns }) => parseInput(() => Namespace.parse(ns)))

/** The datastore in a folder. */
export const datastoreIn = (path: string) => Datastore.layer({ path }).pipe(Layer.provide(NodePlatform.layer))

/** Like `withDatastore`, for work on the content of many chunks: its threads get ready while the store is opened. */
export const withWorkingDatastore = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const platform = NodePlatform.layerWith({ startsEarly: true })
  return Effect.flatMap(repositoryPath, (path) =>
    Effect.provide(effect, Datastore.layer({ path }).pipe(Layer.provide(platform)))
  )
}

/** Runs `effect` with the repository open. */
export const withDatastore = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(repositoryPath, (path) => Effect.provide(effect, datastoreIn(path)))
