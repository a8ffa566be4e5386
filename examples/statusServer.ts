/**
 * Serves the status of many configured datastores over HTTP: one `Datastores` for the whole server, asked anew by each
 * request. A change of the configuration, here or by `granary datastore`, is in the next answer. `GET /metrics` tells
 * Prometheus what was counted.
 *
 * It runs for a moment only, asks itself, and shows the answers.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import * as DatastoreConfig from "granary/config/DatastoreConfig"
import * as Datastore from "granary/datastore/Datastore"
import * as Datastores from "granary/datastores/Datastores"
import { createServer } from "node:http"
import * as path from "node:path"
import { platform, temporaryFolder } from "./support/sandbox.ts"
import { routes, StatusApi } from "./support/statusApi.ts"

const names = ["offices", "workshops"]

/** As `granary datastore create` does it. */
const configure = (folder: string) =>
  Effect.forEach(names, (name) =>
    DatastoreConfig.create(folder, name, { path: path.join(path.dirname(folder), name) }, (entry) =>
      Datastore.create(DatastoreConfig.folderOf(entry))
    )
  )

const ask = Effect.gen(function* () {
  // A client of this server's own address. Others are given a `baseUrl`.
  const http = yield* HttpServer.makeTestClient
  const client = yield* HttpApiClient.makeWith(StatusApi, { httpClient: http })
  for (const name of yield* client.stores.list()) {
    const status = yield* client.stores.status({ params: { name } })
    const { read, write } = status["active-operations"]
    yield* Console.log(`${status.store}: ${status.avail} bytes are free, ${read} read and ${write} write`)
  }
  const unknown = yield* Effect.flip(client.stores.status({ params: { name: "workshop" } }))
  yield* Console.log(unknown.message)
  const metrics = yield* (yield* http.get("/metrics")).text
  const lines = metrics.split("\n").filter((line) => /^granary_(?!\w+_bucket)/.test(line))
  yield* Console.log(lines.join("\n"))
})

const server = (folder: string) =>
  HttpRouter.serve(routes, { disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
    Layer.provideMerge(Datastores.layer({ folder }))
  )

const program = Effect.gen(function* () {
  const folder = path.join(yield* temporaryFolder, "config")
  yield* configure(folder)
  // Somebody is at work in one of them.
  const work = Effect.gen(function* () {
    const datastores = yield* Datastores.Datastores
    yield* datastores.lookup("offices", "write")
    yield* ask
  })
  yield* Effect.scoped(Effect.provide(work, server(folder)))
})

program.pipe(
  Effect.scoped,
  Effect.provide(Layer.mergeAll(platform, FetchHttpClient.layer)),
  NodeRuntime.runMain
)
