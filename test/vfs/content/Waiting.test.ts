/** What becomes of reads that meet a store in trouble, and of those that meet a damaged chunk. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import { ObjectStoreError, type ObjectStoreReason } from "../../../src/objectstore/ObjectStoreError.ts"
import { ChunkError } from "../../../src/platform/ChunkCodec.ts"
import { FilesError, type FilesReason } from "../../../src/platform/Files.ts"
import type { ReadError } from "../../../src/restore/ArchiveReader.ts"
import * as ContentReader from "../../../src/vfs/content/ContentReader.ts"
import * as DecodedChunks from "../../../src/vfs/content/DecodedChunks.ts"
import { contentsOf, digestOf, dynamicOf, FarStore, latencyMillis, subject } from "./farStore.ts"

const objectTrouble = (reason: ObjectStoreReason) =>
  new ObjectStoreError({ operation: "get", key: "a/b", reason })

const fileTrouble = (reason: FilesReason) =>
  new FilesError({ operation: "read", path: "/store/chunk", reason })

const contents = contentsOf(10, 1000)
const whole = Buffer.concat(contents)
const third = digestOf(contents[3] ?? new Uint8Array(0))

/** Two readers of the same chunks, a store and what was logged. */
const setUp = (waitSeconds?: number) =>
  Effect.gen(function* () {
    const store = new FarStore(contents)
    const decoded = yield* DecodedChunks.make(store.chunks)
    const limit = waitSeconds === undefined ? {} : { waitSeconds }
    const reader = yield* ContentReader.make(decoded, dynamicOf(contents), undefined, { subject, ...limit })
    const other = yield* ContentReader.make(decoded, dynamicOf(contents.slice(2)), undefined, {
      subject: "vm/1/2026-11-21T10:00:00Z/other.pxar.didx"
    })
    return { store, reader, other }
  })

const failAll = (store: FarStore, error: ReadError) => {
  for (const content of contents) store.failures.set(digestOf(content), error)
}

/** A read, until it has come to something or the time is over. */
const readFor = (reader: ContentReader.ContentReader, offset: number, lengthBytes: number, seconds: number) =>
  Effect.gen(function* () {
    const reading = yield* Effect.forkChild(Effect.result(reader.look(offset, lengthBytes)))
    let millis = 0
    for (; millis < seconds * 1000 && reading.pollUnsafe() === undefined; millis += latencyMillis) {
      yield* TestClock.adjust(latencyMillis)
    }
    const isOver = reading.pollUnsafe() !== undefined
    const result = isOver ? yield* Fiber.join(reading) : undefined
    yield* Fiber.interrupt(reading)
    return { result, seconds: millis / 1000 }
  })

const failureOf = (reader: ContentReader.ContentReader, offset: number, lengthBytes: number) =>
  Effect.map(readFor(reader, offset, lengthBytes, 500), ({ result, seconds }) => {
    if (result?._tag !== "Failure") return assert.fail("it should have failed")
    return { error: result.failure, seconds }
  })

