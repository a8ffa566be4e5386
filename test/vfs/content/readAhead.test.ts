/**
 * What is fetched, and when: reads in order run ahead of themselves, also over several files and in any order that is
 * almost one; reads here and there fetch their chunk and nothing else.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import {
  contentsOf,
  digestOf,
  dynamicOf,
  FarStore,
  KIB,
  latencyMillis,
  pageBytes,
  readerOf,
  readInOrder,
  subject,
  timed
} from "./farStore.ts"

describe("in order", () => {
  it.effect(
    "a store that is far away is read at least eight times as fast as one chunk after the other",
    () =>
      Effect.gen(function* () {
        const contents = contentsOf(160, 256 * KIB)
        const store = new FarStore(contents)
        const reader = yield* readerOf(store, dynamicOf(contents))
        const { millis, value } = yield* timed(readInOrder(reader, 128 * KIB))
        assert.isTrue(value.equals(Buffer.concat(contents)))
        assert.isAtMost(millis, (contents.length * latencyMillis) / 8)
        assert.strictEqual(store.asked.length, contents.length)
        assert.strictEqual(store.underWayMax, 13)
      })
  )

  it.effect("the second read is enough, and the window grows only while the reader waits", () =>
    Effect.gen(function* () {
      const contents = contentsOf(60, 128 * KIB)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      /** Reads a chunk, and takes its time over it. Answers how many were asked for that nobody has come to. */
      const readSlowly = (chunk: number) =>
        Effect.gen(function* () {
          yield* timed(reader.read(chunk * 128 * KIB, 128 * KIB))
          yield* TestClock.adjust(2 * latencyMillis)
          return store.asked.length - (chunk + 1)
        })
      assert.strictEqual(yield* readSlowly(0), 0)
      const afterTwo = yield* readSlowly(1)
      assert.isAtLeast(afterTwo, 1)
      assert.isAtMost(afterTwo, 2)
      for (let chunk = 2; chunk < 40; chunk++) assert.strictEqual(yield* readSlowly(chunk), afterTwo)
    })
  )

  it.effect("many small files one after the other are in order as well, with what lies between them", () =>
    Effect.gen(function* () {
      const contents = contentsOf(200, 64 * KIB)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      const { millis } = yield* timed(
        Effect.gen(function* () {
          for (let offset = 0; offset + 5000 < reader.sizeBytes; offset += 5000) {
            yield* reader.read(offset + 300, 4000, offset + 4300)
          }
        })
      )
      assert.isAtMost(millis, (contents.length * latencyMillis) / 6)
      assert.strictEqual(store.asked.length, contents.length)
    })
  )

  it.effect("reads that come a little out of order do not break it", () =>
    Effect.gen(function* () {
      const contents = contentsOf(160, 256 * KIB)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      const step = 128 * KIB
      const { millis } = yield* timed(
        Effect.gen(function* () {
          for (let offset = 0; offset < reader.sizeBytes; offset += 4 * step) {
            const order = [1, 0, 3, 2].map((place) => reader.read(offset + place * step, step))
            yield* Effect.all(order, { concurrency: "unbounded" })
          }
        })
      )
      assert.isAtMost(millis, (contents.length * latencyMillis) / 8)
      assert.strictEqual(store.asked.length, contents.length)
    })
  )

  it.effect("several files at once do not wait for each other", () =>
    Effect.gen(function* () {
      const contents = contentsOf(320, 128 * KIB)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      const quarter = reader.sizeBytes / 4
      const { millis } = yield* timed(
        Effect.forEach(
          [0, 1, 2, 3],
          (place) => readInOrder(reader, 64 * KIB, place * quarter, (place + 1) * quarter),
          { concurrency: "unbounded" }
        )
      )
      assert.isAtMost(millis, ((contents.length / 4) * latencyMillis) / 8 + 4 * latencyMillis)
      // One file stands still for ever, the others go on.
      const stuck = yield* readerOf(store, dynamicOf(contents))
      store.millis = Infinity
      const hanging = yield* Effect.forkChild(stuck.read(0, 100))
      yield* TestClock.adjust(1)
      store.millis = latencyMillis
      const other = yield* timed(stuck.read(200 * 128 * KIB, 100))
      assert.strictEqual(other.millis, latencyMillis)
      yield* Fiber.interrupt(hanging)
    })
  )

  it.effect("nothing is fetched behind the end of a file, until several were read in order", () =>
    Effect.gen(function* () {
      const contents = contentsOf(100, 64 * KIB)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      const fileBytes = 5 * 64 * KIB
      const readFile = (number: number) =>
        timed(
          Effect.gen(function* () {
            for (let step = 0; step < 10; step++) {
              const offset = number * fileBytes + step * 32 * KIB
              yield* reader.read(offset, 32 * KIB, (number + 1) * fileBytes)
            }
          })
        )
      yield* readFile(0)
      assert.strictEqual(store.asked.length, 5)
      yield* readFile(1)
      assert.strictEqual(store.asked.length, 10)
      yield* readFile(2)
      assert.isAbove(store.asked.length, 15)
    })
  )

  it.effect("has no more under way than its bytes allow, shared by all", () =>
    Effect.gen(function* () {
      const contents = contentsOf(120, 64 * KIB)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents), 16 * 64 * KIB)
      const third = reader.sizeBytes / 3
      const { value } = yield* timed(
        Effect.forEach(
          [0, 1, 2],
          (place) => readInOrder(reader, 16 * KIB, place * third, (place + 1) * third),
          {
            concurrency: "unbounded"
          }
        )
      )
      assert.isTrue(Buffer.concat(value).equals(Buffer.concat(contents)))
      // Half of the room for what is fetched ahead, and a chunk each for those who wait.
      assert.isAtMost(store.bytesUnderWayMax, (8 + 3) * 64 * KIB)
      assert.strictEqual(store.asked.length, contents.length)
    })
  )
})

