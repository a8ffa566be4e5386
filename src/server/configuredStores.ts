/** configuredStores: the datastores of the configuration folder as those that a server offers. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Datastores } from "../datastores/Datastores.ts"
import { DatastoresError } from "../datastores/DatastoresError.ts"
import { valueOf } from "../format/SectionConfig.ts"
import { type ApiError, badRequest } from "./ApiError.ts"
import { told } from "./failures.ts"
import { noSuchStore, ServedStores } from "./ServedStores.ts"

interface Failed {
  readonly _tag: string
  readonly message: string
}

const explain = (name: string, error: Failed | ApiError): Failed | ApiError => {
  if (!(error instanceof DatastoresError)) return error
  if (error.reason === "NoSuchDatastore") return noSuchStore(name)
  return badRequest(`datastore '${name}' cannot be used now: ${error.detail}`)
}

export const layer: Layer.Layer<ServedStores, never, Datastores> = Layer.effect(
  ServedStores,
  Effect.map(Datastores, (datastores) =>
    ServedStores.of({
      list: told(datastores.list).pipe(
        Effect.map((entries) =>
          entries.map(({ id, section }) => ({
            name: id,
            comment: valueOf(section, "comment"),
            maintenance: valueOf(section, "maintenance-mode"),
            backend: /\btype=s3\b/.test(valueOf(section, "backend") ?? "")
              ? ("s3" as const)
              : ("filesystem" as const)
          }))
        )
      ),
      lookup: (name, operation) =>
        datastores.lookup(name, operation).pipe(
          Effect.map(({ store }) => store),
          Effect.mapError((error) => explain(name, error)),
          told
        )
    })
  )
)
