/**
 * HttpAgents: the connections of an HTTP client, kept open between requests and closed with the scope.
 *
 * A server's certificate is good when the system's authorities vouch for it, or when it is the pinned one. A
 * connection is handed out only after that is settled, so that nothing is ever sent to a server that is not trusted.
 *
 * `localhost` and every name below it is this machine, whatever a name server says.
 *
 * Invariant: at most `maxSockets` connections to one server are open, idle ones included.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as dns from "node:dns"
import * as http from "node:http"
import * as https from "node:https"
import type { LookupFunction } from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"

export interface HttpAgentsOptions {
  readonly maxSockets: number
  /** Whether connections stay open between requests. Default true. */
  readonly keepAlive?: boolean
  /** SHA-256 of a certificate to trust, lower-case hex with colons. */
  readonly fingerprint?: string
  /** Without a pin as well, errors about a certificate tell its fingerprint (see `shownFingerprint`). Default false. */
  readonly showsFingerprint?: boolean
  /** Time to connect and to settle the certificate. Default 10 s. */
  readonly connectTimeoutMillis?: number
}

export interface HttpAgents {
  readonly http: http.Agent
  readonly https: https.Agent
}

/** The code of errors about a certificate that is neither trusted nor pinned. */
export const untrustedCode = "CERTIFICATE_NOT_TRUSTED"

/** The code of errors about a connection that did not come about in time. */
export const connectTimeoutCode = "CONNECT_TIMEOUT"

const failure = (code: string, message: string, more: object = {}): Error =>
  Object.assign(new Error(message), { code, ...more })

/** Of an error about a certificate: the fingerprint of the one that the server showed. */
export const shownFingerprint = (error: object): string | undefined =>
  "shownFingerprint" in error && typeof error.shownFingerprint === "string"
    ? error.shownFingerprint
    : undefined

/** Undefined when the server may be trusted. */
const distrust = (socket: tls.TLSSocket, pinned: string | undefined): Error | undefined => {
  if (socket.authorized) return undefined
  const found = socket.getPeerX509Certificate()?.fingerprint256.toLowerCase()
  if (found === pinned) return undefined
  const why = `${String(socket.authorizationError)}, and its fingerprint is ${found ?? "unknown"}`
  const expected = pinned === undefined ? "" : `, not ${pinned}`
  return failure(untrustedCode, `${why}${expected}`, { shownFingerprint: found })
}

type OnCreate = (error: Error | null, socket: Duplex) => void

class PinningAgent extends https.Agent {
  readonly #pinned: string | undefined
  readonly #timeoutMillis: number

  constructor(options: https.AgentOptions, pinned: string | undefined, timeoutMillis: number) {
    // A resumed session would not show its certificate again.
    super({ ...options, maxCachedSessions: 0 })
    this.#pinned = pinned
    this.#timeoutMillis = timeoutMillis
  }

  override createConnection(options: http.ClientRequestArgs, onCreate?: OnCreate): undefined {
    const socket = tls.connect({ ...(options as tls.ConnectionOptions), rejectUnauthorized: false })
    const timer = setTimeout(() => {
      settle(failure(connectTimeoutCode, `no connection within ${this.#timeoutMillis} ms`))
    }, this.#timeoutMillis)
    const settle = (error: Error | undefined): void => {
      clearTimeout(timer)
      socket.removeListener("error", settle)
      socket.removeListener("secureConnect", onSecure)
      if (error !== undefined) socket.on("error", () => undefined).destroy()
      onCreate?.(error ?? null, socket)
    }
    const onSecure = (): void => settle(distrust(socket, this.#pinned))
    socket.once("error", settle)
    socket.once("secureConnect", onSecure)
  }
}

const lookup: LookupFunction = (name, options, onFound) =>
  dns.lookup(name.endsWith(".localhost") ? "localhost" : name, options, onFound)

const defaultConnectTimeoutMillis = 10_000

const open = (options: HttpAgentsOptions): HttpAgents => {
  const { maxSockets } = options
  const { keepAlive = true } = options
  const common = { keepAlive, maxSockets, maxFreeSockets: maxSockets, lookup }
  const timeoutMillis = options.connectTimeoutMillis ?? defaultConnectTimeoutMillis
  return {
    http: new http.Agent(common),
    https:
      options.fingerprint === undefined && options.showsFingerprint !== true
        ? new https.Agent(common)
        : new PinningAgent(common, options.fingerprint, timeoutMillis)
  }
}

const close = (agents: HttpAgents): void => {
  agents.http.destroy()
  agents.https.destroy()
}

export const make = (options: HttpAgentsOptions): Effect.Effect<HttpAgents, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => open(options)),
    (agents) => Effect.sync(() => close(agents))
  )
