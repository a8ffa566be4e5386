/**
 * TransferRates: how many bytes a second a sync reads from its source and writes to its target at most.
 *
 * First come, first served. What comes in is taken at its largest possible size and the rest given back when it is
 * there; so over time the rate is kept, and no burst follows on many small answers.
 *
 * Invariant: who is interrupted while waiting has taken nothing.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { TokenBucket } from "../objectstore/decorators/TokenBucket.ts"
import type { SyncError } from "./SyncError.ts"
import type { TransferRate } from "./SyncOptions.ts"

export interface RateLimit {
  readonly isLimited: boolean
  /** Runs what gets at most so many bytes. */
  readonly incoming: (
    sizeBytesMax: number
  ) => <R>(transfer: Effect.Effect<Uint8Array, SyncError, R>) => Effect.Effect<Uint8Array, SyncError, R>
  /** Waits until so many bytes may go. */
  readonly outgoing: (sizeBytes: number) => Effect.Effect<void>
}

const unlimited: RateLimit = {
  isLimited: false,
  incoming: () => (transfer) => transfer,
  outgoing: () => Effect.void
}

export const make = (rate: TransferRate | undefined): Effect.Effect<RateLimit> =>
  Effect.gen(function* () {
    if (rate === undefined) return unlimited
    const { burstBytes, bytesPerSecond } = rate
    const burst = burstBytes === undefined ? {} : { burst: burstBytes }
    const bucket = new TokenBucket({ perSecond: bytesPerSecond, ...burst }, yield* Clock.monotonicTimeNanos)
    const line = yield* Semaphore.make(1)

    const outgoing = (sizeBytes: number): Effect.Effect<void> =>
      line.withPermit(
        Effect.gen(function* () {
          let waitMillis = bucket.waitMillis(sizeBytes, yield* Clock.monotonicTimeNanos)
          while (waitMillis > 0) {
            yield* Effect.sleep(Duration.millis(waitMillis))
            waitMillis = bucket.waitMillis(sizeBytes, yield* Clock.monotonicTimeNanos)
          }
          bucket.take(sizeBytes, yield* Clock.monotonicTimeNanos)
        })
      )

    const give = (bytes: number) => Effect.map(Clock.monotonicTimeNanos, (now) => bucket.give(bytes, now))

    return {
      isLimited: true,
      outgoing,
      incoming: (sizeBytesMax) => (transfer) =>
        Effect.andThen(
          outgoing(sizeBytesMax),
          transfer.pipe(
            Effect.tap((bytes) => give(sizeBytesMax - bytes.length)),
            // What fails may have come nearly whole; what was refused or missing came not at all.
            Effect.tapError(({ reason }) => (reason === "Unavailable" ? Effect.void : give(sizeBytesMax)))
          )
        )
    }
  })
