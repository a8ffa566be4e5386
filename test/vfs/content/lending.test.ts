/**
 * Bytes that are lent: right in the moment in which they are lent, whatever else uses the memory before and afterwards;
 * and at once where they are here.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as fc from "fast-check"
import { TestClock } from "effect/testing"
import { contentsOf, dynamicOf, FarStore, latencyMillis, pageBytes, readerOf, timed } from "./farStore.ts"

const chunkBytes = 2 * pageBytes

const copy = (bytes: Uint8Array): Buffer => Buffer.from(bytes)

describe("bytes that are lent", () => {
  it.effect("are what they should be, while others push them out of a small memory", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.tuple(fc.nat(23 * chunkBytes), fc.integer({ min: 1, max: 3 * chunkBytes }), fc.boolean()),
            {
              minLength: 4,
              maxLength: 30
            }
          ),
          (wanted) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const contents = contentsOf(24, chunkBytes)
                const whole = Buffer.concat(contents)
                const store = new FarStore(contents)
                store.millis = 0
                const reader = yield* readerOf(store, dynamicOf(contents), 5 * chunkBytes)
                const proveOne = ([offset, lengthBytes, atOnce]: (typeof wanted)[number]) =>
                  Effect.gen(function* () {
                    const end = Math.min(offset + lengthBytes, whole.length)
                    const expected = whole.subarray(offset, end)
                    const prove = (bytes: Uint8Array) => assert.isTrue(copy(bytes).equals(expected))
                    if (atOnce && reader.lendNow(offset, end - offset, whole.length, prove)) return
                    yield* reader.lend(offset, end - offset, whole.length, prove)
                  })
                yield* Effect.forEach(wanted, proveOne, { concurrency: 4, discard: true })
              }).pipe(Effect.scoped)
            )
        ),
        { numRuns: 60, seed: 5 }
      )
    )
  )

  it.effect("come at once only where they are here, and are counted as a read in order like any other", () =>
    Effect.gen(function* () {
      const contents = contentsOf(40, chunkBytes)
      const whole = Buffer.concat(contents)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      const lent: Array<Buffer> = []
      const now = (offset: number, lengthBytes: number) =>
        reader.lendNow(offset, lengthBytes, whole.length, (bytes) => void lent.push(copy(bytes)))
      assert.isFalse(now(0, 100))
      yield* timed(reader.read(0, 100))
      assert.isTrue(now(100, 1000))
      assert.isTrue(lent[0]?.equals(whole.subarray(100, 1100)))
      assert.isFalse(now(-1, 10))
      assert.isFalse(now(chunkBytes - 10, 20))
      assert.isFalse(now(whole.length - 10, 11))
      assert.strictEqual(lent.length, 1)
      // From one end to the other: nearly all of it at once, and the next chunks come by themselves.
      let atOnce = 0
      for (let offset = 1100; offset + 1000 <= whole.length; offset += 1000) {
        if (now(offset, 1000)) atOnce += 1
        else yield* timed(reader.read(offset, 1000))
      }
      assert.isAbove(atOnce, 200)
      assert.strictEqual(store.asked.length, contents.length)
    })
  )

  it.effect("are not lent to one who has left", () =>
    Effect.gen(function* () {
      const contents = contentsOf(3, chunkBytes)
      const store = new FarStore(contents)
      const reader = yield* readerOf(store, dynamicOf(contents))
      const told: Array<string> = []
      const reading = (name: string) =>
        Effect.forkChild(reader.lend(10, 100, chunkBytes, () => void told.push(name)))
      const [leaves, stays] = [yield* reading("leaves"), yield* reading("stays")]
      yield* TestClock.adjust(latencyMillis / 2)
      yield* Fiber.interrupt(leaves)
      yield* TestClock.adjust(latencyMillis)
      yield* Fiber.join(stays)
      assert.deepStrictEqual(told, ["stays"])
    })
  )

  it.effect("to one who fails at it fail him alone", () =>
    Effect.gen(function* () {
      const contents = contentsOf(3, chunkBytes)
      const reader = yield* readerOf(new FarStore(contents), dynamicOf(contents))
      const failing = reader.lend(10, 100, chunkBytes, () => {
        throw new Error("a fault")
      })
      const { value } = yield* timed(
        Effect.all([Effect.exit(failing), reader.read(10, 100)], { concurrency: 2 })
      )
      assert.isTrue(Exit.isFailure(value[0]))
      assert.strictEqual(value[1].length, 100)
    })
  )
})
