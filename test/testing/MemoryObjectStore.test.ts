/**
 * The memory double of an object store: the conformance suite as a good server, then each trait and each fault of a
 * bad one, one by one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import { readText, reasonOf } from "../conformance/objectStoreSubject.ts"
import { objectStoreSuite } from "../conformance/objectStoreSuite.ts"

const goodScene = (options: MemoryObjectStore.MemoryObjectStoreOptions) =>
  Effect.sync(() => {
    const bucket = new MemoryBucket()
    return {
      store: MemoryObjectStore.make(bucket, options),
      other: MemoryObjectStore.make(bucket, options),
      prefix: ObjectKey.parsePrefix("store/"),
      putForeign: (key: string) => Effect.sync(() => void bucket.put(key, new Uint8Array(1), 0))
    }
  })

const has = { other: true, putForeign: true }

objectStoreSuite("MemoryObjectStore", { scene: goodScene({}), has })
objectStoreSuite("MemoryObjectStore with small pages", { scene: goodScene({ pageSizeMax: 2 }), has })
objectStoreSuite("MemoryObjectStore with a clock that is wrong", {
  scene: goodScene({ clockSkewSeconds: -3600.4 }),
  has
})

const a = ObjectKey.parse("a")
const b = ObjectKey.parse("b")
const one = Uint8Array.of(1)
const two = Uint8Array.of(2, 2)
const everything = { prefix: ObjectKey.everything }

const server = (options: MemoryObjectStore.MemoryObjectStoreOptions) => {
  const bucket = new MemoryBucket()
  return {
    bucket,
    good: MemoryObjectStore.make(bucket),
    store: MemoryObjectStore.make(bucket, options)
  }
}

describe("MemoryObjectStore as a bad server", () => {
  it.effect("ignored conditions overwrite silently", () =>
    Effect.gen(function* () {
      const { store, good } = server({ conditionalPut: "ignored" })
      assert.strictEqual((yield* store.putIfAbsent(a, one)).outcome, "created")
      assert.strictEqual((yield* store.putIfAbsent(a, two)).outcome, "created")
      assert.deepStrictEqual([...(yield* good.get(a, 9))], [2, 2])
    })
  )

  it.effect("unsupported conditions are NotImplemented and write nothing", () =>
    Effect.gen(function* () {
      const { store, bucket } = server({ conditionalPut: "unsupported" })
      const error = yield* Effect.flip(store.putIfAbsent(a, one))
      assert.deepStrictEqual(
        [error.reason, error.httpStatus, error.retryable],
        ["NotImplemented", 501, false]
      )
      assert.isEmpty(bucket.keys())
    })
  )

  it.effect("a weak listing lags for its time, and get does not", () =>
    Effect.gen(function* () {
      const { store, good } = server({ listing: "weak", listingLagSeconds: 10 })
      yield* good.put(a, one)
      yield* TestClock.adjust("20 seconds")
      yield* store.put(b, two)
      yield* store.deleteMany([a])
      const keys = Effect.map(store.list(everything), ({ objects }) => objects.map(({ key }) => key))
      assert.deepStrictEqual(yield* keys, [a])
      assert.strictEqual(yield* reasonOf(store.get(a, 9)), "NotFound")
      assert.deepStrictEqual([...(yield* store.get(b, 9))], [2, 2])
      assert.deepStrictEqual(
        (yield* good.list(everything)).objects.map(({ key }) => key),
        [b]
      )
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* keys, [a])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* keys, [b])
    })
  )

  it.effect("a weak listing asks for each young key, and shows the truth where it is told to", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const { store } = server({
        listing: "weak",
        decide: (fault, key) => asked.push(`${fault} ${key}`) > 0 && key === "a"
      })
      yield* store.put(a, one)
      yield* store.put(b, one)
      assert.deepStrictEqual(
        (yield* store.list(everything)).objects.map(({ key }) => key),
        [b]
      )
      assert.deepStrictEqual(asked, ["stale listing a", "stale listing b"])
    })
  )

  it.effect("a stale listing shows the former size of what was overwritten", () =>
    Effect.gen(function* () {
      const { store } = server({ listing: "weak" })
      yield* store.put(a, one)
      yield* store.put(a, two)
      assert.strictEqual((yield* store.list(everything)).objects[0]?.sizeBytes, 1)
      assert.strictEqual((yield* store.head(a)).sizeBytes, 2)
    })
  )

  it.effect("batches that are unsupported fail as a whole; a batch of one works", () =>
    Effect.gen(function* () {
      const { store, bucket } = server({ batchDelete: "unsupported" })
      yield* store.put(a, one)
      yield* store.put(b, one)
      assert.strictEqual(yield* reasonOf(store.deleteMany([a, b])), "NotImplemented")
      assert.deepStrictEqual(bucket.keys(), ["a", "b"])
      assert.deepStrictEqual(yield* store.deleteMany([a]), { deleted: [a], failed: [] })
      assert.deepStrictEqual(bucket.keys(), ["b"])
    })
  )

  it.effect("ignored ranges answer the whole body", () =>
    Effect.gen(function* () {
      const { store } = server({ rangeReads: "ignored" })
      yield* store.put(a, two)
      assert.lengthOf(yield* store.getRange(a, { offset: 1, lengthBytes: 1 }), 2)
    })
  )

  it.effect("its clock may be off, also by parts of a second", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1000 seconds")
      const { store } = server({ clockSkewSeconds: -90.5 })
      yield* store.put(a, one)
      assert.strictEqual((yield* store.head(a)).lastModifiedSeconds, 909)
    })
  )
})

describe("MemoryObjectStore with faults", () => {
  it.effect("none happens unless it is named", () =>
    Effect.gen(function* () {
      const { store } = server({ decide: () => true })
      yield* store.put(a, one)
      assert.strictEqual((yield* store.putIfAbsent(a, one)).outcome, "present")
      assert.deepStrictEqual([...(yield* store.get(a, 1))], [1])
    })
  )

  it.effect("a lost request did nothing", () =>
    Effect.gen(function* () {
      const { store, bucket } = server({ faults: ["lost request"] })
      const error = yield* Effect.flip(store.putIfAbsent(a, one))
      assert.deepStrictEqual(
        [error.reason, error.retryable, error.outcomeUnknown],
        ["Disconnected", true, true]
      )
      assert.isEmpty(bucket.keys())
    })
  )

  it.effect("a lost answer did it all: a second conditional put finds its own first one", () =>
    Effect.gen(function* () {
      const { store, good } = server({ faults: ["lost answer"], decide: MemoryObjectStore.times(1) })
      assert.strictEqual(yield* reasonOf(store.putIfAbsent(a, one)), "Disconnected")
      assert.strictEqual((yield* store.putIfAbsent(a, one)).outcome, "present")
      assert.strictEqual(yield* readText(good, a), "\u0001")
    })
  )

  it.effect("lost answers befall deletions and copies as well", () =>
    Effect.gen(function* () {
      const { store, good, bucket } = server({ faults: ["lost answer"] })
      yield* good.put(a, one)
      assert.strictEqual(yield* reasonOf(store.copy(a, b)), "Disconnected")
      assert.deepStrictEqual(bucket.keys(), ["a", "b"])
      assert.strictEqual(yield* reasonOf(store.deleteMany([a, b])), "Disconnected")
      assert.isEmpty(bucket.keys())
    })
  )

  it.effect("a late failure did it all too, and an early one nothing", () =>
    Effect.gen(function* () {
      const late = server({ faults: ["late failure"] })
      assert.strictEqual(yield* reasonOf(late.store.put(a, one)), "Unavailable")
      assert.deepStrictEqual(late.bucket.keys(), ["a"])
      const early = server({ faults: ["unavailable"] })
      const error = yield* Effect.flip(early.store.put(a, one))
      assert.deepStrictEqual([error.reason, error.outcomeUnknown], ["Unavailable", true])
      assert.isEmpty(early.bucket.keys())
    })
  )

  it.effect("throttling says how long to wait, and did nothing", () =>
    Effect.gen(function* () {
      const { store, bucket } = server({ faults: ["throttled"], retryAfterSeconds: 7 })
      const error = yield* Effect.flip(store.put(a, one))
      assert.deepStrictEqual(
        [error.reason, error.httpStatus, error.retryAfterSeconds, error.retryable, error.outcomeUnknown],
        ["Throttled", 503, 7, true, false]
      )
      assert.isEmpty(bucket.keys())
    })
  )

  it.effect("a conflict befalls conditional puts only, and can be retried", () =>
    Effect.gen(function* () {
      const { store, bucket } = server({ faults: ["conflict"], decide: MemoryObjectStore.times(2) })
      const error = yield* Effect.flip(store.putIfAbsent(a, one))
      assert.deepStrictEqual([error.reason, error.httpStatus, error.retryable], ["Conflict", 409, true])
      assert.isEmpty(bucket.keys())
      assert.strictEqual(yield* reasonOf(store.putIfAbsent(a, one)), "Conflict")
      assert.strictEqual((yield* store.putIfAbsent(a, one)).outcome, "created")
      yield* store.put(b, one)
    })
  )

  it.effect("a truncated answer is no answer, and never a missing object", () =>
    Effect.gen(function* () {
      const { store } = server({ faults: ["truncated"] })
      yield* store.put(a, two)
      assert.strictEqual(yield* reasonOf(store.get(a, 9)), "Truncated")
      assert.strictEqual(yield* reasonOf(store.getRange(a, { offset: 0, lengthBytes: 1 })), "Truncated")
    })
  )

  it.effect("one deletion of a batch may fail, with its key, and the others happen", () =>
    Effect.gen(function* () {
      const { store, bucket } = server({ faults: ["failed deletion"], decide: (_, key) => key === "a" })
      yield* store.put(a, one)
      yield* store.put(b, one)
      const { deleted, failed } = yield* store.deleteMany([a, b])
      assert.deepStrictEqual(deleted, [b])
      assert.deepStrictEqual(
        failed.map(({ key, error }) => [key, error.key, error.retryable]),
        [[a, a, true]]
      )
      assert.deepStrictEqual(bucket.keys(), ["a"])
    })
  )
})

describe("MemoryBucket", () => {
  it.effect("things in it grow old and stay what they are", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const store = MemoryObjectStore.make(bucket)
      yield* TestClock.setTime(5_000_000)
      yield* store.put(a, one)
      const before = bucket.find(a)
      bucket.age(3_600_000)
      assert.deepStrictEqual(bucket.find(a), { ...before, lastModifiedMillis: 1_400_000 })
      assert.strictEqual((yield* store.put(b, one)).etag === before?.etag, false)
      assert.strictEqual(bucket.find(b)?.lastModifiedMillis, 5_000_000)
      bucket.date(7_000)
      assert.deepStrictEqual(bucket.find(a), { ...before, lastModifiedMillis: 7_000 })
      assert.strictEqual(bucket.find(b)?.lastModifiedMillis, 7_000)
    })
  )

  it.effect("a clone begins alike and goes its own way", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const store = MemoryObjectStore.make(bucket)
      yield* store.put(a, one)
      const clone = bucket.clone()
      const cloned = MemoryObjectStore.make(clone)
      assert.strictEqual((yield* cloned.head(a)).etag, (yield* store.head(a)).etag)
      yield* cloned.put(b, one)
      yield* store.deleteMany([a])
      assert.deepStrictEqual([bucket.keys(), clone.keys()], [[], ["a", "b"]])
    })
  )
})
