/** The speed probe over a store whose requests take a known time on the test's clock. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { around } from "../../src/objectstore/decorators/ObjectRequest.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import * as SpeedProbe from "../../src/objectstore/SpeedProbe.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"

const prefix = ObjectKey.parsePrefix("store/")

const kibi = 1024

/** Every request takes as many milliseconds as this says, before it happens. */
const slowStore = (bucket: MemoryBucket, millisOf: (operation: string, bytes: number) => number) =>
  around(MemoryObjectStore.make(bucket), ({ operation, bytesOut, bytesInMax }, run) =>
    Effect.andThen(Effect.sleep(millisOf(operation, Math.max(bytesOut, bytesInMax))), run)
  )

const probe = (store: ObjectStore["Service"], options: SpeedProbe.SpeedOptions) =>
  Effect.gen(function* () {
    const running = yield* Effect.forkChild(
      Effect.exit(SpeedProbe.probe(prefix, options).pipe(Effect.provideService(ObjectStore, store)))
    )
    yield* TestClock.adjust("10 minutes")
    return yield* yield* Fiber.join(running)
  })

const options = { rounds: 4, bodyBytes: 100 * kibi, bodies: 6, concurrency: 2 }

describe("SpeedProbe", () => {
  it.effect("tells how long requests take and how much goes through, and leaves nothing", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const store = slowStore(bucket, (operation, bytes) =>
        bytes > kibi ? (operation === "get" ? 500 : 1000) : ({ put: 20, get: 10, list: 30 }[operation] ?? 1)
      )
      const report = yield* probe(store, options)
      assert.deepStrictEqual(report, {
        put: { medianMillis: 20, worstMillis: 20 },
        get: { medianMillis: 10, worstMillis: 10 },
        list: { medianMillis: 30, worstMillis: 30 },
        upload: { bytes: 600 * kibi, bytesPerSecond: 200 * kibi },
        download: { bytes: 600 * kibi, bytesPerSecond: 400 * kibi },
        concurrency: 2
      })
      assert.deepStrictEqual(bucket.keys(), [])
    })
  )

  it.effect("takes the middle one of different times", () =>
    Effect.gen(function* () {
      const times = [5, 1, 100, 7, 6]
      const store = slowStore(new MemoryBucket(), (operation, bytes) =>
        operation === "put" && bytes <= kibi ? (times.shift() ?? 0) : 0
      )
      const { put } = yield* probe(store, { ...options, rounds: 5 })
      assert.deepStrictEqual(put, { medianMillis: 6, worstMillis: 100 })
    })
  )

  it.effect("begins nothing when its time is over", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      let puts = 0
      const store = slowStore(bucket, (operation, bytes) => {
        if (operation === "put" && bytes > kibi) puts += 1
        return bytes > kibi ? 4000 : 0
      })
      const report = yield* probe(store, { ...options, bodies: 100, partMaxSeconds: 5 })
      assert.strictEqual(puts, 4)
      assert.strictEqual(report.upload.bytes, 400 * kibi)
      assert.strictEqual(report.upload.bytesPerSecond, 50 * kibi)
      assert.strictEqual(report.download.bytes, 400 * kibi)
      assert.deepStrictEqual(bucket.keys(), [])
    })
  )

  it.effect("fails as the store does, and still leaves nothing", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const store = around(MemoryObjectStore.make(bucket), ({ operation, key, bytesInMax }, run) =>
        bytesInMax > kibi
          ? Effect.fail(new ObjectStoreError({ operation, key, reason: "AccessDenied" }))
          : run
      )
      const error = yield* Effect.flip(probe(store, options))
      assert.strictEqual(error.reason, "AccessDenied")
      assert.deepStrictEqual(bucket.keys(), [])
    })
  )

  it.effect("leaves nothing when it is interrupted", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const store = slowStore(bucket, (operation) => (operation === "list" ? 1_000_000 : 0))
      const running = yield* Effect.forkChild(
        SpeedProbe.probe(prefix, options).pipe(Effect.provideService(ObjectStore, store))
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(bucket.keys().length, 1)
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(bucket.keys(), [])
    })
  )
})
