/** What the tests of decorators share: a store in memory that writes down what reaches it, and time that is made up. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { around, type ObjectRequest } from "../../../src/objectstore/decorators/ObjectRequest.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import type { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../../src/testing/MemoryObjectStore.ts"

export type Store = ObjectStore["Service"]

export const at = ObjectKey.parse

export const body = (text: string): Uint8Array => Buffer.from(text)

export interface Seen extends ObjectRequest {
  readonly atMillis: number
}

export interface Scene {
  readonly bucket: MemoryBucket
  readonly store: Store
  /** Requests that reached the store, in order. */
  readonly seen: Array<Seen>
}

/** Writes down what reaches a store, and when. */
export const watched = (store: Store, seen: Array<Seen>): Store =>
  around(store, (request, run) =>
    Effect.flatMap(Clock.currentTimeMillis, (atMillis) => {
      seen.push({ ...request, atMillis })
      return run
    })
  )

export const scene = (options: MemoryObjectStore.MemoryObjectStoreOptions = {}): Scene => {
  const bucket = new MemoryBucket()
  const seen: Array<Seen> = []
  return { bucket, seen, store: watched(MemoryObjectStore.make(bucket, options), seen) }
}

/** Runs something that waits, while the made-up clock goes on until the end of any wait. */
export const throughTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("100 days")
    return yield* Fiber.join(fiber)
  })

/** The same for a run of its own, as properties need it. */
export const runThroughTime = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(throughTime(effect).pipe(Effect.provide(TestClock.layer())))
