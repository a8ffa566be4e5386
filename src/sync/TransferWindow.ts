/**
 * TransferWindow: how many transfers are under way at once, over all groups of a sync, and how much memory they take.
 *
 * It narrows when a store asks for fewer requests and widens slowly again, as TCP does: halved at most once a second,
 * for what is under way at that moment was sent before anybody knew; one more for every window that went well. So it
 * settles a little below what the store bears, whatever else goes on there. Stores that try again by themselves, as
 * those in buckets do, come here only after their own patience has ended.
 *
 * Invariant: at most `transfersMax` at once, whose sizes sum up to at most `bytesMax`, unless it is a single one. Who
 * is interrupted while waiting has taken nothing.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { SyncError } from "./SyncError.ts"

export interface TransferWindow {
  /** Runs one transfer that takes so much memory. */
  readonly within: (
    sizeBytes: number
  ) => <A, R>(transfer: Effect.Effect<A, SyncError, R>) => Effect.Effect<A, SyncError, R>
  /** How many may be under way now. */
  readonly limit: () => number
}

export interface TransferWindowOptions {
  readonly transfersMax: number
  readonly bytesMax: number
}

const cutEveryMillis = 1000

export const make = ({ bytesMax, transfersMax }: TransferWindowOptions): Effect.Effect<TransferWindow> =>
  Effect.gen(function* () {
    const places = yield* Semaphore.make(transfersMax)
    const memory = yield* Semaphore.make(bytesMax)
    let limit = transfersMax
    let cutMillis = Number.NEGATIVE_INFINITY

    const resize = (wanted: number) =>
      Effect.suspend(() => {
        const before = Math.floor(limit)
        limit = Math.min(transfersMax, Math.max(1, wanted))
        return Math.floor(limit) === before ? Effect.void : places.resize(Math.floor(limit))
      })

    const widen = Effect.suspend(() => (limit === transfersMax ? Effect.void : resize(limit + 1 / limit)))

    const narrow = ({ reason }: SyncError) =>
      Effect.gen(function* () {
        if (reason !== "Throttled") return
        const now = yield* Clock.currentTimeMillis
        if (now - cutMillis < cutEveryMillis) return
        cutMillis = now
        yield* resize(limit / 2)
      })

    return {
      limit: () => Math.floor(limit),
      within: (sizeBytes) => (transfer) => {
        const measured = Effect.tapError(
          Effect.tap(transfer, () => widen),
          narrow
        )
        const permits = Math.max(1, Math.min(bytesMax, sizeBytes))
        return places.withPermit(memory.withPermits(permits)(measured))
      }
    }
  })
