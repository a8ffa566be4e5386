/**
 * Retries: tries again what may pass by itself. Waits grow exponentially up to a cap and are a random part of that, so
 * that many transfers do not come back together; what a store asks for is waited for in full.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { SyncError } from "./SyncError.ts"

const firstWait = Duration.millis(250)
const longestWaitMillis = 30_000

export type Retrying = <A, R>(effect: Effect.Effect<A, SyncError, R>) => Effect.Effect<A, SyncError, R>

/** `onRetry` is told what the attempt before came to. */
export const make =
  (attemptsMax: number, onRetry: (error: SyncError) => Effect.Effect<void> = () => Effect.void): Retrying =>
  (effect) =>
    Effect.retry(
      effect,
      Schedule.exponential(firstWait, 2).pipe(
        Schedule.setInputType<SyncError>(),
        Schedule.modifyDelay(({ duration, input }) =>
          Effect.map(Random.next, (share) =>
            Duration.millis(
              share * Math.min(longestWaitMillis, Duration.toMillis(duration)) +
                (input.retryAfterSeconds ?? 0) * 1000
            )
          )
        ),
        Schedule.while(({ attempt, input }) => input.retryable && attempt < attemptsMax),
        Schedule.tap(({ input }) => onRetry(input))
      )
    )
