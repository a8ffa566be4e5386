/** UploadRoom: how much is lent at once, in which order, and what comes back when. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as UploadRoom from "../../../src/store/bucket/UploadRoom.ts"

const MIB = 1024 * 1024

/** Holds so much until it is told to give it back. */
const holder = (room: UploadRoom.UploadRoom, sizeBytes: number, keepsBytes?: number) =>
  Effect.gen(function* () {
    const released = yield* Deferred.make<void>()
    const state = { memory: undefined as Uint8Array | undefined, hasIt: false }
    const fiber = yield* Effect.forkChild(
      room.lend(sizeBytes, ({ memory, shrink }) =>
        Effect.gen(function* () {
          state.hasIt = true
          state.memory = memory
          if (keepsBytes !== undefined) yield* shrink(keepsBytes)
          yield* Deferred.await(released)
        })
      ),
      { startImmediately: true }
    )
    yield* Effect.yieldNow
    const release = Effect.andThen(Deferred.succeed(released, undefined), Fiber.join(fiber))
    return { state, fiber, release: Effect.andThen(release, Effect.yieldNow) }
  })

describe("UploadRoom", () => {
  it.effect("lends no more than there is, and in turn: who needs little does not pass who needs much", () =>
    Effect.gen(function* () {
      const room = yield* UploadRoom.make(10 * MIB)
      const first = yield* holder(room, 6 * MIB)
      const large = yield* holder(room, 8 * MIB)
      const small = yield* holder(room, 2 * MIB)
      assert.deepStrictEqual(
        [first, large, small].map(({ state }) => state.hasIt),
        [true, false, false]
      )
      yield* first.release
      assert.deepStrictEqual(
        [large, small].map(({ state }) => state.hasIt),
        [true, true]
      )
      assert.strictEqual(large.state.memory?.length, 8 * MIB)
      yield* large.release
      yield* small.release
    })
  )

  it.effect("what is given back early is lent at once", () =>
    Effect.gen(function* () {
      const room = yield* UploadRoom.make(8 * MIB)
      const shrunk = yield* holder(room, 8 * MIB, 1000)
      const next = yield* holder(room, 7 * MIB)
      assert.isTrue(next.state.hasIt)
      const [left, right] = [shrunk.state.memory, next.state.memory]
      assert.isAtLeast((right?.byteOffset ?? 0) - (left?.byteOffset ?? 0), 1000)
      yield* shrunk.release
      yield* next.release
      const whole = yield* holder(room, 8 * MIB)
      assert.isTrue(whole.state.hasIt)
      yield* whole.release
    })
  )

  it.effect("who is interrupted while it waits, or while it has it, leaves nothing taken", () =>
    Effect.gen(function* () {
      const room = yield* UploadRoom.make(8 * MIB)
      const first = yield* holder(room, 8 * MIB)
      const waiting = yield* holder(room, 8 * MIB)
      yield* Fiber.interrupt(waiting.fiber)
      yield* Fiber.interrupt(first.fiber)
      const next = yield* holder(room, 8 * MIB)
      assert.isTrue(next.state.hasIt)
      yield* next.release
    })
  )

  it.effect("what is small, or larger than all of it, has memory of its own and waits for nobody", () =>
    Effect.gen(function* () {
      const room = yield* UploadRoom.make(8 * MIB)
      const first = yield* holder(room, 8 * MIB)
      for (const sizeBytes of [1000, 9 * MIB]) {
        const other = yield* holder(room, sizeBytes, 10)
        assert.deepStrictEqual([other.state.hasIt, other.state.memory], [true, undefined])
        yield* other.release
      }
      yield* first.release
    })
  )
})
