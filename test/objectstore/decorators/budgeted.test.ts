/** No limit of a budget is ever passed, whatever goes on at once, and all of it can be used. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import fc from "fast-check"
import { type Budget, type BudgetLimits, makeBudget } from "../../../src/objectstore/decorators/Budget.ts"
import { budgeted } from "../../../src/objectstore/decorators/budgeted.ts"
import { faulty } from "../../../src/objectstore/decorators/faulty.ts"
import { makeMeter, metered, type Usage } from "../../../src/objectstore/decorators/metered.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import { reasonOf } from "../../conformance/objectStoreSubject.ts"
import { at, body, runThroughTime, scene, type Store, throughTime } from "./scene.ts"

/** A store whose answers take a while, with a budget around it and a meter inside. */
const prepare = (limits: BudgetLimits, delays: ReadonlyArray<number> = [10]) =>
  Effect.gen(function* () {
    const inside = scene()
    for (const [index, name] of ["a", "b", "c"].entries())
      inside.bucket.put(name, new Uint8Array(index * 10), 0)
    const meter = yield* makeMeter
    const slow = yield* faulty(inside.store, (_, number) => ({
      delayMillis: delays[number % delays.length] ?? 1
    }))
    const budget = yield* makeBudget(limits)
    const store = yield* budgeted(yield* metered(slow, { meter }), budget)
    return { inside, meter, budget, store }
  })

const requestsOf = ({ operations }: Usage) => ({
  putRequests: operations.put.requests + operations.putIfAbsent.requests + operations.copy.requests,
  getRequests: operations.get.requests + operations.getRange.requests + operations.head.requests,
  listRequests: operations.list.requests,
  deleteRequests: operations.deleteMany.requests
})

type Action = (store: Store) => Effect.Effect<unknown, unknown>

const action: fc.Arbitrary<Action> = fc
  .tuple(fc.constantFrom("a", "b", "c").map(at), fc.nat({ max: 30 }), fc.nat({ max: 7 }))
  .map(([key, size, kind]): Action => {
    const actions: ReadonlyArray<Action> = [
      (store) => store.put(at(`${key}/${size}`), new Uint8Array(size)),
      (store) => store.putIfAbsent(at(`${key}/${size}`), new Uint8Array(size)),
      (store) => store.get(key, size),
      (store) => store.getRange(key, { offset: 0, lengthBytes: size }),
      (store) => store.head(key),
      (store) => store.list({ prefix: ObjectKey.everything }),
      (store) => store.deleteMany([at("none")]),
      (store) => store.copy(key, at("copy"))
    ]
    return actions[kind] ?? Effect.succeed
  })

const limit = fc.option(fc.nat({ max: 12 }), { nil: undefined })
const bytes = fc.option(fc.nat({ max: 150 }), { nil: undefined })

const someLimits: fc.Arbitrary<BudgetLimits> = fc
  .record({
    putRequests: limit,
    getRequests: limit,
    listRequests: limit,
    deleteRequests: limit,
    bytesIn: bytes,
    bytesOut: bytes
  })
  .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))

const assertWithin = (used: Readonly<Record<string, number>>, limits: BudgetLimits): void => {
  for (const [name, most] of Object.entries(limits)) assert.isAtMost(used[name] ?? Number.NaN, most, name)
}

it("no limit is passed under concurrency, as the store inside counts it", async () => {
  let refused = 0
  await fc.assert(
    fc.asyncProperty(
      someLimits,
      fc.array(action, { minLength: 1, maxLength: 50 }),
      fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 1, max: 20 }),
      (limits, actions, delays, concurrency) =>
        runThroughTime(
          Effect.gen(function* () {
            const { meter, budget, store } = yield* prepare(limits, delays)
            const results = yield* Effect.forEach(actions, (run) => Effect.result(run(store)), {
              concurrency
            })
            const sent = yield* meter.usage
            assertWithin({ ...requestsOf(sent), bytesIn: sent.bytesIn, bytesOut: sent.bytesOut }, limits)
            // What the budget says is what was sent.
            assert.deepStrictEqual(yield* budget.used, {
              ...requestsOf(sent),
              bytesIn: sent.bytesIn,
              bytesOut: sent.bytesOut
            })
            refused += results.filter(Result.isFailure).length
          })
        )
    ),
    { numRuns: 200 }
  )
  assert.isAbove(refused, 100)
})

