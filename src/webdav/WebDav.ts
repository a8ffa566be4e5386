/**
 * WebDav: the tree over HTTP, as WebDAV (RFC 4918, class 1) and as pages for browsers, read-only. Everything a
 * system can connect to without FUSE.
 *
 * Who may read: on loopback every program and every user of this machine; elsewhere everybody who reaches the address,
 * unencrypted, which is why that has to be allowed. Pages of other sites may not, not even by a name that they let
 * point to this machine.
 *
 * Bounds: 64 connections, each with one request at work and one piece of half a MiB; headers of 16 KiB; bodies of
 * 16 KiB. A client that goes away interrupts what only it waited for; one that neither takes nor sends anything for ten
 * minutes is hung up on.
 */
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as http from "node:http"
import { randomHex } from "../platform/Entropy.ts"
import type { Vfs } from "../vfs/Vfs.ts"
import * as Handler from "./Handler.ts"
import * as Listen from "./Listen.ts"
import { type WebDavError, webDavError } from "./WebDavError.ts"

export interface ServeOptions {
  /** Default 127.0.0.1. */
  readonly host?: string
  /** 0 for any that is free. Default 8765. */
  readonly port?: number
  /** An address that other machines reach is refused without it. Default false. */
  readonly allowRemote?: boolean
}

export interface Serving {
  /** Of the tree's root, with a slash at its end. */
  readonly url: string
  readonly host: string
  readonly port: number
}

const connectionsMax = 64
const headersMaxBytes = 16 * 1024
const headersTimeoutMillis = 30_000
const idleTimeoutMillis = 600_000
/** Between two requests of a connection. */
const keepAliveMillis = 30_000
const farewell = "2 seconds"

const makeServer = (): http.Server => {
  const server = http.createServer({
    maxHeaderSize: headersMaxBytes,
    headersTimeout: headersTimeoutMillis,
    keepAliveTimeout: keepAliveMillis
  })
  server.maxConnections = connectionsMax
  server.timeout = idleTimeoutMillis
  return server
}

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)

const listeningFailure = (address: Listen.ListenAddress, cause: unknown): WebDavError => {
  const subject = `${address.host}:${address.port}`
  const code = codeOf(cause)
  if (code === "EADDRINUSE") return webDavError("AddressInUse", subject, "something else listens there")
  const detail =
    { EACCES: "this user may not listen there", EADDRNOTAVAIL: "is no address of this machine" }[code] ??
    `cannot listen there: ${code}`
  return webDavError("CannotListen", subject, detail)
}

const portOf = (server: http.Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Serves the tree until the scope ends. Then answers that are on their way have two seconds to come to an end. */
export const serve = ({
  allowRemote = false,
  host = Listen.loopback,
  port = Listen.defaultPort
}: ServeOptions = {}): Effect.Effect<Serving, WebDavError, Vfs | Scope.Scope> =>
  Effect.gen(function* () {
    const isLocalOnly = Listen.isLoopback(host)
    if (!isLocalOnly && !allowRemote) {
      const detail = "everybody who reaches this address could read all files, unencrypted"
      return yield* webDavError("OpenToOthers", `${host}:${port}`, detail)
    }
    const node = makeServer()
    const server = yield* NodeHttpServer.make(() => node, {
      host,
      port,
      gracefulShutdownTimeout: farewell
    }).pipe(Effect.mapError(({ cause }) => listeningFailure({ host, port }, cause)))
    // Before the server waits for its connections to end: whatever a client does, or leaves undone, it ends.
    yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
    const treeTag = yield* randomHex(8)
    const application = HttpServer.serve(Handler.make({ treeTag, isLocalOnly }))
    yield* Layer.build(Layer.provide(application, Layer.succeed(HttpServer.HttpServer, server)))
    const bound = { host, port: portOf(node) }
    return { ...bound, url: Listen.urlOf(bound) }
  })
