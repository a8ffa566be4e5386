/** What a run is: points, choices, time, values and real work; and Effect's own tools inside of it. */
import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FiberSet,
  Layer,
  PubSub,
  Queue,
  Ref,
  Schedule,
  Semaphore,
  Stream
} from "effect"
import {
  actor,
  external,
  point,
  run,
  runAsync,
  type Simulation,
  Simulation as Sim
} from "../../src/testing.ts"
import { both, counterRace, storyOf, valueOf } from "./scenarios.ts"

const play = <A, E>(
  program: Effect.Effect<A, E, Simulation>,
  choices: ReadonlyArray<number> = [],
  options = {}
) => run({ program }, { choices }, options)

describe("a run", () => {
  it("without choices lets each actor go on as long as it can", () => {
    const { steps } = run(counterRace(["a", "b"]))
    assert.deepStrictEqual(storyOf(steps), ["a.start", "a.read", "a.write", "b.start", "b.read", "b.write"])
  })

  it("follows its choices, and the same choices give the same run", () => {
    const first = run(counterRace(["a", "b", "c"]), { choices: [2, 1, 0, 2] })
    assert.deepStrictEqual(storyOf(first.steps).slice(0, 4), ["c.start", "a.start", "a.read", "c.read"])
    assert.deepStrictEqual(run(counterRace(["a", "b", "c"]), { choices: [2, 1, 0, 2] }), first)
  })

  it("asks for values where the program wants them, and plays them again", () => {
    const program = Effect.gen(function* () {
      const { choose } = yield* Sim
      yield* point("before")
      return [choose("torn at", 5), choose("only one", 1), choose("lost", 2)]
    })
    assert.deepStrictEqual(valueOf(play(program)), [0, 0, 0])
    const { steps } = play(program, [3, 1])
    assert.deepStrictEqual(valueOf(play(program, [3, 1])), [3, 0, 1])
    assert.deepStrictEqual(storyOf(steps), ["main.before", "main.torn at", "main.lost"])
  })

  it("ends with a deadlock that names who waits", () => {
    const program = Effect.gen(function* () {
      const [first, second] = [yield* Semaphore.make(1), yield* Semaphore.make(1)]
      const take = (one: Semaphore.Semaphore, other: Semaphore.Semaphore) =>
        one.withPermit(Effect.andThen(point("second"), other.withPermit(Effect.void)))
      return yield* both(take(first, second).pipe(actor("p")), take(second, first).pipe(actor("q")))
    })
    assert.strictEqual(play(program).outcome._tag, "Done")
    assert.deepStrictEqual(play(program, [0, 1]).outcome, {
      _tag: "Deadlock",
      waiting: [
        { actor: "p", label: "second" },
        { actor: "q", label: "second" }
      ]
    })
  })

  it("ends at its step limit, whether it parks, sleeps or only yields for ever", () => {
    for (const endless of [point("again"), Effect.sleep("1 second"), Effect.yieldNow]) {
      assert.strictEqual(play(Effect.forever(endless), [], { maxSteps: 50 }).outcome._tag, "StepLimit")
    }
  })
})

