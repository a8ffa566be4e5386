/** failures: what a call tells its client when a store fails: 400 and the message, as Proxmox Backup Server does. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { StoreError } from "../store/StoreError.ts"
import { ApiError, badRequest } from "./ApiError.ts"

interface Failed {
  readonly _tag: string
  readonly message: string
}

/** What clients look for when they ask whether a namespace is there. */
const noSuchNamespace = badRequest("ENOENT: No such file or directory")

const toApiError = (error: Failed | ApiError): ApiError => {
  if (error instanceof ApiError) return error
  const isMissingNamespace = error instanceof StoreError && error.reason === "NoSuchNamespace"
  return isMissingNamespace ? noSuchNamespace : badRequest(error.message)
}

/** Every failure of a service becomes an answer. */
export const told = <A, E extends Failed, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, ApiError, R> =>
  Effect.mapError(effect, toApiError)

const fault = new ApiError({ status: 500, message: "internal error of the server, see its log" })

/** A fault of this program is logged and told as one; it ends this call and nothing else. */
export const guarded = <A, R>(effect: Effect.Effect<A, ApiError, R>): Effect.Effect<A, ApiError, R> =>
  Effect.catchCause(effect, (cause) => {
    if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
    const failed = cause.reasons.find(Cause.isFailReason)
    if (failed !== undefined) return Effect.fail(failed.error)
    return Effect.andThen(Effect.logError("a fault of the server", cause), Effect.fail(fault))
  })
