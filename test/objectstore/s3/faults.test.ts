/**
 * Faults between S3ObjectStore and a server that is real HTTP: each is told by its reason, and what is said of the
 * outcome is true of the bucket.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import type { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import type { ObjectStoreError, ObjectStoreReason } from "../../../src/objectstore/ObjectStoreError.ts"
import * as S3ObjectStore from "../../../src/objectstore/s3/S3ObjectStore.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import * as FaultProxy from "../../s3/FaultProxy.ts"
import * as S3Endpoint from "../../s3/S3Endpoint.ts"
import { settingsOf } from "./buckets.ts"

type Store = ObjectStore["Service"]

const old = ObjectKey.parse("store/old")
const key = ObjectKey.parse("store/new")
const body = Buffer.from("new")

/** Changes of the bucket, and whether one has happened. */
const changes = {
  put: {
    run: (store: Store): Effect.Effect<unknown, ObjectStoreError> => store.put(key, body),
    isDone: (memory: MemoryBucket) => memory.find(key) !== undefined
  },
  putIfAbsent: {
    run: (store: Store): Effect.Effect<unknown, ObjectStoreError> => store.putIfAbsent(key, body),
    isDone: (memory: MemoryBucket) => memory.find(key) !== undefined
  },
  copy: {
    run: (store: Store): Effect.Effect<unknown, ObjectStoreError> => store.copy(old, key),
    isDone: (memory: MemoryBucket) => memory.find(key) !== undefined
  },
  deleteMany: {
    run: (store: Store): Effect.Effect<unknown, ObjectStoreError> => store.deleteMany([old, key]),
    isDone: (memory: MemoryBucket) => memory.find(old) === undefined
  }
}

const reads = {
  get: (store: Store): Effect.Effect<unknown, ObjectStoreError> => store.get(old, 99),
  getRange: (store: Store): Effect.Effect<unknown, ObjectStoreError> =>
    store.getRange(old, { offset: 0, lengthBytes: 3 }),
  head: (store: Store): Effect.Effect<unknown, ObjectStoreError> => store.head(old),
  list: (store: Store): Effect.Effect<unknown, ObjectStoreError> =>
    store.list({ prefix: ObjectKey.everything })
}

/** A bucket with one object, behind a proxy that spoils every request alike. */
const behind = (fault: FaultProxy.Fault, options?: S3ObjectStore.S3Options) =>
  Effect.gen(function* () {
    const memory = new MemoryBucket()
    memory.put(old, Buffer.from("the old body"), 0)
    const endpoint = yield* S3Endpoint.start({ memory })
    const proxy = yield* FaultProxy.start(endpoint.url, () => fault)
    const store = yield* S3ObjectStore.make(settingsOf({ ...endpoint, url: proxy.url }), options)
    return { memory, store, proxy }
  })

const cases: ReadonlyArray<
  readonly [name: string, fault: FaultProxy.Fault, reason: ObjectStoreReason, happens: boolean]
> = [
  ["a reset before the server hears", { kind: "reset before" }, "Disconnected", false],
  ["a reset after it is done", { kind: "reset after" }, "Disconnected", true],
  ["429", { kind: "status", status: 429, retryAfterSeconds: 3 }, "Throttled", false],
  ["500", { kind: "status", status: 500 }, "Unavailable", false],
  ["502", { kind: "status", status: 502, body: "<html>" }, "Unavailable", false]
]

describe("faults", () => {
  for (const [name, fault, reason, happens] of cases) {
    it.live(`${name} is ${reason} for every operation, and the outcome is as told`, () =>
      Effect.gen(function* () {
        for (const { run, isDone } of Object.values(changes)) {
          const { memory, store, proxy } = yield* behind(fault)
          const error = yield* Effect.flip(run(store))
          assert.strictEqual(error.reason, reason, error.message)
          assert.strictEqual(isDone(memory), happens)
          if (happens) assert.isTrue(error.outcomeUnknown)
          if (reason === "Throttled") assert.strictEqual(error.retryAfterSeconds, 3)
          // Nothing is tried again behind our back.
          assert.lengthOf(proxy.passed, 1)
        }
        for (const run of Object.values(reads)) {
          const { store, proxy } = yield* behind(fault)
          assert.strictEqual((yield* Effect.flip(run(store))).reason, reason)
          assert.lengthOf(proxy.passed, 1)
        }
      })
    )
  }

  it.live("our own write whose answer was lost is present when asked again", () =>
    Effect.gen(function* () {
      const memory = new MemoryBucket()
      const endpoint = yield* S3Endpoint.start({ memory })
      const proxy = yield* FaultProxy.start(endpoint.url, ({ number }) =>
        number === 0 ? { kind: "reset after" } : undefined
      )
      const store = yield* S3ObjectStore.make(settingsOf({ ...endpoint, url: proxy.url }))
      assert.isTrue((yield* Effect.flip(store.putIfAbsent(key, body))).outcomeUnknown)
      assert.strictEqual((yield* store.putIfAbsent(key, body)).outcome, "present")
      assert.strictEqual((yield* store.head(key)).sizeBytes, body.length)
    })
  )

  it.live("a body that is cut at any byte is Truncated, and one that is not is whole", () =>
    Effect.gen(function* () {
      for (const afterBytes of [0, 1, 6, 11]) {
        const { store } = yield* behind({ kind: "truncated", afterBytes })
        const error = yield* Effect.flip(store.get(old, 99))
        assert.include(["Truncated", "Disconnected"], error.reason, `${afterBytes}`)
        assert.isTrue(error.retryable)
      }
      const { store } = yield* behind({ kind: "latency", milliseconds: 20 })
      assert.strictEqual(Buffer.from(yield* store.get(old, 99)).toString(), "the old body")
    })
  )

  it.live("a stall ends after the idle time, before the body and in it", () =>
    Effect.gen(function* () {
      for (const afterBytes of [0, 5]) {
        const { store } = yield* behind({ kind: "stall", afterBytes }, { idleTimeoutSeconds: 0.2 })
        const error = yield* Effect.flip(store.get(old, 99))
        assert.include(["Truncated", "Disconnected"], error.reason)
      }
    })
  )

  it.live("a slow line is no fault", () =>
    Effect.gen(function* () {
      const { store } = yield* behind(
        { kind: "bandwidth", bytesPerSecond: 100_000 },
        { idleTimeoutSeconds: 3 }
      )
      const large = new Uint8Array(120_000).fill(7)
      yield* store.put(key, large)
      assert.isTrue(Buffer.from(large).equals(yield* store.get(key, large.length)))
    })
  )
})
