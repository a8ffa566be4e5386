/** Faults: failures, interruptions, killed processes and crashes of the world, and who survives them. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Option, Queue } from "effect"
import { actor, type Crash, type Fault, inProcess, point, run, Simulation } from "../../src/testing.ts"
import { both, storyOf, valueOf } from "./scenarios.ts"

/** A write in two steps, with a journal of what happened. */
const writing = () => {
  const journal: Array<string> = []
  const log = (line: string) => Effect.sync(() => void journal.push(line))
  const write = Effect.acquireUseRelease(
    log("acquire"),
    () =>
      Effect.gen(function* () {
        yield* point("write")
        yield* log("write")
        yield* point("commit")
        yield* log("commit")
      }),
    () => log("release")
  )
  return { journal, log, write }
}

const at = (step: number, fault: Fault) => ({ faults: [{ step, fault }] })

describe("a fault", () => {
  it("crash: nothing runs any more, finalizers neither", () => {
    const { journal, write } = writing()
    const crashes: Array<Crash> = []
    const { outcome } = run({ program: write, onCrash: (crash) => void crashes.push(crash) }, at(1, "crash"))
    assert.deepStrictEqual(journal, ["acquire", "write"])
    assert.strictEqual(outcome._tag, "Crashed")
    assert.strictEqual(outcome._tag === "Crashed" ? outcome.at.label : "", "commit")
    assert.deepStrictEqual(crashes, [{ kind: "world" }])
  })

  it("interrupt: finalizers run", () => {
    const { journal, write } = writing()
    const { outcome } = run({ program: write }, at(1, "interrupt"))
    assert.deepStrictEqual(journal, ["acquire", "write", "release"])
    assert.isTrue(outcome._tag === "Done" && Exit.hasInterrupts(outcome.exit))
  })

  it("interrupt in an uninterruptible region waits for its end", () => {
    const { journal, write } = writing()
    const program = Effect.uninterruptible(write).pipe(Effect.andThen(point("after")), actor("a"))
    const { outcome } = run({ program }, at(2, "interrupt"))
    assert.deepStrictEqual(journal, ["acquire", "write", "commit", "release"])
    assert.isTrue(outcome._tag === "Done" && Exit.hasInterrupts(outcome.exit))
  })

  it("interrupt hits the actor, with all its fibers", () => {
    const { journal, log, write } = writing()
    const child = point("child").pipe(Effect.onInterrupt(() => log("child interrupted")))
    const program = both(write, child).pipe(actor("a"), Effect.exit)
    const { steps } = run({ program }, at(1, "interrupt"))
    assert.strictEqual(storyOf(steps)[1], "a.write!interrupt")
    assert.sameMembers(journal, ["acquire", "release", "child interrupted"])
  })

  it("fail: the operation fails where it can, and is left alone where it cannot", () => {
    const program = Effect.gen(function* () {
      const { failPoint } = yield* Simulation
      yield* point("plain")
      return [yield* failPoint("first"), yield* failPoint("second")]
    })
    assert.deepStrictEqual(valueOf(run({ program }, at(2, "fail"))), [false, true])
    const { steps } = run({ program }, at(0, "fail"))
    assert.deepStrictEqual(storyOf(steps), ["main.plain", "main.first", "main.second"])
  })
})

describe("recovery", () => {
  it("runs in the same world after a crash, and the dead do not come back", () => {
    const { journal, log, write } = writing()
    const program = both(write.pipe(actor("a")), Effect.andThen(Effect.sleep(1000), log("woke")))
    const recover = Effect.gen(function* () {
      yield* point("recover")
      yield* Effect.sleep(5000)
      yield* log("recovered")
    }).pipe(actor("restart"))
    const done = run({ program, recover }, at(2, "crash"))
    assert.deepStrictEqual(journal, ["acquire", "write", "recovered"])
    assert.strictEqual(done.elapsedMillis, 5000)
    assert.isTrue(
      done.outcome._tag === "Crashed" &&
        done.outcome.recovered !== undefined &&
        Exit.isSuccess(done.outcome.recovered)
    )
    assert.deepStrictEqual(storyOf(done.steps).slice(2), [
      "a.commit!crash",
      "restart.start",
      "restart.recover",
      "clock.tick"
    ])
  })
})

