/**
 * Holds requests back so that a server, or a line that others use too, is not asked for more than was agreed.
 *
 * Fair: there is a line for reads of bodies, one for writes and one for the others, so that downloads do not wait for a
 * limit on uploads. In each it is first come, first served; for the limit on all requests the heads of the lines take
 * turns. Who is interrupted while waiting leaves the line and has taken nothing.
 *
 * The size of a body that comes back is not known before: a range is taken at its length, a whole object at the mean
 * of those before. The difference is settled when the answer is there, and delays who comes next. So bytes in keep to
 * their rate over time, and may be off by what is under way at the moment.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import { ObjectStore } from "../ObjectStore.ts"
import type { ObjectStoreError, ObjectStoreOperation } from "../ObjectStoreError.ts"
import { around, type ObjectRequest } from "./ObjectRequest.ts"
import { type Rate, TokenBucket } from "./TokenBucket.ts"

export type { Rate }

/** What is left out is not limited. */
export interface RateLimits {
  /** Requests that write a body: put and putIfAbsent. */
  readonly puts?: Rate
  /** Requests of any kind. */
  readonly requests?: Rate
  readonly bytesIn?: Rate
  readonly bytesOut?: Rate
}

interface Charge {
  readonly bucket: TokenBucket
  readonly cost: number
}

type Line = "writes" | "reads" | "others"

const lineOf: Record<ObjectStoreOperation, Line> = {
  put: "writes",
  putIfAbsent: "writes",
  get: "reads",
  getRange: "reads",
  head: "others",
  list: "others",
  deleteMany: "others",
  copy: "others"
}

/** How large a body is thought to be before one was seen: about a compressed chunk. */
const firstGuessBytes = 1024 * 1024

/** How much one body moves the mean. */
const meanWeight = 0.1

const chargeOf = (bucket: TokenBucket | undefined, cost: number): ReadonlyArray<Charge> =>
  bucket === undefined || cost <= 0 ? [] : [{ bucket, cost }]

/** Waits until every charge can be taken, without taking any. */
const ready = (charges: ReadonlyArray<Charge>): Effect.Effect<void> =>
  Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
    const waitMillis = Math.max(0, ...charges.map(({ bucket, cost }) => bucket.waitMillis(cost, now)))
    return waitMillis === 0
      ? Effect.void
      : Effect.flatMap(Effect.sleep(Duration.millis(waitMillis)), () => ready(charges))
  })

const take = (charges: ReadonlyArray<Charge>): Effect.Effect<void> =>
  Effect.map(Clock.monotonicTimeNanos, (now) => {
    for (const { bucket, cost } of charges) bucket.take(cost, now)
  })

class Limiter {
  readonly #puts: TokenBucket | undefined
  readonly #requests: TokenBucket | undefined
  readonly #bytesIn: TokenBucket | undefined
  readonly #bytesOut: TokenBucket | undefined
  readonly #lines: Record<Line, Semaphore.Semaphore> = {
    writes: Semaphore.makeUnsafe(1),
    reads: Semaphore.makeUnsafe(1),
    others: Semaphore.makeUnsafe(1)
  }
  readonly #heads = Semaphore.makeUnsafe(1)
  #meanBytes = firstGuessBytes

  constructor({ puts, requests, bytesIn, bytesOut }: RateLimits, nowNanos: bigint) {
    const bucketOf = (rate: Rate | undefined) => rate && new TokenBucket(rate, nowNanos)
    this.#puts = bucketOf(puts)
    this.#requests = bucketOf(requests)
    this.#bytesIn = bucketOf(bytesIn)
    this.#bytesOut = bucketOf(bytesOut)
  }

  /** Waits for the request's turn. What only this line takes from is still there when the last line was waited for. */
  admit({ operation, bytesOut }: ObjectRequest, bytesIn: number): Effect.Effect<void> {
    const line = lineOf[operation]
    const own = [
      ...(line === "writes" ? chargeOf(this.#puts, 1) : []),
      ...chargeOf(this.#bytesOut, bytesOut),
      ...chargeOf(this.#bytesIn, bytesIn)
    ]
    const all = chargeOf(this.#requests, 1)
    const go = take([...own, ...all])
    const meet = all.length === 0 ? go : this.#heads.withPermit(Effect.andThen(ready(all), go))
    return this.#lines[line].withPermit(Effect.andThen(ready(own), meet))
  }

  guessBytesIn({ operation, bytesInMax }: ObjectRequest): number {
    return operation === "get" ? Math.min(bytesInMax, Math.max(1, this.#meanBytes)) : bytesInMax
  }

  /** What was cut short may have come nearly whole: it is not given back. */
  settle(
    operation: ObjectStoreOperation,
    guessed: number,
    exit: Exit.Exit<number, ObjectStoreError>
  ): Effect.Effect<void> {
    const bucket = this.#bytesIn
    if (bucket === undefined || guessed === 0) return Effect.void
    return Effect.map(Clock.monotonicTimeNanos, (now) => {
      if (Exit.isSuccess(exit)) {
        bucket.give(guessed - exit.value, now)
        if (operation === "get") this.#meanBytes += (exit.value - this.#meanBytes) * meanWeight
        return
      }
      const error = Exit.findError(exit)
      if (Result.isSuccess(error) && error.success.reason !== "Truncated") bucket.give(guessed, now)
    })
  }
}

/** The store with limits. Two stores with one budget of requests have to be one limited store. */
export const rateLimited = (
  store: ObjectStore["Service"],
  limits: RateLimits
): Effect.Effect<ObjectStore["Service"]> =>
  Effect.map(Clock.monotonicTimeNanos, (now) => {
    const limiter = new Limiter(limits, now)
    return around(store, (request, run, bytesIn) =>
      Effect.suspend(() => {
        const guessed = limiter.guessBytesIn(request)
        const settled = Effect.onExit(run, (exit) =>
          limiter.settle(request.operation, guessed, Exit.map(exit, bytesIn))
        )
        return Effect.andThen(limiter.admit(request, guessed), settled)
      })
    )
  })

export const layer = (limits: RateLimits): Layer.Layer<ObjectStore, never, ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.flatMap(ObjectStore, (store) => rateLimited(store, limits))
  )
