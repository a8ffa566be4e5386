/**
 * How fast an object store is from here: how long one small request takes, and how many bytes a second go through
 * several requests at a time. Figures, no verdict.
 *
 * The probe works on objects of its own below `<prefix>.granary-probe/` and removes them in the end, also when it is
 * interrupted or fails. Bodies are random, so that nothing on the way makes them smaller. Each part begins nothing new
 * when its time is over: a slow line makes it measure less, not take longer.
 *
 * Give it the store without retries: a failed attempt would be measured as a slow one.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Entropy, randomHex } from "../platform/Entropy.ts"
import * as ObjectKey from "./ObjectKey.ts"
import { ObjectStore } from "./ObjectStore.ts"
import type { ObjectStoreError } from "./ObjectStoreError.ts"

export interface SpeedOptions {
  /** Small requests of each kind. Default 10. */
  readonly rounds?: number
  /** Size of the bodies that measure throughput. Default 4 MiB, about a chunk. */
  readonly bodyBytes?: number
  /** How many of them are written and read. Default 16. */
  readonly bodies?: number
  /** Requests at a time. Default 8. */
  readonly concurrency?: number
  /** No request begins later than this after its part began. Default 10. */
  readonly partMaxSeconds?: number
}

/** Of one kind of small requests, each sent after the answer to the one before. */
export interface Latency {
  readonly medianMillis: number
  readonly worstMillis: number
}

export interface Throughput {
  readonly bytesPerSecond: number
  readonly bytes: number
}

export interface SpeedReport {
  readonly put: Latency
  readonly get: Latency
  readonly list: Latency
  readonly upload: Throughput
  readonly download: Throughput
  /** Requests at a time while throughput was measured. */
  readonly concurrency: number
}

const nanosPerMilli = 1e6

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begin = yield* Clock.monotonicTimeNanos
    const value = yield* effect
    const end = yield* Clock.monotonicTimeNanos
    return { value, millis: Number(end - begin) / nanosPerMilli }
  })

const latencyOf = (millis: ReadonlyArray<number>): Latency => {
  const sorted = millis.toSorted((left, right) => left - right)
  return { medianMillis: sorted[sorted.length >> 1] ?? 0, worstMillis: sorted.at(-1) ?? 0 }
}

/** Small requests, one after the other, as far as the time goes; one at least. */
const latency = (
  send: (round: number) => Effect.Effect<unknown, ObjectStoreError>,
  rounds: number,
  maxMillis: number
) =>
  Effect.gen(function* () {
    const millis: Array<number> = []
    let total = 0
    for (let round = 0; round < rounds && total <= maxMillis; round++) {
      const { millis: one } = yield* timed(send(round))
      millis.push(one)
      total += one
    }
    return latencyOf(millis)
  })

/** The keys whose requests were sent: none begins when the time is over. */
const sendAll = <A>(
  keys: ReadonlyArray<ObjectKey.ObjectKey>,
  send: (key: ObjectKey.ObjectKey) => Effect.Effect<A, ObjectStoreError>,
  concurrency: number,
  maxMillis: number
) =>
  Effect.gen(function* () {
    const begin = yield* Clock.monotonicTimeNanos
    const sent: Array<ObjectKey.ObjectKey> = []
    yield* Effect.forEach(
      keys,
      (key, index) =>
        Effect.flatMap(Clock.monotonicTimeNanos, (now) =>
          index > 0 && Number(now - begin) / nanosPerMilli > maxMillis
            ? Effect.void
            : Effect.map(send(key), () => void sent.push(key))
        ),
      { concurrency, discard: true }
    )
    return sent
  })

const throughputOf = (bytes: number, millis: number): Throughput => ({
  bytes,
  bytesPerSecond: millis <= 0 ? 0 : (bytes / millis) * 1000
})

const measure = (folder: ObjectKey.KeyPrefix, written: Set<ObjectKey.ObjectKey>, options: SpeedOptions) =>
  Effect.gen(function* () {
    const { rounds = 10, bodyBytes = 4 * 1024 * 1024, bodies = 16, concurrency = 8 } = options
    const maxMillis = (options.partMaxSeconds ?? 10) * 1000
    const store = yield* ObjectStore
    const random = yield* Entropy
    const newKey = (name: string): ObjectKey.ObjectKey => {
      const key = ObjectKey.join(folder, name)
      written.add(key)
      return key
    }
    const small = newKey("small")
    const content = random(64)
    const put = yield* latency(() => store.put(small, content), rounds, maxMillis)
    const get = yield* latency(() => store.get(small, content.length), rounds, maxMillis)
    const list = yield* latency(() => store.list({ prefix: folder, pageSize: 10 }), rounds, maxMillis)
    const body = random(bodyBytes)
    const keys = Array.from({ length: bodies }, (_, index) => newKey(`body-${index}`))
    const upload = yield* timed(sendAll(keys, (key) => store.put(key, body), concurrency, maxMillis))
    const there = upload.value
    const download = yield* timed(sendAll(there, (key) => store.get(key, bodyBytes), concurrency, maxMillis))
    return {
      put,
      get,
      list,
      upload: throughputOf(there.length * bodyBytes, upload.millis),
      download: throughputOf(download.value.length * bodyBytes, download.millis),
      concurrency
    } satisfies SpeedReport
  })

/** Measures the store behind the port, below the prefix that the datastore will use. */
export const probe = (
  prefix: ObjectKey.KeyPrefix,
  options: SpeedOptions = {}
): Effect.Effect<SpeedReport, ObjectStoreError, ObjectStore> =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    const name = yield* randomHex(8)
    const folder = ObjectKey.joinPrefix(prefix, `.granary-probe/${name}/`)
    const written = new Set<ObjectKey.ObjectKey>()
    const cleanUp = Effect.suspend(() =>
      Effect.forEach([...written], (key) => Effect.ignore(store.deleteMany([key])), {
        concurrency: options.concurrency ?? 8,
        discard: true
      })
    )
    return yield* Effect.ensuring(measure(folder, written, options), cleanUp)
  })
