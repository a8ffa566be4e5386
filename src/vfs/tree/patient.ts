/**
 * patient: asks a store again that could not be reached, less and less often, within a limit. For manifests, indexes
 * and lists; chunks have a way of their own (`content/Waiting`). An attempt that is under way at the limit is given as
 * long again.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { StorageError } from "../../store/StorageError.ts"
import { storeError, type StoreError } from "../../store/StoreError.ts"

const firstPauseMillis = 250
const longestPauseMillis = 5000

/** The same question may well be answered a little later. */
const isPassing = (error: StorageError | StoreError): boolean => {
  if (error._tag === "ObjectStoreError") return error.retryable
  if (error._tag === "StoreError") return error.reason === "Busy"
  // What a bucket says has its own words; a disk that fails is not asked again.
  return error.reason === "Busy" || (error.reason === "Io" && error.detail !== undefined)
}

const tooLong = (seconds: number) =>
  Effect.fail(storeError("Busy", "the store", `it has not answered for ${seconds} seconds`))

export const patient =
  (limitSeconds: number) =>
  <A, E extends StorageError | StoreError, R>(
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | StoreError, R> =>
    Effect.flatMap(Clock.currentTimeMillis, (beginMillis) => {
      const pauses = Schedule.min([
        Schedule.exponential(firstPauseMillis),
        Schedule.spaced(longestPauseMillis)
      ]).pipe(
        Schedule.setInputType<E>(),
        Schedule.while(
          ({ duration, input, now }) =>
            isPassing(input) && now - beginMillis + Duration.toMillis(duration) <= limitSeconds * 1000
        )
      )
      return effect.pipe(
        Effect.retry(pauses),
        Effect.timeoutOrElse({ duration: 2 * limitSeconds * 1000, orElse: () => tooLong(2 * limitSeconds) })
      )
    })
