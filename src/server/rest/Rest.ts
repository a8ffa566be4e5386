/**
 * Rest: one request of HTTP/1.1 that asks for no session: who sends it, which call it is, and its answer.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Answer } from "../Answer.ts"
import * as Access from "../Access.ts"
import { ApiError, noSuchPath } from "../ApiError.ts"
import type { Call } from "../Call.ts"
import { guarded } from "../failures.ts"
import type { Admission } from "../protocol/Admission.ts"
import * as calls from "../protocol/calls.ts"
import * as sending from "../protocol/sending.ts"
import * as Upgrade from "../protocol/Upgrade.ts"
import * as Credentials from "../users/Credentials.ts"
import * as accessRoutes from "./accessRoutes.ts"
import * as Router from "./Router.ts"
import * as storeRoutes from "./storeRoutes.ts"

export type Needs = Exclude<Upgrade.Needs, Access.Requester> | Upgrade.SessionNeeds

const entries: ReadonlyArray<Router.Entry<storeRoutes.Needs>> = [
  ...accessRoutes.routes,
  ...storeRoutes.routes
]

const outletOf = (response: ServerResponse): sending.Outlet => ({
  head: (status, headers) => {
    if (!response.headersSent) response.writeHead(status, headers)
  },
  writable: response
})

const callOf = (request: IncomingMessage, target: calls.Target, admission: Admission): Call => ({
  ...target,
  method: request.method ?? "GET",
  contentType: request.headers["content-type"],
  body: request,
  admission
})

const isLogin = ({ method, path }: Call): boolean =>
  method === "POST" && /^\/api2\/(?:json|extjs)\/access\/ticket$/.test(path)

/** What the call comes to. */
const handle = (request: IncomingMessage, call: Call): Effect.Effect<Answer, ApiError, Needs> =>
  Effect.gen(function* () {
    if (isLogin(call)) return yield* accessRoutes.ticket(call, new Map())
    const parts = Router.split(call.path)
    const authId = yield* Credentials.authenticate(call.method, request.headers)
    const asked = Effect.gen(function* () {
      // Without an upgrade there is no session, but the same reasons to refuse one come first.
      if (call.method === "GET" && Upgrade.isSessionPath(call.path)) yield* Upgrade.open(request, call)
      const found = parts === undefined ? undefined : Router.find(entries, call.method, parts.rest)
      return found === undefined ? yield* noSuchPath(call.path) : yield* found.route(call, found.placeholders)
    })
    return yield* Effect.provideService(asked, Access.Requester, { authId })
  })

/** The other envelope. */
const inExtJs = (answer: Answer): Answer =>
  answer.kind === "data" ? { ...answer, beside: { ...answer.beside, status: 200, success: true } } : answer

const failedInExtJs = ({ message, parameters, status }: ApiError): Answer => ({
  kind: "data",
  data: null,
  beside: { success: false, status, message, ...(parameters === undefined ? {} : { errors: parameters }) }
})

/** Answers one request. */
export const answer = (
  request: IncomingMessage,
  response: ServerResponse,
  admission: Admission
): Effect.Effect<void, never, Needs> =>
  Effect.gen(function* () {
    const startMillis = yield* Clock.currentTimeMillis
    const outlet = outletOf(response)
    const target = calls.parseTarget(request.url ?? "/")
    if (target instanceof ApiError) return yield* calls.failed(outlet, target, startMillis)
    const isExtJs = Router.split(target.path)?.format === "extjs"
    yield* guarded(handle(request, callOf(request, target, admission))).pipe(
      Effect.matchEffect({
        onFailure: (error) =>
          isExtJs && error.status !== 401
            ? sending.send(outlet, failedInExtJs(error))
            : calls.failed(outlet, error, startMillis),
        onSuccess: (value) => sending.send(outlet, isExtJs ? inExtJs(value) : value)
      })
    )
  })
