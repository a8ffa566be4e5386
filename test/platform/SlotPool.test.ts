import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as SlotPool from "../../src/platform/SlotPool.ts"

const makePool = SlotPool.make(new Uint8Array(20_000), 4096, 5000, 3)

describe("SlotPool", () => {
  it.effect("slots lie behind one another and do not overlap", () =>
    Effect.gen(function* () {
      const pool = yield* makePool
      const slots = yield* Effect.all([pool.acquire, pool.acquire, pool.acquire])
      assert.deepStrictEqual(
        slots.map(({ offset }) => offset),
        [4096 + 12, 4096 + 5012, 4096 + 10_012]
      )
      // From the margin before the content to the end of the margin behind it.
      const whole = slots.map(({ sizeBytes }) => 12 + sizeBytes + 4096)
      assert.deepStrictEqual(whole, [5000, 5000, 5000])
      const views = slots.map((slot, index) => pool.view(slot, slot.sizeBytes).fill(index + 1))
      assert.deepStrictEqual(
        views.map((view) => new Set(view)),
        [new Set([1]), new Set([2]), new Set([3])]
      )
    })
  )

  it.effect("who finds none free waits, first come, first served", () =>
    Effect.gen(function* () {
      const pool = yield* makePool
      const slots = yield* Effect.all([pool.acquire, pool.acquire, pool.acquire])
      const order: Array<string> = []
      const waitAs = (name: string) =>
        Effect.forkChild(Effect.tap(pool.acquire, () => Effect.sync(() => order.push(name))))
      const fibers = [yield* waitAs("first"), yield* waitAs("second")]
      yield* Effect.yieldNow
      assert.deepStrictEqual(order, [])
      for (const slot of slots.slice(0, 2)) yield* pool.release(slot)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(order, ["first", "second"])
    })
  )

  it.effect("an interrupted wait takes no slot with it", () =>
    Effect.gen(function* () {
      const pool = yield* makePool
      const slots = yield* Effect.all([pool.acquire, pool.acquire, pool.acquire])
      for (let turn = 0; turn < 10; turn++) {
        const waiting = yield* Effect.forkChild(pool.acquire)
        yield* Effect.yieldNow
        yield* Fiber.interrupt(waiting)
      }
      for (const slot of slots) yield* pool.release(slot)
      const again = yield* Effect.all([pool.acquire, pool.acquire, pool.acquire])
      assert.strictEqual(new Set(again.map(({ offset }) => offset)).size, 3)
    })
  )
})