describe("here and there", () => {
  it.effect("small reads fetch the chunk they lie in, once each, and nothing else", () =>
    Effect.gen(function* () {
      const chunkBytes = 256 * KIB
      const contents = contentsOf(200, chunkBytes)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents), 8 * chunkBytes)
      const pages = reader.sizeBytes / 4096
      for (let count = 0; count < 300; count++) {
        const page = yield* Random.nextIntBetween(0, pages, { halfOpen: true })
        const chunk = digestOf(contents[Math.floor((page * 4096) / chunkBytes)] ?? new Uint8Array(0))
        const before = store.asked.length
        const { value } = yield* timed(reader.read(page * 4096, 4096))
        assert.strictEqual(value.length, 4096)
        const asked = store.asked.slice(before)
        assert.isAtMost(asked.length, 1)
        for (const digest of asked) assert.strictEqual(digest, chunk)
      }
      assert.isAbove(store.asked.length, 250)
    }).pipe(Random.withSeed("here and there"))
  )

  it.effect("what is looked up is never fetched ahead, even in order", () =>
    Effect.gen(function* () {
      const contents = contentsOf(50, 64 * KIB)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      for (let offset = 0; offset < 10 * 64 * KIB; offset += 16 * KIB)
        yield* timed(reader.look(offset, 16 * KIB))
      assert.strictEqual(store.asked.length, 10)
    })
  )

  it.effect("a read over several chunks fetches them at once", () =>
    Effect.gen(function* () {
      const contents = contentsOf(50, 1000)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      const { millis, value } = yield* timed(reader.read(5500, 10_000))
      assert.isTrue(Buffer.concat(contents).subarray(5500, 15_500).equals(value))
      assert.strictEqual(store.asked.length, 11)
      assert.strictEqual(millis, latencyMillis)
    })
  )

  it.effect("what was handed out stays when its chunk has made way for others", () =>
    Effect.gen(function* () {
      const contents = contentsOf(20)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents), 2 * pageBytes)
      const { value: first } = yield* timed(reader.look(0, 500))
      const again = yield* reader.look(100, 300)
      yield* timed(Effect.forEach(contents, (_, number) => reader.look(number * pageBytes, 10)))
      assert.deepStrictEqual(first, contents[0]?.subarray(0, 500))
      assert.deepStrictEqual(again, contents[0]?.subarray(100, 400))
      assert.strictEqual(store.asked.length, 20)
    })
  )

  it.effect("a range outside of the archive is refused", () =>
    Effect.gen(function* () {
      const contents = contentsOf(3, 1000)
      const reader = yield* readerOf(new FarStore(contents), dynamicOf(contents))
      for (const [offset, lengthBytes] of [
        [2999, 2],
        [-1, 1],
        [0, -1],
        [Number.NaN, 1]
      ] as const) {
        const error = yield* Effect.flip(reader.read(offset, lengthBytes))
        assert.strictEqual(error.reason, "Damaged")
        assert.include(error.message, subject)
      }
      assert.strictEqual((yield* reader.read(3000, 0)).length, 0)
    })
  )
})
