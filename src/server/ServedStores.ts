/**
 * ServedStores: the datastores that a server offers, by name: a port, so that a server can stand on all configured
 * datastores, or on a few open ones.
 *
 * Obligations of every implementation: a store stays open, and counts as in use, until the scope of its lookup closes;
 * a name that is none, and an operation that the store does not allow now (maintenance), fail with an `ApiError` that
 * says so in Proxmox Backup Server's words.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Datastore } from "../datastore/Datastore.ts"
import { type ApiError, badRequest } from "./ApiError.ts"

/** What a lookup is for. */
export type Operation = "read" | "write"

export interface StoreListing {
  readonly name: string
  readonly comment: string | undefined
  /** Why it is not to be used now, as PBS's configuration says it. */
  readonly maintenance: string | undefined
  readonly backend: "filesystem" | "s3"
}

export class ServedStores extends Context.Service<
  ServedStores,
  {
    readonly list: Effect.Effect<ReadonlyArray<StoreListing>, ApiError>
    readonly lookup: (
      name: string,
      operation: Operation
    ) => Effect.Effect<Datastore["Service"], ApiError, Scope.Scope>
  }
>()("granary/server/ServedStores") {}

export const noSuchStore = (name: string): ApiError => badRequest(`no such datastore '${name.slice(0, 60)}'`)

/** These open stores and no others. Who opened them keeps them open. */
export const layerOf = (stores: Readonly<Record<string, Datastore["Service"]>>): Layer.Layer<ServedStores> =>
  Layer.succeed(
    ServedStores,
    ServedStores.of({
      list: Effect.succeed(
        Object.entries(stores).map(([name, { bucket }]) => ({
          name,
          comment: undefined,
          maintenance: undefined,
          backend: bucket === undefined ? "filesystem" : "s3"
        }))
      ),
      lookup: (name) => {
        const store = Object.hasOwn(stores, name) ? stores[name] : undefined
        return store === undefined ? Effect.fail(noSuchStore(name)) : Effect.succeed(store)
      }
    })
  )
