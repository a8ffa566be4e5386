import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Progress, type ProgressEvent, stream } from "../../src/platform/Progress.ts"

const warning = (message: string): ProgressEvent => ({ type: "warning", subject: "test", message })

const reportMany = (count: number) =>
  Effect.map(Progress, (report) => {
    for (let number = 0; number < count; number++) report(warning(String(number)))
  })

describe("Progress", () => {
  it.effect("drops everything by default", () => reportMany(3))

  it.effect("a stream holds every event in order, however many came at once, and ends", () =>
    Effect.gen(function* () {
      const events = yield* Stream.runCollect(stream(reportMany(5000)))
      assert.deepStrictEqual(
        events.map((event) => (event.type === "warning" ? Number(event.message) : -1)),
        Array.from({ length: 5000 }, (_, number) => number)
      )
    })
  )

  it.effect("a stream fails as the work fails, after its events", () =>
    Effect.gen(function* () {
      const seen: Array<ProgressEvent> = []
      const work = Effect.andThen(reportMany(40), Effect.fail("broken"))
      const error = yield* Effect.flip(
        Stream.runForEach(stream(work), (event) => Effect.sync(() => seen.push(event)))
      )
      assert.strictEqual(error, "broken")
      assert.strictEqual(seen.length, 40)
    })
  )

  it.effect("who stops listening stops the work", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const stopped = yield* Deferred.make<void>()
      const work = Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(stopped, undefined))
      )
      const fiber = yield* Effect.forkChild(Stream.runDrain(stream(work)))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(stopped)
    })
  )
})
