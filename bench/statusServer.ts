/**
 * The server that `status.ts` asks, in a process of its own: the example's interface over a configuration folder, and
 * beside it the same answer as a constant, through the same server and the same encoding. It says at which port it
 * listens, and ends when its input does.
 *
 * Run: node --conditions=development bench/statusServer.ts CONFIG-FOLDER
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Layer from "effect/Layer"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { routes, StoreStatus } from "../examples/support/statusApi.ts"
import * as Datastores from "../src/datastores/Datastores.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"

const constant: typeof StoreStatus.Type = {
  store: "store-500",
  "backend-type": "filesystem",
  "maintenance-mode": null,
  "active-operations": { read: 0, write: 0 },
  total: 1_099_511_627_776,
  used: 549_755_813_888,
  avail: 549_755_813_888,
  error: null,
  "deduplication-factor": 17.5,
  "estimated-full-date": null
}

const ConstantApi = HttpApi.make("constant").add(
  HttpApiGroup.make("constant").add(
    HttpApiEndpoint.get("constant", "/constant/:name", {
      params: { name: StoreStatus.fields.store },
      success: StoreStatus
    })
  )
)

const constantAnswers = HttpApiBuilder.group(ConstantApi, "constant", (handlers) =>
  handlers.handleAll({ constant: () => Effect.succeed(constant) })
)

const everything = Layer.mergeAll(
  routes,
  HttpApiBuilder.layer(ConstantApi).pipe(Layer.provide(constantAnswers))
)

const http = createServer()

const server = HttpRouter.serve(everything, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(NodeHttpServer.layer(() => http, { port: 0, host: "127.0.0.1" })),
  Layer.provide(Datastores.layer({ folder: process.argv[2] ?? "" })),
  Layer.provide(NodePlatform.layer)
)

const program = Effect.gen(function* () {
  yield* Layer.build(server)
  console.log((http.address() as AddressInfo).port)
  process.stdin.resume()
  yield* Effect.promise(() => once(process.stdin, "end"))
})

await Effect.runPromise(Effect.scoped(program))
process.exit(0)
