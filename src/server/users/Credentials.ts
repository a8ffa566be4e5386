/**
 * Credentials: what a request's headers say of who sends it: an API token, or the cookie of a ticket with the token
 * against requests of other sites' pages, which every method but GET needs.
 */
import * as Effect from "effect/Effect"
import type { IncomingHttpHeaders } from "node:http"
import type { AuthId } from "../../model/AuthId.ts"
import { type ApiError, unauthorized } from "../ApiError.ts"
import { Users } from "./Users.ts"

/** The prefixed cookie first: only a server can have set it. */
const cookieNames = ["__Host-PBSAuthCookie", "PBSAuthCookie"]

const percentDecoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const cookieIn = (header: string, name: string): string | undefined =>
  header
    .split(";")
    .map((part) => part.trim())
    .find((part) => part.startsWith(`${name}=`))
    ?.slice(name.length + 1)

const ticketIn = ({ cookie = "" }: IncomingHttpHeaders): string | undefined => {
  for (const name of cookieNames) {
    const found = cookieIn(cookie, name)
    if (found !== undefined) return percentDecoded(found)
  }
  return undefined
}

interface Token {
  readonly id: string
  readonly secret: string
}

const tokenIn = ({ authorization = "" }: IncomingHttpHeaders): Token | undefined => {
  const [, id, encoded] = /^PBSAPIToken[ =]([^:]{1,255}):(.{1,1024})$/.exec(authorization) ?? []
  const secret = encoded === undefined ? undefined : percentDecoded(encoded)
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

const csrfTokenIn = (headers: IncomingHttpHeaders): string => {
  const value = headers["csrfpreventiontoken"]
  return typeof value === "string" ? value : ""
}

/** Who sends the request; fails with 401 for everybody who cannot prove it. */
export const authenticate = (
  method: string,
  headers: IncomingHttpHeaders
): Effect.Effect<AuthId, ApiError, Users> =>
  Effect.gen(function* () {
    const users = yield* Users
    const ticket = ticketIn(headers)
    if (ticket !== undefined) {
      const user = yield* users.proveTicket(ticket)
      if (method !== "GET" && !(yield* users.isCsrfToken(user, csrfTokenIn(headers)))) {
        return yield* unauthorized("authentication failed - invalid csrf token.")
      }
      return user
    }
    const token = tokenIn(headers)
    if (token !== undefined) return yield* users.proveToken(token.id, token.secret)
    return yield* unauthorized("authentication failed - no authentication credentials provided.")
  })
