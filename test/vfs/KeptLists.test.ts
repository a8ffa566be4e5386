/** Answers that change: when they are asked for again, and what holds while nobody answers. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as KeptLists from "../../src/vfs/tree/KeptLists.ts"
import { vfsError, type VfsError } from "../../src/vfs/VfsError.ts"

const away = Effect.fail(vfsError("Unreachable", "the store", "nobody answers"))

/** A store whose answer is a number, and that says how often it was asked. */
class Store {
  asked = 0
  answer: Effect.Effect<number, VfsError> = Effect.succeed(1)
  readonly lists = KeptLists.make({ validSeconds: 5, max: 2 }, () =>
    Effect.suspend(() => {
      this.asked += 1
      return this.answer
    })
  )
}

/** What comes of it, and after how many seconds of the test's clock. */
const timed = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const running = yield* Effect.forkChild(Effect.result(effect))
    let seconds = 0
    for (; running.pollUnsafe() === undefined; seconds++) yield* TestClock.adjust("1 second")
    return [yield* Fiber.join(running), seconds] as const
  })

describe("lists that change", () => {
  it.effect("are asked for again when they are old, and once for all who want them", () =>
    Effect.gen(function* () {
      const store = new Store()
      const list = yield* store.lists
      store.answer = Effect.as(Effect.sleep("1 second"), 1)
      const all = yield* Effect.forkChild(Effect.all([list("a"), list("a")], { concurrency: 2 }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(all), [1, 1])
      store.answer = Effect.succeed(2)
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual([yield* list("a"), store.asked], [1, 1])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([yield* list("a"), store.asked], [2, 2])
    })
  )

  it.effect("stay as they were while the store is away, and nobody is kept waiting for it", () =>
    Effect.gen(function* () {
      const store = new Store()
      const list = yield* store.lists
      yield* list("a")
      store.answer = away
      yield* TestClock.adjust("5 seconds")
      for (let again = 0; again < 3; again++) assert.strictEqual(yield* list("a"), 1)
      assert.strictEqual(store.asked, 2)
      store.answer = Effect.never
      yield* TestClock.adjust("5 seconds")
      const [, seconds] = yield* timed(list("a"))
      assert.strictEqual(seconds, 2)
      assert.strictEqual(yield* list("a"), 1)
      assert.strictEqual(store.asked, 3, "asked by somebody else already")
    })
  )

  it.effect("are taken from a slow store whenever its answer comes", () =>
    Effect.gen(function* () {
      const store = new Store()
      const list = yield* store.lists
      yield* list("a")
      store.answer = Effect.as(Effect.sleep("4 seconds"), 2)
      yield* TestClock.adjust("5 seconds")
      yield* timed(list("a"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([yield* list("a"), store.asked], [2, 2])
    })
  )

  it.effect("fail as the store does if they were never known, or are known to be gone", () =>
    Effect.gen(function* () {
      const store = new Store()
      const list = yield* store.lists
      store.answer = away
      assert.strictEqual((yield* Effect.flip(list("a"))).reason, "Unreachable")
      store.answer = Effect.succeed(1)
      assert.strictEqual(yield* list("a"), 1)
      store.answer = Effect.fail(vfsError("Gone", "a", "it was removed"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Effect.flip(list("a"))).reason, "Gone")
    })
  )

  it.effect("are no more than their bound", () =>
    Effect.gen(function* () {
      const store = new Store()
      const list = yield* store.lists
      for (const key of ["a", "b", "c", "b", "c"]) yield* list(key)
      assert.strictEqual(store.asked, 3)
      yield* list("a")
      assert.strictEqual(store.asked, 4)
    })
  )
})
