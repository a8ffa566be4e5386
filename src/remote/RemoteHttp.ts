/**
 * RemoteHttp: requests to one server over HTTP/1.1 and TLS, and the upgrade of a connection to one of the protocols.
 * What only asks goes over connections that are kept open between requests.
 *
 * Invariants: nothing is sent before the certificate is settled; an answer never takes more memory than the request
 * allows; a request that is interrupted closes its connection.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http"
import * as https from "node:https"
import type { Duplex } from "node:stream"
import * as HttpAgents from "../platform/HttpAgents.ts"
import { neverEndIdle } from "../platform/idleConnections.ts"
import type { Answer } from "./answers.ts"
import { connectionFailure, disconnected, tooLarge } from "./connectionFailures.ts"
import { formType, jsonType, type Parameters, withQuery } from "./parameters.ts"
import * as Received from "./received.ts"
import * as RemoteAddress from "./RemoteAddress.ts"
import type { RemoteError } from "./RemoteError.ts"

export interface HttpOptions {
  readonly address: RemoteAddress.RemoteAddress
  /** SHA-256 of the server's certificate, lower-case hex with colons. */
  readonly fingerprint?: string | undefined
  readonly connectTimeoutMillis?: number | undefined
  /** How long nothing may move while an answer is waited for. Default 2 minutes. */
  readonly answerTimeoutMillis?: number | undefined
}

export type Headers = Readonly<Record<string, string>>

export interface Request {
  readonly method: "GET" | "POST" | "PUT" | "DELETE"
  /** Below `/api2/json`. */
  readonly path: string
  readonly query?: Parameters
  readonly json?: unknown
  readonly headers?: Headers
  readonly maxBytes: number
}

export interface Upgrading {
  readonly path: string
  readonly protocol: string
  readonly query: Parameters
  readonly headers: Headers
}

export interface RemoteHttp {
  /** Host and port, for messages. */
  readonly server: string
  readonly ask: (request: Request) => Effect.Effect<Answer, RemoteError>
  /** The connection once it speaks the protocol, or the answer that says why it does not. The caller closes it. */
  readonly upgrade: (upgrading: Upgrading) => Effect.Effect<Duplex | Answer, RemoteError>
}

const connectionsMax = 16
const defaultConnectTimeoutMillis = 10_000
const defaultAnswerTimeoutMillis = 120_000
/** A line that carries less is of no use. */
const slowestBytesPerMilli = 32
const refusalMaxBytes = 64 * 1024

const userAgent = "granary/1.0"

interface Parts {
  readonly options: HttpOptions
  /** Connections are used again. */
  readonly kept: https.Agent
  /**
   * Each request has a connection of its own: one that was kept may be closed by the server at the moment it is used
   * again, and then nobody knows whether a change was carried out.
   */
  readonly fresh: https.Agent
  readonly server: string
}

const timeoutOf = ({ options }: Parts): number => options.answerTimeoutMillis ?? defaultAnswerTimeoutMillis

const failureOf = ({ options, server }: Parts, error: unknown): RemoteError =>
  connectionFailure(server, error, options.fingerprint)

const optionsOf = (parts: Parts, method: string, target: string, headers: Headers): RequestOptions => ({
  agent: method === "GET" && headers["upgrade"] === undefined ? parts.kept : parts.fresh,
  timeout: timeoutOf(parts),
  host: parts.options.address.host,
  port: parts.options.address.port,
  method,
  path: `/api2/json${target}`,
  headers: { "user-agent": userAgent, "content-type": formType, ...headers }
})

