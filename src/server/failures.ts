/**
 * failures: what a call tells its client when a store fails: 400 and the message, as Proxmox Backup Server does.
 *
 * Invariant: where a store lies is for the server's log alone; clients get the last name of a path.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { StoreError } from "../store/StoreError.ts"
import { ApiError, badRequest } from "./ApiError.ts"

interface Failed {
  readonly _tag: string
  readonly message: string
}

/** What clients look for when they ask whether a namespace is there. */
const noSuchNamespace = badRequest("ENOENT: No such file or directory")

/** What an error speaks of, where that is a file of the server's. */
const placeIn = (error: Failed): string | undefined => {
  const place = "path" in error ? error.path : "subject" in error ? error.subject : undefined
  return typeof place === "string" && path.isAbsolute(place) ? place : undefined
}

const tell = (error: Failed | ApiError): Effect.Effect<never, ApiError> => {
  if (error instanceof ApiError) return Effect.fail(error)
  if (error instanceof StoreError && error.reason === "NoSuchNamespace") return Effect.fail(noSuchNamespace)
  const place = placeIn(error)
  if (place === undefined) return Effect.fail(badRequest(error.message))
  const message = error.message.replaceAll(place, path.basename(place))
  return Effect.andThen(Effect.logWarning(error.message), Effect.fail(badRequest(message)))
}

/** Every failure of a service becomes an answer. */
export const told = <A, E extends Failed, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, ApiError, R> =>
  effect.pipe(Effect.catch(tell))

const fault = new ApiError({ status: 500, message: "internal error of the server, see its log" })

/** A fault of this program is logged and told as one; it ends this call and nothing else. */
export const guarded = <A, R>(effect: Effect.Effect<A, ApiError, R>): Effect.Effect<A, ApiError, R> =>
  Effect.catchCause(effect, (cause) => {
    if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
    const failed = cause.reasons.find(Cause.isFailReason)
    if (failed !== undefined) return Effect.fail(failed.error)
    return Effect.andThen(Effect.logError("a fault of the server", cause), Effect.fail(fault))
  })
