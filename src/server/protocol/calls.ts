/**
 * calls: how one call goes, over either HTTP: found in its table, handled, answered. Whatever goes wrong in one ends
 * that one and no other.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Answer } from "../Answer.ts"
import { ApiError, noSuchPath } from "../ApiError.ts"
import type { Call, Route } from "../Call.ts"
import { guarded } from "../failures.ts"
import * as sending from "./sending.ts"

/** Path and query are together no longer. */
export const targetMaxBytes = 3072

export interface Target {
  readonly path: string
  readonly query: string
}

const refusedTarget = new ApiError({ status: 400, message: "invalid uri path component" })

/** A request's target: empty components are dropped, those that begin with a dot refused. */
export const parseTarget = (target: string): Target | ApiError => {
  if (target.length > targetMaxBytes) return new ApiError({ status: 414, message: "" })
  const mark = target.indexOf("?")
  const [raw, query] = mark === -1 ? [target, ""] : [target.slice(0, mark), target.slice(mark + 1)]
  const components = raw.split("/").filter((part) => part !== "")
  try {
    const decoded = components.map((part) => decodeURIComponent(part))
    const isRefused = decoded.some((part) => part.startsWith(".") || /[/\p{Cc}]/u.test(part))
    return isRefused ? refusedTarget : { path: `/${decoded.join("/")}`, query }
  } catch {
    return refusedTarget
  }
}

/** Waits until an answer of this kind may be known. */
const heldBack = (error: ApiError, startMillis: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (error.delayMillis === undefined) return
    const elapsed = (yield* Clock.currentTimeMillis) - startMillis
    if (elapsed < error.delayMillis) yield* Effect.sleep(error.delayMillis - elapsed)
  })

export const failed = (outlet: sending.Outlet, error: ApiError, startMillis: number): Effect.Effect<void> =>
  Effect.andThen(heldBack(error, startMillis), sending.sendError(outlet, error))

/** Chunks are answered with all of their bytes at once: what one takes of memory is not known before. */
const usualChunkBytes = 4 * 1024 * 1024

/** Answers one call of a table. */
export const answer = <R>(
  route: Route<R> | undefined,
  call: Call,
  outlet: sending.Outlet,
  placeholders: ReadonlyMap<string, string> = new Map()
): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const startMillis = yield* Clock.currentTimeMillis
    const handled: Effect.Effect<Answer, ApiError, R> =
      route === undefined ? Effect.fail(noSuchPath(call.path)) : route(call, placeholders)
    const respond = guarded(handled).pipe(
      Effect.matchEffect({
        onFailure: (error) => failed(outlet, error, startMillis),
        onSuccess: (value) => sending.send(outlet, value)
      })
    )
    const isDownload = call.method === "GET" && call.path === "/chunk"
    yield* isDownload ? call.admission.admit(usualChunkBytes)(respond) : respond
  })