describe("a budget", () => {
  it.effect("refuses before anything is sent, and says what is left", () =>
    Effect.gen(function* () {
      const { inside, store } = yield* prepare({ putRequests: 3, bytesOut: 10 })
      yield* throughTime(store.put(at("x"), body("12345678")))
      const error = yield* Effect.flip(store.put(at("y"), body("123")))
      assert.strictEqual(error.reason, "BudgetExceeded")
      assert.include(error.message, "3 bytes sent wanted, 2 left of 10")
      assert.isFalse(error.retryable)
      assert.isFalse(error.outcomeUnknown)
      assert.lengthOf(inside.seen, 1)
      yield* throughTime(store.put(at("y"), body("12")))
      yield* throughTime(store.put(at("empty"), body("")))
      assert.strictEqual(yield* reasonOf(store.copy(at("y"), at("z"))), "BudgetExceeded")
    })
  )

  it.effect("of bytes in can be used to the last one, though sizes are not known before", () =>
    Effect.gen(function* () {
      const { inside, budget, store } = yield* prepare({ bytesIn: 60 })
      // Each wants 1000 bytes at most, so they take turns: 20 bytes each.
      const reads = Effect.forEach([1, 2, 3, 4, 5], () => Effect.result(store.get(at("c"), 1000)), {
        concurrency: 5
      })
      const results = yield* throughTime(reads)
      assert.deepStrictEqual(results.map(Result.isSuccess), [true, true, true, false, false])
      assert.strictEqual((yield* budget.used).bytesIn, 60)
      assert.lengthOf(inside.seen, 3)
    })
  )

  it.effect(
    "refuses an object that is larger than what is left, and one that is too large as too large",
    () =>
      Effect.gen(function* () {
        const { budget, store } = yield* prepare({ bytesIn: 15 })
        assert.strictEqual(yield* throughTime(reasonOf(store.get(at("c"), 12))), "TooLarge")
        assert.strictEqual(yield* throughTime(reasonOf(store.get(at("c"), 1000))), "BudgetExceeded")
        assert.strictEqual((yield* budget.used).bytesIn, 0)
        assert.strictEqual((yield* throughTime(store.get(at("b"), 1000))).length, 10)
        assert.strictEqual(
          yield* reasonOf(store.getRange(at("c"), { offset: 0, lengthBytes: 6 })),
          "BudgetExceeded"
        )
        yield* throughTime(store.getRange(at("c"), { offset: 0, lengthBytes: 5 }))
        assert.strictEqual((yield* budget.used).bytesIn, 15)
      })
  )

  it.effect("reads go side by side as long as there is plenty", () =>
    Effect.gen(function* () {
      const { inside, store } = yield* prepare({ bytesIn: 100_000 })
      const read = store.get(at("c"), 1000)
      yield* throughTime(Effect.all([read, read, read], { concurrency: 3 }))
      assert.lengthOf(new Set(inside.seen.map(({ atMillis }) => atMillis)), 1)
    })
  )

  it.effect("who waits can be interrupted, and what was under way counts as a whole", () =>
    Effect.gen(function* () {
      const { inside, budget, store } = yield* prepare({ bytesIn: 30 }, [1000])
      const first = yield* Effect.forkChild(store.get(at("c"), 25))
      yield* TestClock.adjust("1 millis")
      const second = yield* Effect.forkChild(store.get(at("c"), 25))
      const third = yield* Effect.forkChild(Effect.result(store.get(at("b"), 25)))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.interrupt(second)
      assert.strictEqual((yield* budget.used).bytesIn, 0)
      yield* Fiber.interrupt(first)
      assert.strictEqual((yield* budget.used).bytesIn, 25)
      // Five are left, the third one's object has ten.
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(Result.isFailure(yield* Fiber.join(third)))
      assert.lengthOf(inside.seen, 1)
    })
  )

  it.effect("a body that was cut short counts as a whole, a request that got nowhere has no bytes", () =>
    Effect.gen(function* () {
      const inside = scene()
      inside.bucket.put("a", new Uint8Array(10), 0)
      const cost = (fault: { readonly truncated?: true; readonly before?: "Disconnected" }) =>
        Effect.gen(function* () {
          const budget: Budget = yield* makeBudget({ bytesIn: 100 })
          const store = yield* budgeted(yield* faulty(inside.store, () => fault), budget)
          yield* Effect.flip(store.get(at("a"), 30))
          const { bytesIn, getRequests } = yield* budget.used
          return [bytesIn, getRequests]
        })
      assert.deepStrictEqual(yield* cost({ truncated: true }), [30, 1])
      assert.deepStrictEqual(yield* cost({ before: "Disconnected" }), [0, 1])
    })
  )
})