describe("time", () => {
  it("costs nothing: hours of retries", () => {
    const program = Effect.gen(function* () {
      const tries = yield* Ref.make(0)
      return yield* Ref.updateAndGet(tries, (count) => count + 1).pipe(
        Effect.flatMap((count) => (count < 10 ? Effect.fail("again") : Effect.succeed(count))),
        Effect.retry(Schedule.exponential("10 seconds"))
      )
    })
    const done = play(program)
    assert.strictEqual(valueOf(done), 10)
    assert.strictEqual(done.elapsedMillis, 10_000 * (2 ** 9 - 1))
  })

  it("begins in 2026 or wherever it is told to", () => {
    assert.strictEqual(valueOf(play(Clock.currentTimeMillis)), Date.UTC(2026, 0, 1))
    assert.strictEqual(valueOf(play(Clock.currentTimeMillis, [], { startMillis: 5 })), 5)
  })

  it("wakes in order of time, then of lying down, and a fiber that slept goes before time moves on", () => {
    const program = Effect.gen(function* () {
      const woken: Array<string> = []
      const sleeper = (name: string, millis: number) =>
        Effect.sleep(millis).pipe(Effect.andThen(Effect.sync(() => void woken.push(name))))
      yield* Effect.all([sleeper("late", 20), sleeper("one", 10), sleeper("two", 10)], {
        concurrency: "unbounded"
      })
      return woken
    })
    assert.deepStrictEqual(valueOf(play(program)), ["one", "two", "late"])
  })

  it("that never comes is a deadlock, not an end of time", () => {
    assert.strictEqual(play(Effect.sleep(Infinity)).outcome._tag, "Deadlock")
  })

  it("competes with fibers when it is a choice, and only then", () => {
    const program = Effect.timeoutOption(point("work"), "1 minute")
    assert.strictEqual(play(program, [1]).elapsedMillis, 0)
    assert.strictEqual(play(program, [1], { time: "choice" }).elapsedMillis, 60_000)
    assert.strictEqual(play(program, [0], { time: "choice" }).elapsedMillis, 0)
  })
})

const inside: Record<string, Effect.Effect<unknown, unknown, Simulation>> = {
  "Fiber.interrupt": Effect.gen(function* () {
    const loop = yield* Effect.forkChild(Effect.forever(point("tick")).pipe(actor("loop")))
    yield* point("main")
    yield* Fiber.interrupt(loop)
    return true
  }),
  "Effect.timeoutOption": Effect.as(Effect.timeoutOption(Effect.never, "1 minute"), true),
  "Effect.raceFirst": Effect.gen(function* () {
    const ended: Array<string> = []
    const racer = (name: string) =>
      point(name).pipe(
        Effect.as(name),
        Effect.onInterrupt(() => Effect.sync(() => void ended.push(name)))
      )
    const winner = yield* Effect.raceFirst(racer("x"), Effect.sleep("1 hour").pipe(Effect.as("clock")))
    const second = yield* Effect.raceFirst(racer("y"), Effect.never)
    return winner === "x" && second === "y" && ended.length === 0
  }),
  "Effect.cached": Effect.gen(function* () {
    let computed = 0
    const once = yield* Effect.cached(
      Effect.andThen(
        point("compute"),
        Effect.sync(() => ++computed)
      )
    )
    const seen = yield* both(once.pipe(actor("a")), once.pipe(actor("b")))
    return computed === 1 && seen.join() === "1,1"
  }),
  Semaphore: Effect.gen(function* () {
    const gate = yield* Semaphore.make(2)
    let [users, most] = [0, 0]
    const use = gate.withPermit(
      Effect.acquireUseRelease(
        Effect.sync(() => (most = Math.max(most, ++users))),
        () => point("inside"),
        () => Effect.sync(() => (users -= 1))
      )
    )
    yield* Effect.forEach(["a", "b", "c", "d"], (name) => use.pipe(actor(name)), {
      concurrency: "unbounded"
    })
    return users === 0 && most <= 2
  }),
  Queue: Effect.gen(function* () {
    const queue = yield* Queue.bounded<number>(1)
    const produce = Effect.forEach([1, 2, 3], (each) =>
      Effect.andThen(point("offer"), Queue.offer(queue, each))
    )
    const consume = Effect.forEach([1, 2, 3], () => Effect.andThen(point("take"), Queue.take(queue)))
    const [, taken] = yield* both(produce.pipe(actor("producer")), consume.pipe(actor("consumer")))
    return taken.join() === "1,2,3"
  }),
  FiberSet: Effect.scoped(
    Effect.gen(function* () {
      let done = 0
      const set = yield* FiberSet.make<unknown, never>()
      for (const name of ["a", "b"]) {
        yield* FiberSet.run(
          set,
          Effect.andThen(
            point(name),
            Effect.sync(() => void (done += 1))
          )
        )
      }
      yield* FiberSet.awaitEmpty(set)
      return done === 2
    })
  ),
  Deferred: Effect.gen(function* () {
    const ready = yield* Deferred.make<number>()
    const give = Effect.andThen(point("give"), Deferred.succeed(ready, 7))
    const [, got] = yield* both(give.pipe(actor("a")), Deferred.await(ready).pipe(actor("b")))
    return got === 7
  }),
  PubSub: Effect.scoped(
    Effect.gen(function* () {
      const hub = yield* PubSub.unbounded<number>()
      const subscription = yield* PubSub.subscribe(hub)
      yield* Effect.forkChild(Effect.andThen(point("publish"), PubSub.publish(hub, 1)))
      return (yield* PubSub.take(subscription)) === 1
    })
  ),
  Stream: Stream.range(1, 6).pipe(
    Stream.mapEffect((each) => Effect.as(point(`n${each}`), each), { concurrency: 3 }),
    Stream.runCollect,
    Effect.map((all) => all.join() === "1,2,3,4,5,6")
  ),
  "Layer.build": Effect.scoped(
    Effect.as(Layer.build(Layer.effectDiscard(Effect.forkScoped(Effect.forever(Effect.sleep(5))))), true)
  )
}