describe("a store that cannot be reached", () => {
  it.effect("is waited for, and read from when it is back", () =>
    Effect.gen(function* () {
      const { reader, store } = yield* setUp()
      failAll(store, objectTrouble("Unreachable"))
      const reading = yield* Effect.forkChild(reader.look(0, 5000))
      for (let second = 0; second < 50; second++) yield* TestClock.adjust(1000)
      assert.isUndefined(reading.pollUnsafe())
      store.failures.clear()
      for (let second = 0; second < 10; second++) yield* TestClock.adjust(1000)
      assert.isTrue(whole.subarray(0, 5000).equals(yield* Fiber.join(reading)))
      // Less and less often: not once a second.
      assert.isBelow(store.asked.length, 5 * 30)
    })
  )

  it.effect("fails a read after the limit, and the next one succeeds when it is back", () =>
    Effect.gen(function* () {
      const { reader, store } = yield* setUp(20)
      failAll(store, objectTrouble("Disconnected"))
      const { error, seconds } = yield* failureOf(reader, 0, 5000)
      assert.strictEqual(error.reason, "Unreachable")
      assert.include(error.message, subject)
      assert.include(error.message, "the connection broke")
      assert.isAtLeast(seconds, 12)
      assert.isAtMost(seconds, 21)
      store.failures.clear()
      const { result } = yield* readFor(reader, 0, 5000, 1)
      assert.strictEqual(result?._tag, "Success")
    })
  )

  it.effect("that does not even answer is given up as well, and its request is cancelled", () =>
    Effect.gen(function* () {
      const { reader, store } = yield* setUp(20)
      store.millis = Infinity
      const { error, seconds } = yield* failureOf(reader, 0, 100)
      assert.strictEqual(error.reason, "Unreachable")
      assert.strictEqual(seconds, 40)
      assert.strictEqual(store.interrupted, 1)
      assert.strictEqual(store.underWay, 0)
    })
  )

  it.effect("is not waited for when waiting cannot help", () =>
    Effect.gen(function* () {
      const { reader, store } = yield* setUp()
      const hopeless = [
        objectTrouble("AccessDenied"),
        objectTrouble("NoBucket"),
        fileTrouble("PermissionDenied"),
        fileTrouble("Io")
      ]
      for (const trouble of hopeless) {
        failAll(store, trouble)
        const { error, seconds } = yield* failureOf(reader, 0, 100)
        assert.strictEqual(error.reason, "Unreachable")
        assert.include(error.message, trouble.message)
        assert.strictEqual(seconds, latencyMillis / 1000)
      }
    })
  )

  it.effect("is waited for when this process has too many files open", () =>
    Effect.gen(function* () {
      const { reader, store } = yield* setUp()
      failAll(store, fileTrouble("TooManyOpenFiles"))
      const reading = yield* Effect.forkChild(reader.look(0, 100))
      yield* TestClock.adjust(2000)
      store.failures.clear()
      yield* TestClock.adjust(10_000)
      assert.strictEqual((yield* Fiber.join(reading)).length, 100)
    })
  )
})

describe("a chunk that is no good", () => {
  const causes: ReadonlyArray<readonly [string, ReadError, string]> = [
    ["missing", new ChunkError({ digest: third, reason: "Missing", detail: "" }), "is missing"],
    [
      "corrupt",
      new ChunkError({ digest: third, reason: "Corrupt", detail: "bad CRC" }),
      "is corrupt: bad CRC"
    ],
    ["far too large", fileTrouble("TooLarge"), "larger than its kind may be"]
  ]
  for (const [name, trouble, words] of causes) {
    it.effect(`that is ${name} fails the reads that need it at once, and no others; it is told once`, () =>
      Effect.gen(function* () {
        const { other, reader, store } = yield* setUp()
        const told: Array<string> = []
        const logger = Logger.make(
          ({ logLevel, message }) => void told.push(`${logLevel} ${String(message)}`)
        )
        yield* Effect.gen(function* () {
          store.failures.set(third, trouble)
          for (let again = 0; again < 3; again++) {
            const { error, seconds } = yield* failureOf(reader, 2999, 2)
            assert.strictEqual(error.reason, "Damaged")
            assert.include(error.message, words)
            if (trouble._tag === "ChunkError") assert.include(error.message, third)
            assert.isAtMost(seconds, latencyMillis / 1000)
          }
          // The same chunk lies elsewhere in another archive.
          assert.strictEqual((yield* failureOf(other, 1000, 1)).error.reason, "Damaged")
          for (const [from, until] of [
            [0, 3000],
            [4000, 10_000]
          ] as const) {
            const { result } = yield* readFor(reader, from, until - from, 1)
            if (result?._tag !== "Success") return assert.fail("the rest is readable")
            assert.isTrue(whole.subarray(from, until).equals(result.success))
          }
        }).pipe(Effect.provide(Logger.layer([logger])))
        assert.strictEqual(told.length, 1)
        assert.match(told[0] ?? "", /^Warn /)
        assert.include(told[0] ?? "", subject)
        assert.include(told[0] ?? "", words)
      })
    )
  }

  it.effect("a chunk of another key is no damage, and not told as such", () =>
    Effect.gen(function* () {
      const { reader, store } = yield* setUp()
      const told: Array<unknown> = []
      store.failures.set(third, new ChunkError({ digest: third, reason: "KeyNeeded", detail: "" }))
      const { error } = yield* failureOf(reader, 3000, 1).pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => void told.push(message))]))
      )
      assert.strictEqual(error.reason, "KeyNeeded")
      assert.include(error.message, "--keyfile")
      assert.deepStrictEqual(told, [])
    })
  )
})
