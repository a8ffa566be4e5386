/** A server that answers whatever a test wants it to: to find out what a client does with a bad one. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as http2 from "node:http2"
import * as https from "node:https"
import type { Duplex } from "node:stream"
import * as path from "node:path"
import * as Remote from "../../src/remote/Remote.ts"
import * as RemoteAddress from "../../src/remote/RemoteAddress.ts"
import * as Certificate from "../../src/server/tls/Certificate.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { platform } from "../store/stores.ts"

export interface Asked {
  readonly method: string
  /** Below `/api2/json`, with the query. */
  readonly target: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

export interface Reply {
  readonly status?: number
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** More of the body, without end. */
  readonly goesOn?: boolean
  /** Nothing is answered at all. */
  readonly hangs?: boolean
  /** The connection ends after the body, which is announced as longer. */
  readonly breaks?: boolean
  /** The stream is reset with this code after the body, whose length nobody was told. */
  readonly resets?: number
}

export const json = (data: unknown): Reply => ({ body: JSON.stringify({ data }) })

export interface Behaviour {
  readonly rest: (asked: Asked) => Reply
  readonly stream?: (target: string) => Reply
  /** Told with which code a stream has ended. */
  readonly onClosed?: (code: number) => void
  /** Told what asks for a session. */
  readonly onUpgrade?: (asked: Asked) => void
}

interface Outlet {
  readonly write: (piece: Uint8Array | string) => boolean
  readonly once: (event: "drain", run: () => void) => unknown
  readonly destroyed: boolean
}

const pour = (outlet: Outlet): void => {
  const piece = Buffer.alloc(256 * 1024)
  while (!outlet.destroyed && outlet.write(piece)) {
    // Until the line is full.
  }
  if (!outlet.destroyed) outlet.once("drain", () => pour(outlet))
}

const serveStreams = (
  socket: Duplex,
  { onClosed = () => undefined, stream = () => ({}) }: Behaviour
): void => {
  const session = http2.performServerHandshake(socket)
  session.on("error", () => undefined)
  session.on("stream", (opened, headers) => {
    opened.on("error", () => undefined)
    opened.on("close", () => onClosed(opened.rstCode ?? 0))
    const reply = stream(headers[":path"] ?? "")
    const { body = "", breaks = false, goesOn = false, hangs = false, resets, status = 200 } = reply
    if (hangs) return
    const length = breaks ? { "content-length": body.length + 9 } : {}
    // Node ends a stream before it resets it, unless trailers are to come.
    opened.respond({ ":status": status, ...length }, { waitForTrailers: resets !== undefined })
    opened.on("wantTrailers", () => opened.close(resets))
    if (goesOn) return pour(opened)
    opened.write(body)
    if (breaks) socket.destroy()
    else opened.end()
  })
}

const open = async (certificate: { readonly cert: string; readonly key: string }, behaviour: Behaviour) => {
  const sockets = new Set<Duplex>()
  const server = https.createServer(certificate, (request, response) => {
    const pieces: Array<Buffer> = []
    request.on("data", (piece: Buffer) => pieces.push(piece))
    request.on("end", () => {
      const target = (request.url ?? "").replace(/^\/+api2\/json/, "")
      const { headers, method = "" } = request
      const asked = { method, target, headers, body: Buffer.concat(pieces).toString() }
      const reply = behaviour.rest(asked)
      const { body = "", breaks = false, goesOn = false, status = 200, type = "application/json" } = reply
      const length = breaks ? { "content-length": String(body.length + 9) } : {}
      response.writeHead(status, { "content-type": type, ...length, ...reply.headers })
      if (goesOn) return pour(response)
      response.write(body)
      if (breaks) response.destroy()
      else response.end()
    })
  })
  server.on("secureConnection", (socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
  })
  server.on("upgrade", (request, socket) => {
    const target = (request.url ?? "").replace(/^\/+api2\/json/, "")
    behaviour.onUpgrade?.({ method: request.method ?? "", target, headers: request.headers, body: "" })
    const head = `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${request.headers.upgrade}\r\n\r\n`
    socket.write(head, () => setImmediate(() => serveStreams(socket, behaviour)))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { port: typeof address === "object" && address !== null ? address.port : 0, close }
}

/** A client of a server that behaves like this; with a password as `root@pam`, or with a token. */
export const clientOf = (behaviour: Behaviour, user = "root@pam!t") =>
  Effect.gen(function* () {
    const folder = yield* scratchFolder
    const certificate = yield* Effect.provide(Certificate.obtain(path.join(folder, "c")), platform)
    const { certificatePem, fingerprint, keyPem } = certificate
    const { port } = yield* Effect.acquireRelease(
      Effect.promise(() => open({ cert: certificatePem, key: keyPem }, behaviour)),
      ({ close }) => Effect.sync(close)
    )
    return yield* Remote.make({
      address: RemoteAddress.parse(`${user}@127.0.0.1:${port}:store1`),
      secret: Redacted.make("the secret"),
      fingerprint,
      answerTimeoutMillis: 1000
    })
  })
