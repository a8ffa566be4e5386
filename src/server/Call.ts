/**
 * Call: one request as its handler sees it, and the routes that handlers are entered in. The same for REST over
 * HTTP/1.1 and for the streams of both protocols.
 *
 * Where parameters come from depends on the content type, as in Proxmox Backup Server: JSON bodies alone, or form body
 * and query together; a raw call (its body is the content) has its query only.
 */
import * as Effect from "effect/Effect"
import type { Readable } from "node:stream"
import type { Answer } from "./Answer.ts"
import { type ApiError, badRequest } from "./ApiError.ts"
import * as Parameters from "./Parameters.ts"
import type { Admission } from "./protocol/Admission.ts"
import * as bodies from "./protocol/bodies.ts"

export interface Call {
  readonly method: string
  /** Without query; single slashes, none at the end. */
  readonly path: string
  readonly query: string
  readonly contentType: string | undefined
  readonly body: Readable
  readonly admission: Admission
}

/** Handles a call; `placeholders` are the parts of the path that the route leaves open. */
export type Route<R = never> = (
  call: Call,
  placeholders: ReadonlyMap<string, string>
) => Effect.Effect<Answer, ApiError, R>

/** Of bodies that hold parameters. */
export const parametersMaxBytes = 512 * 1024

const givenTo = (call: Call): Effect.Effect<ReadonlyMap<string, Parameters.Given>, ApiError> =>
  Effect.suspend(() => {
    const type = call.contentType?.split(";")[0]?.trim().toLowerCase()
    const body = call.admission.admit(parametersMaxBytes)(bodies.read(call.body, parametersMaxBytes))
    if (type === "application/json") return Effect.flatMap(body, Parameters.ofJson)
    if (type !== undefined && type !== "application/x-www-form-urlencoded") {
      return Effect.fail(badRequest(`unsupported content type Ok(${JSON.stringify(call.contentType)})`))
    }
    return Effect.map(body, (form) => {
      const text = Buffer.from(form).toString()
      return Parameters.ofQuery(text === "" ? call.query : `${text}&${call.query}`)
    })
  })

const withPlaceholders = (
  given: ReadonlyMap<string, Parameters.Given>,
  placeholders: ReadonlyMap<string, string>
): ReadonlyMap<string, Parameters.Given> => new Map([...given, ...placeholders])

/** A call whose body, if there is one, holds parameters. */
export const route =
  <R extends Parameters.Rules, Needs>(
    rules: R,
    handle: (values: Parameters.Values<R>) => Effect.Effect<Answer, ApiError, Needs>
  ): Route<Needs> =>
  (call, placeholders) =>
    Effect.gen(function* () {
      const given = withPlaceholders(yield* givenTo(call), placeholders)
      return yield* handle(yield* Parameters.check(rules, given))
    })

/** A call whose body is content, or whose answer is. */
export const rawRoute =
  <R extends Parameters.Rules, Needs>(
    rules: R,
    handle: (values: Parameters.Values<R>, call: Call) => Effect.Effect<Answer, ApiError, Needs>
  ): Route<Needs> =>
  (call, placeholders) =>
    Effect.gen(function* () {
      const given = withPlaceholders(Parameters.ofQuery(call.query), placeholders)
      return yield* handle(yield* Parameters.check(rules, given), call)
    })

/** Routes by method and path, such as `POST /blob`. */
export type RouteTable<R = never> = ReadonlyMap<string, Route<R>>

/** What the root of a protocol lists. */
export const subdirectories = (keys: Iterable<string>): ReadonlyArray<{ readonly subdir: string }> =>
  [...new Set([...keys].map((key) => key.slice(key.indexOf("/") + 1)))]
    .toSorted()
    .map((subdir) => ({ subdir }))
