/**
 * Server: datastores on the network, as Proxmox Backup Server speaks: REST and the two protocols of backup and restore,
 * all over TLS on one port.
 *
 * Who may do what is decided for every request (`Access`); nothing is served without credentials but the login. Bounds:
 * 256 connections, headers of 16 KiB, targets of 3 KiB, 256 MiB of bodies and chunks in memory for all clients together
 * and 64 MiB for one (`Admission`).
 *
 * When the scope ends, nobody new is let in; sessions that are at work have some time to come to their end. Those that
 * have not by then are cut, and what they had begun is undone.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import type { Files } from "../platform/Files.ts"
import { neverEndIdle } from "../platform/idleConnections.ts"
import * as Access from "./Access.ts"
import { ApiError } from "./ApiError.ts"
import { guarded } from "./failures.ts"
import * as AdmissionModule from "./protocol/Admission.ts"
import * as calls from "./protocol/calls.ts"
import * as Http2Session from "./protocol/Http2Session.ts"
import * as Upgrade from "./protocol/Upgrade.ts"
import * as Rest from "./rest/Rest.ts"
import type { ServedStores } from "./ServedStores.ts"
import { ServerError } from "./ServerError.ts"
import type { Certificate } from "./tls/Certificate.ts"
import * as Credentials from "./users/Credentials.ts"
import type { Users } from "./users/Users.ts"

export interface ServeOptions {
  readonly certificate: Certificate
  /** Default 127.0.0.1. */
  readonly host?: string
  /** 0 for any that is free. Default 8007. */
  readonly port?: number
  /** How long running sessions may go on when the scope ends. Default ten seconds. */
  readonly graceMillis?: number
}

export interface Serving {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly fingerprint: string
}

/** Proxmox Backup Server's. */
export const defaultPort = 8007

export type Needs = Users | ServedStores | Files | ChunkCodec

const connectionsMax = 256
const headersMaxBytes = 16 * 1024
const headersTimeoutMillis = 30_000
const requestTimeoutMillis = 300_000
const keepAliveMillis = 60_000
const tcpKeepAliveMillis = 120_000

const makeServer = ({ certificatePem, keyPem }: Certificate): https.Server => {
  const server = https.createServer({
    cert: certificatePem,
    key: keyPem,
    minVersion: "TLSv1.2",
    maxHeaderSize: headersMaxBytes,
    headersTimeout: headersTimeoutMillis,
    requestTimeout: requestTimeoutMillis,
    keepAliveTimeout: keepAliveMillis,
    handshakeTimeout: headersTimeoutMillis,
    noDelay: true
  })
  server.maxConnections = connectionsMax
  server.on("connection", (socket: net.Socket) => socket.setKeepAlive(true, tcpKeepAliveMillis))
  server.on("tlsClientError", (_, socket) => socket.destroy())
  return server
}

const codeOf = (error: Error): string => ("code" in error ? String(error.code) : error.message)

const listen = (server: https.Server, host: string, port: number): Effect.Effect<number, ServerError> =>
  Effect.callback((resume) => {
    const onError = (error: Error): void => {
      const code = codeOf(error)
      const detail =
        {
          EADDRINUSE: "something else listens there",
          EACCES: "this user may not listen there",
          EADDRNOTAVAIL: "is no address of this machine"
        }[code] ?? `cannot listen there: ${code}`
      resume(
        Effect.fail(
          new ServerError({ subject: `${host}:${port}`, detail, hint: "choose another with --listen" })
        )
      )
    }
    server.once("error", onError)
    server.listen(port, host, () => {
      server.off("error", onError)
      // From here on an error is one of a single connection.
      server.on("error", () => undefined)
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

const write = (socket: Duplex, text: string): Effect.Effect<void> =>
  Effect.callback((resume) => {
    socket.write(text, () => resume(Effect.void))
  })

/** Before an upgrade there is no response object: the answer is written by hand. */
const refuse = (socket: Duplex, { message, status }: ApiError): Effect.Effect<void> =>
  Effect.sync(() => {
    const head = [
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? "Error"}`,
      "content-type: application/json;charset=UTF-8",
      `content-length: ${Buffer.byteLength(message)}`,
      "connection: close"
    ]
    socket.end(`${head.join("\r\n")}\r\n\r\n${message}`)
  })

/** Opens the session that is asked for, and serves it until it ends. */
const upgrade = (
  request: http.IncomingMessage,
  socket: Duplex,
  head: Buffer,
  admission: AdmissionModule.Admission
): Effect.Effect<void, never, Needs> =>
  Effect.scoped(
    Effect.gen(function* () {
      const target = calls.parseTarget(request.url ?? "/")
      const granted = Effect.gen(function* () {
        if (target instanceof ApiError) return yield* target
        const authId = yield* Credentials.authenticate(request.method ?? "GET", request.headers)
        return yield* Effect.provideService(Upgrade.open(request, target), Access.Requester, { authId })
      })
      const session = yield* guarded(granted).pipe(
        Effect.catch((error) =>
          Effect.as(
            Effect.andThen(
              error.delayMillis === undefined ? Effect.void : Effect.sleep(error.delayMillis),
              refuse(socket, error)
            ),
            undefined
          )
        )
      )
      if (session === undefined) return
      const { protocol, routes } = session
      if (head.length > 0) socket.unshift(head)
      yield* write(
        socket,
        `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`
      )
      // Node must have left the write behind it before HTTP/2 takes the connection over.
      yield* Effect.sleep("1 millis")
      yield* Http2Session.serve(socket, routes, admission)
    })
  )

const urlOf = (host: string, port: number): string =>
  `https://${net.isIPv6(host) ? `[${host}]` : host}:${port}/`

/** Serves until the scope ends. */
export const serve = ({
  certificate,
  graceMillis = 10_000,
  host = "127.0.0.1",
  port = defaultPort
}: ServeOptions): Effect.Effect<Serving, ServerError, Needs | Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => makeServer(certificate)),
      (made) =>
        Effect.sync(() => {
          made.close()
          made.closeAllConnections()
        })
    )
    const admissions = yield* AdmissionModule.make
    const restAdmission = yield* admissions.forConnection
    const requests = yield* FiberSet.make<void>()
    const sessions = yield* FiberSet.make<void>()
    const runRequest = yield* FiberSet.runtime(requests)<Needs>()
    const runSession = yield* FiberSet.runtime(sessions)<Needs>()
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        server.close()
        server.closeIdleConnections()
        yield* FiberSet.awaitEmpty(sessions).pipe(Effect.timeoutOption(graceMillis))
      })
    )
    server.on("request", (request, response) => {
      const fiber = runRequest(Effect.scoped(Rest.answer(request, response, restAdmission)))
      response.on("error", () => undefined)
      response.on("close", () => fiber.interruptUnsafe())
    })
    server.on("upgrade", (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
      neverEndIdle(socket)
      socket.on("error", () => socket.destroy())
      const fiber = runSession(
        Effect.flatMap(admissions.forConnection, (admission) => upgrade(request, socket, head, admission))
      )
      socket.on("close", () => fiber.interruptUnsafe())
    })
    const bound = yield* listen(server, host, port)
    return { host, port: bound, url: urlOf(host, bound), fingerprint: certificate.fingerprint }
  })