describe("inside of a simulation", () => {
  for (const [name, program] of Object.entries(inside)) {
    it(`${name} works in many schedules`, () => {
      for (let seed = 0; seed < 60; seed++) {
        const choices = Array.from({ length: 30 }, (_, index) => ((seed + 1) * (index + 7) * 31) % 11)
        assert.isTrue(valueOf(play(program, choices)), `choices ${choices.join()}`)
        if (name !== "Effect.timeoutOption" && name !== "Effect.raceFirst")
          assert.isTrue(valueOf(play(program, choices, { time: "choice", maxSteps: 2000 })))
      }
    })
  }
})

const job = (name: string, millis: number, out: Array<string>) =>
  external(
    `io ${name}`,
    Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))
  ).pipe(Effect.andThen(Effect.sync(() => void out.push(name))), actor(name))

describe("real asynchronous work", () => {
  const program = Effect.suspend(() => {
    const out: Array<string> = []
    return Effect.as(both(job("slow", 20, out), job("fast", 1, out)), out)
  })

  it("is waited for, and the order of its results is chosen", async () => {
    const orders: Array<string> = []
    for (const choice of [0, 1, 0, 1]) {
      // Slow starts, then fast, although slow's result is there by then; the last decision is whose result is taken.
      const done = await runAsync({ program }, { choices: [0, 1, choice] })
      orders.push(valueOf(done).join(">"))
    }
    assert.deepStrictEqual(orders.slice(0, 2), orders.slice(2))
    assert.strictEqual(new Set(orders).size, 2)
  })

  it("is refused where nobody can wait", () => {
    assert.throws(() => run({ program }), /runAsync/)
  })

  it("is interrupted with its fiber and at the end of a run", async () => {
    let stopped = 0
    const endless = external(
      "endless",
      Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => void (stopped += 1))))
    )
    const interrupted = await runAsync({
      program: Effect.flatMap(Effect.forkChild(endless, { startImmediately: true }), Fiber.interrupt)
    })
    assert.strictEqual(interrupted.outcome._tag, "Done")
    assert.strictEqual(stopped, 1)
    const left = await runAsync({
      program: Effect.andThen(Effect.forkDetach(endless, { startImmediately: true }), Effect.succeed(1))
    })
    assert.strictEqual(left.outcome._tag, "Done")
    assert.strictEqual(stopped, 2)
  })

  it("hands its failure back", async () => {
    const { outcome } = await runAsync({ program: external("fails", Effect.fail("no")) })
    assert.deepStrictEqual(outcome, { _tag: "Done", exit: Exit.fail("no") })
  })
})