/** One process that holds a lock outside of itself while it works, and another that wants it. */
const lockers = () => {
  const { journal, log } = writing()
  const locks = new Map<string, string>()
  const hold = (name: string) =>
    Effect.gen(function* () {
      while (locks.has("lock")) yield* Effect.sleep(100)
      locks.set("lock", name)
      yield* point("locked")
      yield* log(`${name} worked`)
      locks.delete("lock")
    }).pipe(Effect.ensuring(log(`${name} finalizer`)))
  const onCrash = (crash: Crash) => {
    if (crash.kind === "process" && locks.get("lock") === crash.process) locks.delete("lock")
  }
  const program = both(hold("p1").pipe(inProcess("p1")), hold("p2").pipe(inProcess("p2")))
  return { journal, locks, onCrash, program }
}

describe("a killed process", () => {
  it("stops for ever without finalizers, and the others go on", () => {
    const { journal, onCrash, program } = lockers()
    const done = run({ program, onCrash }, at(1, "kill"))
    assert.deepStrictEqual(storyOf(done.steps).slice(0, 2), ["p1.start", "p1.locked!kill"])
    assert.deepStrictEqual(valueOf(done), [Option.none(), Option.some(undefined)])
    assert.deepStrictEqual(journal, ["p2 worked", "p2 finalizer"])
  })

  it("keeps what it held in the world unless that is given back", () => {
    const { program } = lockers()
    const { outcome } = run({ program }, at(1, "kill"), { maxSteps: 100 })
    assert.strictEqual(outcome._tag, "StepLimit")
  })

  it("lets nobody wake it: not by a value, a queue or an interruption", () => {
    const { journal, log } = writing()
    const program = Effect.gen(function* () {
      const value = yield* Deferred.make<number>()
      const queue = yield* Queue.unbounded<number>()
      const waits = Effect.all([Deferred.await(value), Queue.take(queue), Effect.sleep(10), point("p")], {
        concurrency: "unbounded"
      }).pipe(Effect.ensuring(log("finalizer")), inProcess("victim"))
      const fiber = yield* Effect.forkChild(waits, { startImmediately: true })
      yield* point("kill now")
      const { kill } = yield* Simulation
      yield* kill("victim")
      yield* Deferred.succeed(value, 1)
      yield* Queue.offer(queue, 1)
      yield* Effect.sleep("1 hour")
      fiber.interruptUnsafe()
      yield* Effect.sleep("1 hour")
      return journal.length
    })
    assert.strictEqual(valueOf(run({ program }, { choices: [1] })), 0)
    assert.strictEqual(valueOf(run({ program }, { choices: [0, 0, 0] })), 0)
  })

  it("can kill itself in the middle, and be started again", () => {
    const { journal, log } = writing()
    const program = Effect.gen(function* () {
      const { kill } = yield* Simulation
      const suicide = kill("p").pipe(Effect.andThen(log("alive")), Effect.ensuring(log("finalizer")))
      const first = yield* inProcess("p")(suicide)
      const second = yield* inProcess("p")(Effect.succeed(2))
      return [first, second]
    })
    assert.deepStrictEqual(valueOf(run({ program })), [Option.none(), Option.some(2)])
    assert.deepStrictEqual(journal, [])
  })

  it("without a process there is nothing to kill", () => {
    const { steps } = run({ program: point("p") }, at(0, "kill"))
    assert.deepStrictEqual(storyOf(steps), ["main.p"])
  })
})

describe("a process", () => {
  it("hands its failure on, and is interrupted with who waits for it", () => {
    const { journal, log } = writing()
    const failed = run({ program: inProcess("p")(Effect.fail("no")) }).outcome
    assert.deepStrictEqual(failed, { _tag: "Done", exit: Exit.fail("no") })
    const slow = Effect.sleep("1 hour").pipe(Effect.onInterrupt(() => log("interrupted")))
    const done = run({ program: Effect.timeoutOption(inProcess("p")(slow), "1 minute") })
    assert.deepStrictEqual(valueOf(done), Option.none())
    assert.deepStrictEqual(journal, ["interrupted"])
    assert.strictEqual(done.elapsedMillis, 60_000)
  })
})
