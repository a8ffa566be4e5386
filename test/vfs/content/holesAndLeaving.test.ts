/** Zeros are never fetched and show as holes; who has gone leaves nothing under way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as ContentReader from "../../../src/vfs/content/ContentReader.ts"
import * as DecodedChunks from "../../../src/vfs/content/DecodedChunks.ts"
import { lookSeconds } from "../../../src/vfs/content/ReadersInOrder.ts"
import {
  contentOf,
  contentsOf,
  dynamicOf,
  FarStore,
  fixedOf,
  keyNamed,
  KIB,
  latencyMillis,
  readerOf,
  readInOrder,
  subject,
  timed
} from "./farStore.ts"

describe("zeros", () => {
  const chunkBytes = 4 * KIB
  const numbers = Array.from({ length: 100 }, (_, number) => number)
  const contents = [
    ...numbers.map((number) =>
      number % 10 === 9 ? contentOf(number, chunkBytes) : new Uint8Array(chunkBytes)
    ),
    new Uint8Array(77)
  ]
  const whole = Buffer.concat(contents)

  it.effect("are never fetched, in order or not, and their digest is computed once for all archives", () =>
    Effect.gen(function* () {
      const store = new FarStore(contents.filter((content) => content.some((byte) => byte !== 0)))
      const index = fixedOf(contents, chunkBytes)
      const decoded = yield* DecodedChunks.make(store.chunks)
      const readers = yield* Effect.forEach([1, 2, 3], () =>
        ContentReader.make(decoded, index, undefined, { subject })
      )
      for (const reader of readers) {
        const { value } = yield* timed(readInOrder(reader, 3000))
        assert.isTrue(whole.equals(value))
        assert.strictEqual((yield* reader.read(0, chunkBytes)).length, chunkBytes)
      }
      assert.strictEqual(store.asked.length, 10)
      assert.strictEqual(store.digestsComputed, 2)
    })
  )

  it.effect("are holes, also the last chunk, which is shorter", () =>
    Effect.gen(function* () {
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, fixedOf(contents, chunkBytes))
      const [first, end] = [9 * chunkBytes, whole.length]
      const cases: ReadonlyArray<readonly [number, "data" | "hole", number | undefined]> = [
        [0, "hole", 0],
        [5, "hole", 5],
        [0, "data", first],
        [first + 1, "data", first + 1],
        [first, "hole", first + chunkBytes],
        [99 * chunkBytes, "data", 99 * chunkBytes],
        [99 * chunkBytes, "hole", 100 * chunkBytes],
        [100 * chunkBytes, "data", undefined],
        [end - 1, "hole", end - 1],
        [end, "hole", undefined],
        [end, "data", undefined],
        [-1, "data", undefined]
      ]
      for (const [offset, wanted, found] of cases) {
        assert.strictEqual(yield* reader.seek(offset, wanted), found, `${wanted} from ${offset}`)
      }
      assert.strictEqual(yield* reader.dataBytes, 10 * chunkBytes)
      assert.strictEqual(store.asked.length, 0)
    })
  )

  it.effect("of an encrypted archive are known by the digest under its key", () =>
    Effect.gen(function* () {
      const key = keyNamed("aa:bb")
      const store = new FarStore(contents, 12, key)
      const decoded = yield* DecodedChunks.make(store.chunks)
      const reader = yield* ContentReader.make(decoded, fixedOf(contents, chunkBytes, key), key, { subject })
      const { value } = yield* timed(readInOrder(reader, 10_000))
      assert.isTrue(whole.equals(value))
      assert.strictEqual(store.asked.length, 10)
    })
  )

  it.effect("a dynamic archive has no holes", () =>
    Effect.gen(function* () {
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      assert.strictEqual(yield* reader.seek(5, "data"), 5)
      assert.strictEqual(yield* reader.seek(5, "hole"), whole.length)
      assert.strictEqual(yield* reader.seek(whole.length, "data"), undefined)
      assert.strictEqual(yield* reader.dataBytes, whole.length)
    })
  )
})

describe("those who leave", () => {
  const contents = contentsOf(100, 64 * KIB)

  /** Reads twenty chunks in order, and goes away while a store that answers nobody any more is asked for the next. */
  const leaveWhileReading = (store: FarStore, reader: ContentReader.ContentReader) =>
    Effect.gen(function* () {
      const first = readInOrder(reader, 32 * KIB, 0, 20 * 64 * KIB)
      yield* timed(Effect.andThen(first, reader.read(20 * 64 * KIB, 100)))
      store.millis = Infinity
      const last = yield* Effect.forkChild(readInOrder(reader, 32 * KIB, 20 * 64 * KIB, 40 * 64 * KIB))
      for (let turn = 0; turn < 20; turn++) yield* TestClock.adjust(1)
      yield* Fiber.interrupt(last)
      assert.isAbove(store.underWay, 5)
    })

  it.effect("a read that is interrupted takes its fetches along", () =>
    Effect.gen(function* () {
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      const reading = yield* Effect.forkChild(reader.look(0, 5 * 64 * KIB))
      yield* TestClock.adjust(latencyMillis / 2)
      assert.strictEqual(store.underWay, 5)
      yield* Fiber.interrupt(reading)
      assert.strictEqual(store.underWay, 0)
      assert.strictEqual(store.interrupted, 5)
    })
  )

  it.effect("who stops reading has nothing fetched for him after a while, and goes on later", () =>
    Effect.gen(function* () {
      const store = new FarStore(contents)
      const decoded = yield* DecodedChunks.make(store.chunks)
      const reader = yield* ContentReader.make(decoded, dynamicOf(contents), undefined, { subject })
      yield* leaveWhileReading(store, reader)
      assert.strictEqual(decoded.readers.count, 1)
      yield* TestClock.adjust(2 * lookSeconds * 1000)
      assert.strictEqual(store.underWay, 0)
      assert.strictEqual(decoded.readers.count, 0)
      store.millis = latencyMillis
      const { value } = yield* timed(readInOrder(reader, 32 * KIB, 20 * 64 * KIB))
      assert.isTrue(Buffer.concat(contents.slice(20)).equals(value))
    })
  )

  it.effect("who goes on reading keeps what was fetched for him, however long that takes", () =>
    Effect.gen(function* () {
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      for (let offset = 0; offset < 50 * 64 * KIB; offset += 16 * KIB) {
        yield* timed(reader.read(offset, 16 * KIB))
        yield* TestClock.adjust((lookSeconds * 1000) / 2)
      }
      assert.isAtMost(store.asked.length, 53)
      assert.strictEqual(store.interrupted, 0)
    })
  )

  it.effect("what was fetched ahead for an archive ends when the archive is closed", () =>
    Effect.gen(function* () {
      const store = new FarStore(contents)
      const decoded = yield* DecodedChunks.make(store.chunks)
      const scope = yield* Scope.make()
      const reader = yield* Scope.provide(
        ContentReader.make(decoded, dynamicOf(contents), undefined, { subject }),
        scope
      )
      yield* leaveWhileReading(store, reader)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1)
      assert.strictEqual(store.underWay, 0)
      assert.strictEqual(decoded.readers.count, 0)
    })
  )
})