/** Tells the answer when it is whole, or what went wrong with it. */
const receive = (
  parts: Parts,
  response: IncomingMessage,
  maxBytes: number,
  tell: (outcome: Effect.Effect<Answer, RemoteError>) => void
): void => {
  const received = Received.make(maxBytes)
  response.on("data", (piece: Uint8Array) => {
    if (received.add(piece)) return
    tell(Effect.fail(tooLarge(parts.server, maxBytes)))
    response.destroy()
  })
  response.on("error", () => tell(Effect.fail(disconnected(parts.server))))
  response.on("close", () => tell(Effect.fail(disconnected(parts.server))))
  response.on("end", () => {
    const { headers, statusCode: status = 0 } = response
    const contentType = headers["content-type"] ?? ""
    const cookies = headers["set-cookie"] ?? []
    tell(Effect.succeed({ status, contentType, cookies, body: received.whole() }))
  })
}

const endSilent = (
  { server }: Parts,
  request: ClientRequest,
  tell: (outcome: Effect.Effect<never, RemoteError>) => void
): void => {
  tell(Effect.fail(disconnected(server, "no answer came in time")))
  request.destroy()
}

const askOnce = (parts: Parts, { headers = {}, json, maxBytes, method, path, query = {} }: Request) =>
  Effect.callback<Answer, RemoteError>((resume) => {
    const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json))
    const described: Headers =
      body === undefined ? {} : { "content-type": jsonType, "content-length": String(body.length) }
    const request = https.request(
      optionsOf(parts, method, withQuery(path, query), { ...headers, ...described })
    )
    request.on("error", (error) => resume(Effect.fail(failureOf(parts, error))))
    request.on("timeout", () => endSilent(parts, request, resume))
    request.on("response", (response) => receive(parts, response, maxBytes, resume))
    request.end(body)
    return Effect.sync(() => void request.destroy())
  })

const upgradeOnce = (parts: Parts, { headers, path, protocol, query }: Upgrading) =>
  Effect.callback<Duplex | Answer, RemoteError>((resume) => {
    let upgraded: Duplex | undefined
    const asking: Headers = { ...headers, connection: "upgrade", upgrade: protocol }
    const request = https.request(optionsOf(parts, "GET", withQuery(path, query), asking))
    request.on("error", (error) => resume(Effect.fail(failureOf(parts, error))))
    request.on("timeout", () => endSilent(parts, request, resume))
    request.on("response", (response) => receive(parts, response, refusalMaxBytes, resume))
    request.on("upgrade", (_, socket: Duplex, head: Uint8Array) => {
      upgraded = socket
      neverEndIdle(socket)
      // Whoever takes the connection over listens for its end; until then an error must not end the process.
      socket.on("error", () => undefined)
      if (head.length > 0) socket.unshift(head)
      resume(Effect.succeed(socket))
    })
    request.end()
    return Effect.sync(() => {
      request.destroy()
      upgraded?.destroy()
    })
  })

const timed = <A>(parts: Parts, maxBytes: number, run: Effect.Effect<A, RemoteError>) => {
  const duration = timeoutOf(parts) + Math.ceil(maxBytes / slowestBytesPerMilli)
  return Effect.timeoutOrElse(run, {
    duration,
    orElse: () => Effect.fail(disconnected(parts.server, "no answer came in time"))
  })
}

export const make = (options: HttpOptions): Effect.Effect<RemoteHttp, never, Scope.Scope> =>
  Effect.gen(function* () {
    const common = {
      maxSockets: connectionsMax,
      connectTimeoutMillis: options.connectTimeoutMillis ?? defaultConnectTimeoutMillis,
      showsFingerprint: true,
      ...(options.fingerprint === undefined ? {} : { fingerprint: options.fingerprint })
    }
    const { https: kept } = yield* HttpAgents.make(common)
    const { https: fresh } = yield* HttpAgents.make({ ...common, keepAlive: false })
    const server = RemoteAddress.serverText(options.address)
    const parts: Parts = { options, kept, fresh, server }
    return {
      server,
      ask: (request) => timed(parts, request.maxBytes, askOnce(parts, request)),
      upgrade: (upgrading) => timed(parts, refusalMaxBytes, upgradeOnce(parts, upgrading))
    }
  })
