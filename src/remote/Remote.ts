/**
 * Remote: a Proxmox Backup Server, or `granary serve`, as a client sees it: calls of its API, and sessions of its two
 * protocols.
 *
 * Invariants: nothing is sent to a server whose certificate is not settled; the connections end with the scope. What
 * only asks is repeated when the trouble is likely to pass; what changes something is sent once.
 */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { type Answer, dataOf, isGood, orRemoteError, refusalOf } from "./answers.ts"
import type { Parameters } from "./parameters.ts"
import type { RemoteAddress } from "./RemoteAddress.ts"
import type { RemoteError } from "./RemoteError.ts"
import * as RemoteHttp from "./RemoteHttp.ts"
import * as RemoteLogin from "./RemoteLogin.ts"
import * as RemoteSession from "./RemoteSession.ts"

export interface RemoteOptions {
  readonly address: RemoteAddress
  /** The secret of the token, or the password of the user. */
  readonly secret: Redacted.Redacted<string>
  /** SHA-256 of the certificate; trusted although the system does not know it. Hex, with or without colons. */
  readonly fingerprint?: string | undefined
  /** Default 10 s. */
  readonly connectTimeoutMillis?: number | undefined
  /** Default 2 minutes. */
  readonly answerTimeoutMillis?: number | undefined
}

export type Method = "GET" | "POST" | "PUT" | "DELETE"

export interface Remote {
  readonly address: RemoteAddress
  /** Host and port, as messages name the server. */
  readonly server: string
  /**
   * A call of the API below `/api2/json`; answers what is under `data`. The parameters of POST are sent as JSON, those
   * of other methods in the query.
   */
  readonly call: (
    method: Method,
    path: string,
    parameters?: Parameters
  ) => Effect.Effect<unknown, RemoteError>
  /** GET of raw bytes. */
  readonly bytes: (
    path: string,
    parameters: Parameters,
    maxBytes: number
  ) => Effect.Effect<Uint8Array, RemoteError>
  /** A session of its own connection, until the scope closes. The store of the address need not be named. */
  readonly begin: (
    protocol: "backup" | "reader",
    parameters: Parameters
  ) => Effect.Effect<RemoteSession.RemoteSession, RemoteError, Scope.Scope>
}

const protocols = {
  backup: "proxmox-backup-protocol-v1",
  reader: "proxmox-backup-reader-protocol-v1"
}

/** What a listing of many snapshots may take. */
const dataMaxBytes = 128 * 1024 * 1024

const attempts = Schedule.exponential("200 millis").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 3 }),
  Schedule.setInputType<RemoteError>(),
  Schedule.while(({ input }) => input.isTransient)
)

const normalFingerprint = (text: string): string =>
  (text.replaceAll(/[\s:]/g, "").toLowerCase().match(/../g) ?? []).join(":")

const isAnswer = (upgraded: object): upgraded is Answer => "status" in upgraded

interface Parts {
  readonly http: RemoteHttp.RemoteHttp
  readonly login: RemoteLogin.RemoteLogin
  readonly store: string
}

const checked = ({ http }: Parts, answer: Answer): Effect.Effect<Answer, RemoteError> =>
  isGood(answer) ? Effect.succeed(answer) : Effect.fail(refusalOf(http.server, answer))

/** Runs with headers that say who asks; once more when a ticket is not taken any more. */
const asUser = <A>(
  { login }: Parts,
  run: (headers: RemoteHttp.Headers) => Effect.Effect<A, RemoteError>
): Effect.Effect<A, RemoteError> =>
  Effect.flatMap(login.headers, (headers) =>
    run(headers).pipe(
      Effect.catchIf(
        ({ reason }) => reason === "Login",
        (error) =>
          Effect.flatMap(login.drop(headers), (isWorthwhile) =>
            isWorthwhile ? Effect.flatMap(login.headers, run) : Effect.fail(error)
          )
      )
    )
  )

const ask = (parts: Parts, request: RemoteHttp.Request): Effect.Effect<Answer, RemoteError> => {
  const once = asUser(parts, (headers) =>
    Effect.flatMap(parts.http.ask({ ...request, headers }), (answer) => checked(parts, answer))
  )
  return request.method === "GET" ? Effect.retry(once, attempts) : once
}

const requestOf = (method: Method, path: string, parameters: Parameters): RemoteHttp.Request => {
  const request = { method, path, maxBytes: dataMaxBytes }
  if (method !== "POST") return { ...request, query: parameters }
  return Object.keys(parameters).length === 0 ? request : { ...request, json: parameters }
}

const begin = (parts: Parts, protocol: "backup" | "reader", parameters: Parameters) =>
  Effect.uninterruptibleMask((interruptibly) =>
    Effect.gen(function* () {
      const path = `/${protocol}`
      const query = { store: parts.store, ...parameters }
      const upgraded = yield* interruptibly(
        asUser(parts, (headers) =>
          Effect.flatMap(
            parts.http.upgrade({ path, protocol: protocols[protocol], query, headers }),
            (found) => {
              if (!isAnswer(found)) return Effect.succeed(found)
              const { server } = parts.http
              return Effect.fail(isGood(found) ? RemoteSession.notUpgraded(server) : refusalOf(server, found))
            }
          )
        )
      )
      return yield* RemoteSession.over(upgraded, parts.http.server)
    })
  )

/** Nothing is sent before the first call. */
export const make = (options: RemoteOptions): Effect.Effect<Remote, RemoteError, Scope.Scope> =>
  Effect.gen(function* () {
    const { address, fingerprint, secret } = options
    const pinned = fingerprint === undefined ? undefined : normalFingerprint(fingerprint)
    const http = yield* RemoteHttp.make({ ...options, fingerprint: pinned })
    const login = RemoteLogin.make(http, address.authId, secret)
    const parts: Parts = { http, login, store: address.store }
    return {
      address,
      server: http.server,
      call: (method, path, parameters = {}) =>
        Effect.flatMap(ask(parts, requestOf(method, path, parameters)), (answer) =>
          orRemoteError(() => dataOf(http.server, answer))
        ),
      bytes: (path, parameters, maxBytes) =>
        Effect.map(ask(parts, { method: "GET", path, query: parameters, maxBytes }), ({ body }) => body),
      begin: (protocol, parameters) => begin(parts, protocol, parameters)
    }
  })
