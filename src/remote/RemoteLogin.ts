/**
 * RemoteLogin: what a request carries to say who sends it: a token's secret, or the ticket that was given for a
 * password, renewed long before it expires.
 *
 * Invariant: secrets leave their wrapping only in the header or body of a request; no message quotes one.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import * as AuthId from "../model/AuthId.ts"
import { type Answer, badAnswer, dataOf, isGood, orRemoteError, refusalOf } from "./answers.ts"
import type { Headers, RemoteHttp } from "./RemoteHttp.ts"
import { RemoteError } from "./RemoteError.ts"

export interface RemoteLogin {
  /** The headers of a request; gets or renews the ticket when that is due. */
  readonly headers: Effect.Effect<Headers, RemoteError>
  /** The server did not take these headers; answers whether others may be better. */
  readonly drop: (refused: Headers) => Effect.Effect<boolean>
}

interface Ticket {
  readonly ticket: Redacted.Redacted<string>
  readonly headers: Headers
  readonly sinceMillis: number
}

const renewAfterMillis = 15 * 60_000
const lifeMillis = 110 * 60_000
const answerMaxBytes = 64 * 1024

const escapedPattern = /[^\x21-\x7e]|["#%<>?{}`]/gu

/** As headers of Proxmox Backup Server want it; a percent sign is escaped as well, so that every text comes through. */
const percentEncode = (text: string): string =>
  text.replaceAll(escapedPattern, (character) =>
    Array.from(new TextEncoder().encode(character), (byte) => `%${byte.toString(16).padStart(2, "0")}`)
      .join("")
      .toUpperCase()
  )

const tokenHeaders = (authId: AuthId.AuthId, secret: Redacted.Redacted<string>): Headers => ({
  authorization: `PBSAPIToken ${authId}:${percentEncode(Redacted.value(secret))}`
})

const isToken = (authId: AuthId.AuthId): boolean => AuthId.tokenOf(authId) !== undefined

const plainPattern = /^[\x21-\x3a\x3c-\x7e]{1,4096}$/

const hostCookie = "__Host-PBSAuthCookie"

const cookieIn = ({ cookies }: Answer): string | undefined =>
  cookies.map((text) => /^__Host-PBSAuthCookie=([^;]+)/.exec(text)?.[1]).find((value) => value !== undefined)

const secondFactor = (server: string): RemoteError =>
  new RemoteError({
    reason: "Login",
    server,
    detail: "this user needs a second factor",
    advice: "use an API token, which needs none"
  })

/** The ticket of a good answer. Throws `RemoteError`. */
const ticketOf = (server: string, answer: Answer, sinceMillis: number): Ticket => {
  const data = dataOf(server, answer)
  const fields = typeof data === "object" && data !== null ? (data as Record<string, unknown>) : {}
  const cookie = cookieIn(answer)
  const ticket = cookie ?? fields["ticket"]
  const csrf = fields["CSRFPreventionToken"]
  const isFine = (value: unknown): value is string => typeof value === "string" && plainPattern.test(value)
  if (!isFine(ticket) || !isFine(csrf)) throw badAnswer(server, "its answer to the login has no ticket")
  if (ticket.startsWith("PBS:!tfa!")) throw secondFactor(server)
  const name = cookie === undefined ? "PBSAuthCookie" : hostCookie
  const headers = { cookie: `${name}=${percentEncode(ticket)}`, csrfpreventiontoken: csrf }
  return { ticket: Redacted.make(ticket), headers, sinceMillis }
}

/** Asks for a ticket; an older ticket takes the place of the password. */
const ticketFor = (http: RemoteHttp, authId: AuthId.AuthId, password: Redacted.Redacted<string>) =>
  Effect.gen(function* () {
    const json = { username: authId, password: Redacted.value(password) }
    const asking = { method: "POST", path: "/access/ticket", json, maxBytes: answerMaxBytes } as const
    const answer = yield* http.ask(asking)
    const nowMillis = yield* Clock.currentTimeMillis
    return yield* orRemoteError(() => {
      if (!isGood(answer)) throw refusalOf(http.server, answer)
      return ticketOf(http.server, answer, nowMillis)
    })
  })

const isLoginError = ({ reason }: RemoteError): boolean => reason === "Login"

const withTickets = (
  http: RemoteHttp,
  authId: AuthId.AuthId,
  password: Redacted.Redacted<string>
): RemoteLogin => {
  const one = Semaphore.makeUnsafe(1)
  let current: Ticket | undefined

  const obtain = Effect.gen(function* () {
    const held = current
    if (held === undefined) return yield* ticketFor(http, authId, password)
    const ageMillis = (yield* Clock.currentTimeMillis) - held.sinceMillis
    if (ageMillis >= 0 && ageMillis < renewAfterMillis) return held
    const fresh = ticketFor(http, authId, password)
    if (ageMillis < 0 || ageMillis > lifeMillis) return yield* fresh
    return yield* ticketFor(http, authId, held.ticket).pipe(Effect.catchIf(isLoginError, () => fresh))
  })

  return {
    headers: one.withPermit(
      Effect.map(obtain, (ticket) => {
        current = ticket
        return ticket.headers
      })
    ),
    drop: (refused) =>
      Effect.sync(() => {
        if (current?.headers === refused) current = undefined
        return true
      })
  }
}

export const make = (
  http: RemoteHttp,
  authId: AuthId.AuthId,
  secret: Redacted.Redacted<string>
): RemoteLogin =>
  isToken(authId)
    ? { headers: Effect.sync(() => tokenHeaders(authId, secret)), drop: () => Effect.succeed(false) }
    : withTickets(http, authId, secret)
