/** accessRoutes: logging in, and what the server says of itself. */
import * as Effect from "effect/Effect"
import * as Answer from "../Answer.ts"
import { type ApiError, unauthorized } from "../ApiError.ts"
import { route, type Route } from "../Call.ts"
import * as Parameters from "../Parameters.ts"
import { Users } from "../users/Users.ts"
import type { Entry } from "./Router.ts"

/** The version of Proxmox Backup Server whose calls are answered here: clients decide by it what to ask for. */
const version = { version: "4.2", release: "1", repoid: "granary" }

const ticketRules = {
  username: Parameters.text(1, 255),
  password: Parameters.text(1, 1024),
  "http-only": Parameters.optional(Parameters.boolean),
  "new-format": Parameters.optional(Parameters.boolean)
}

const refuseLogin = (error: ApiError): ApiError =>
  error.status === 401 ? unauthorized("permission check failed.") : error

/** `POST /access/ticket`: the one call that needs no credentials. */
export const ticket: Route<Users> = route(ticketRules, ({ password, username }) =>
  Effect.gen(function* () {
    const { logIn } = yield* Users
    const login = yield* Effect.mapError(logIn(username, password), refuseLogin)
    return Answer.data({
      username: login.user,
      ticket: login.ticket,
      CSRFPreventionToken: login.csrfToken
    })
  })
)

export const routes: ReadonlyArray<Entry<never>> = [
  { method: "GET", pattern: "/version", route: route({}, () => Effect.succeed(Answer.data(version))) }
]
