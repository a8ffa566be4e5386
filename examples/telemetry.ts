/**
 * Sends what the library counts, and its spans, to an OpenTelemetry collector, as programs do whose telemetry is kept
 * elsewhere: one layer of Effect's, and nothing in the rest of the program. The collector here is a small one on this
 * machine, which shows what has arrived; in earnest `baseUrl` names a real one.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Duration, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp } from "effect/observability"
import * as Backup from "granary/backup/Backup"
import * as Gc from "granary/gc/Gc"
import * as ArchiveName from "granary/model/ArchiveName"
import * as AuthId from "granary/model/AuthId"
import * as BackupGroup from "granary/model/BackupGroup"
import * as Namespace from "granary/model/Namespace"
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { json } from "node:stream/consumers"
import { source, temporaryDatastore } from "./support/sandbox.ts"

/** The names in a document that a collector gets, of spans or of metrics. */
const namesIn = (document: unknown, key: "spans" | "metrics"): ReadonlyArray<string> => {
  if (typeof document !== "object" || document === null) return []
  const names = ((document as Record<string, unknown>)[key] ?? []) as ReadonlyArray<{ readonly name: string }>
  return [...names.map(({ name }) => name), ...Object.values(document).flatMap((part) => namesIn(part, key))]
}

const collector = Effect.acquireRelease(
  Effect.promise(async () => {
    const seen = { spans: new Set<string>(), metrics: new Set<string>() }
    const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const document = await json(request)
      for (const name of namesIn(document, "spans")) seen.spans.add(name)
      for (const name of namesIn(document, "metrics")) seen.metrics.add(name)
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    }
    const server = createServer((request, response) => void take(request, response)).listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    return { seen, server, url: `http://127.0.0.1:${port}` }
  }),
  ({ server }) => Effect.sync(() => void (server.closeAllConnections(), server.close()))
)

const work = Effect.gen(function* () {
  yield* Backup.run({
    namespace: Namespace.root,
    group: BackupGroup.make("host", "laptop"),
    owner: AuthId.parse("root@pam"),
    archives: [{ kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: source }]
  })
  yield* Gc.collect()
})

const program = Effect.gen(function* () {
  const { seen, url } = yield* collector
  const exporting = Otlp.layerJson({
    baseUrl: url,
    resource: { serviceName: "backups", serviceVersion: "1.0" },
    shutdownTimeout: Duration.seconds(5)
  }).pipe(Layer.provide(FetchHttpClient.layer))
  // When the layer is closed, what was not yet sent is.
  yield* work.pipe(Effect.provide(Layer.merge(temporaryDatastore, exporting)))
  yield* Console.log(`spans:\n  ${[...seen.spans].toSorted().join("\n  ")}`)
  yield* Console.log(`metrics:\n  ${[...seen.metrics].toSorted().join("\n  ")}`)
  if (!seen.spans.has("granary.backup") || !seen.metrics.has("granary_tasks_total")) {
    return yield* Effect.die("the collector was told nothing of the backup")
  }
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
