/** AnsweringServer: an HTTP server that says whatever a test wants, and remembers what it was asked. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
}

export interface AnsweringServer {
  readonly port: number
  readonly asked: ReadonlyArray<Asked>
  /** How many connections are open. */
  readonly connections: Effect.Effect<number>
}

export const start = (listener: http.RequestListener): Effect.Effect<AnsweringServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const asked: Array<Asked> = []
    const server = http.createServer((incoming, outgoing) => {
      const { method = "", url = "", headers } = incoming
      asked.push({ method, url, headers })
      listener(incoming, outgoing)
    })
    yield* Effect.acquireRelease(
      Effect.promise(
        () => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", () => resolve()))
      ),
      () =>
        Effect.promise(
          () =>
            new Promise<void>((resolve) => {
              server.close(() => resolve())
              server.closeAllConnections()
            })
        )
    )
    return {
      port: (server.address() as AddressInfo).port,
      asked,
      connections: Effect.callback<number>((resume) => {
        server.getConnections((_, count) => resume(Effect.succeed(count)))
      })
    }
  })

export interface Said {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** The same answer to everything. */
export const saying =
  ({ status, headers = {}, body = "" }: Said): http.RequestListener =>
  (incoming, outgoing) => {
    incoming.resume()
    incoming.on("end", () => {
      const length = { "content-length": Buffer.byteLength(body) }
      outgoing.writeHead(status, { ...length, ...headers })
      outgoing.end(incoming.method === "HEAD" ? "" : body)
    })
  }

/** An error as S3 tells it. */
export const s3Error = (
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
  elements = ""
): Said => ({
  status,
  headers: { "content-type": "application/xml", "x-amz-request-id": "tx0001", ...headers },
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>words of the server</Message>${elements}</Error>`
})
