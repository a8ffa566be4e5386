/**
 * An HTTP interface over many datastores: what they are called, how one of them is, and what the process has counted.
 * A real program would put its interface in one file and what answers it in another.
 */
import { Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { Datastores } from "granary/datastores/Datastores"
import type { ConfigurationError } from "granary/datastores/Datastores"
import * as Status from "granary/datastores/Status"

/** The part of a status that a dashboard shows. */
export const StoreStatus = Schema.Struct({
  store: Schema.String,
  "backend-type": Schema.Literals(["filesystem", "s3"]),
  "maintenance-mode": Schema.NullOr(
    Schema.Struct({ type: Schema.String, message: Schema.NullOr(Schema.String) })
  ),
  "active-operations": Schema.Struct({ read: Schema.Natural, write: Schema.Natural }),
  total: Schema.NullOr(Schema.Natural),
  used: Schema.NullOr(Schema.Natural),
  avail: Schema.NullOr(Schema.Natural),
  error: Schema.NullOr(Schema.String),
  "deduplication-factor": Schema.Finite,
  "estimated-full-date": Schema.NullOr(Schema.Int)
})

export class NoSuchStore extends Schema.TaggedError<NoSuchStore>()(
  "NoSuchStore",
  { message: Schema.String },
  { httpApiStatus: 404 }
) {}

/** The configuration cannot be read, or the datastore is being deleted. */
export class NotNow extends Schema.TaggedError<NotNow>()(
  "NotNow",
  { message: Schema.String },
  { httpApiStatus: 503 }
) {}

const stores = HttpApiGroup.make("stores")
  .add(
    HttpApiEndpoint.get("list", "/", { success: Schema.Array(Schema.String), error: NotNow }),
    HttpApiEndpoint.get("status", "/:name/status", {
      params: { name: Schema.String },
      success: StoreStatus,
      error: [NoSuchStore, NotNow]
    })
  )
  .prefix("/stores")

export const StatusApi = HttpApi.make("status").add(stores)

const refusalOf = (error: ConfigurationError): NoSuchStore | NotNow =>
  error._tag === "DatastoresError" && error.reason === "NoSuchDatastore"
    ? new NoSuchStore({ message: `there is no datastore ${error.subject}` })
    : new NotNow({ message: error.message })

const answers = HttpApiBuilder.group(
  StatusApi,
  "stores",
  Effect.fnUntraced(function* (handlers) {
    const datastores = yield* Datastores
    return handlers.handleAll({
      list: () =>
        datastores.list.pipe(
          Effect.map((all) => all.map(({ id }) => id)),
          Effect.mapError((error) => new NotNow({ message: error.message }))
        ),
      status: ({ params }) =>
        datastores.status(params.name).pipe(Effect.map(Status.toJson), Effect.mapError(refusalOf))
    })
  })
)

/** Everything that is served: the interface, and its metrics as Prometheus wants them. */
export const routes = Layer.mergeAll(
  HttpApiBuilder.layer(StatusApi).pipe(Layer.provide(answers)),
  PrometheusMetrics.layerHttp({ path: "/metrics" })
)
