/** Explorations: what they count, how small they make what they find, and that it can be played again. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Semaphore } from "effect"
import { actor, Explore, point, run, type Scenario, scheduleOf, Simulation } from "../../src/testing.ts"
import { both, counterRace, storyOf, walkers } from "./scenarios.ts"

const two = ["a", "b"]
const three = ["a", "b", "c"]

describe("exhaustive exploration", () => {
  it("plays every interleaving once", () => {
    // (3+3)! / (3! 3!) and 9! / 3!^3: start and two points each.
    for (const [names, count] of [
      [two, 20],
      [three, 1680]
    ] as const) {
      const stories = new Set<string>()
      const report = Explore.exhaustive(() => walkers(names, 3), {
        onRun: ({ steps }) => void stories.add(storyOf(steps).join())
      })
      assert.deepInclude(report, { runs: count, complete: true, failures: 0, depth: 3 * names.length })
      assert.strictEqual(stories.size, count)
      // Each of the actors is at one of four places: not begun, and after each of its points.
      assert.strictEqual(report.distinctStates, 4 ** names.length)
    }
  })

  it("bounds preemptions", () => {
    // Without any, actors run one after the other: in each of the 3! orders.
    assert.strictEqual(Explore.exhaustive(() => walkers(three, 3), { preemptions: 0 }).runs, 6)
    const counts = [1, 2, 3].map(
      (preemptions) => Explore.exhaustive(() => walkers(three, 3), { preemptions }).runs
    )
    assert.deepStrictEqual(
      counts,
      [...counts].sort((a, b) => a - b)
    )
    assert.isBelow(counts[0]!, 200)
    const none = Explore.exhaustive(() => counterRace(three), { preemptions: 0 })
    assert.strictEqual(none.failures, 0)
    assert.strictEqual(Explore.exhaustive(() => counterRace(two), { preemptions: 1 }).failures, 1)
  })

  it("says so when it did not come to the end", () => {
    assert.deepInclude(
      Explore.exhaustive(() => walkers(three, 3), { maxRuns: 100 }),
      { runs: 100, complete: false }
    )
    assert.deepInclude(
      Explore.exhaustive(() => walkers(two, 3), { maxRuns: 20 }),
      { runs: 20, complete: true }
    )
  })

  it("proves that a semaphore removes the race", () => {
    const guarded = (): Scenario => {
      const gate = Semaphore.makeUnsafe(1)
      let value = 0
      const increment = gate.withPermit(
        Effect.gen(function* () {
          yield* point("read")
          const seen = value
          yield* point("write")
          value = seen + 1
        })
      )
      return {
        program: Effect.forEach(three, (name) => increment.pipe(actor(name)), { concurrency: "unbounded" }),
        check: () => value === 3
      }
    }
    const report = Explore.exhaustive(guarded)
    assert.isTrue(report.complete)
    assert.strictEqual(report.failures, 0)
    assert.isAbove(report.runs, 50)
  })

  it("branches over values that a program asks for", () => {
    const seen = new Set<string>()
    const report = Explore.exhaustive(() => ({
      program: Simulation.useSync(({ choose }) => seen.add(`${choose("x", 3)}${choose("y", 2)}`))
    }))
    assert.deepInclude(report, { runs: 6, complete: true })
    assert.strictEqual(seen.size, 6)
  })

  it("puts each fault at each step of each schedule", () => {
    const seen = new Set<string>()
    const report = Explore.exhaustive(() => walkers(["a"], 3), {
      faults: { kinds: ["crash", "interrupt", "fail", "kill"] },
      onRun: ({ steps }) => void seen.add(storyOf(steps).join())
    })
    // Three steps: no fault, or one of the two that mean something here.
    assert.strictEqual(report.runs, 1 + 3 * 2)
    assert.strictEqual(seen.size, report.runs)
    const twice = Explore.exhaustive(() => walkers(["a"], 3), { faults: { kinds: ["interrupt"], max: 2 } })
    assert.isAtLeast(twice.runs, 4)
  })

  it("notices a scenario that is not made anew", () => {
    let runs = 0
    const drifting = () => {
      runs += 1
      return walkers(runs % 2 === 0 ? two : three, 2)
    }
    assert.throws(() => Explore.exhaustive(drifting), /not deterministic/)
  })
})

describe("a failure", () => {
  const failing = () => Explore.seeded(() => counterRace(["a", "b", "c", "d"])).failure!

  it("is shrunk to the one switch that matters", () => {
    const { schedule, found, kind, message } = failing()
    assert.deepStrictEqual(schedule, { choices: [0, 0, 1], faults: [] })
    assert.isAbove(found.choices.length, 3)
    assert.strictEqual(kind, "Check")
    assert.match(message, /^4 increments made 1$/)
  })

  it("can be played again", () => {
    const { replay, schedule } = failing()
    assert.deepStrictEqual(scheduleOf(replay().steps).choices.slice(0, 3), schedule.choices)
    assert.deepStrictEqual(replay().steps, replay().steps)
  })

  it("reads as a timeline, and is thrown with it", () => {
    const report = Explore.exhaustive(() => counterRace(two))
    assert.strictEqual(
      report.failure!.timeline,
      [
        "0  a  start",
        "1  a  read",
        "2  b  start  <- option 1 of 2",
        "3  b  read",
        "4  b  write",
        "5  a  write",
        "   done"
      ].join("\n")
    )
    assert.throws(
      () => Explore.assertHolds(report),
      /2 increments made 1\n.*choices: \[0, 0, 1\], faults: \[\]/s
    )
    assert.match(
      Explore.render(report),
      /^exhaustive: \d+ runs?, 1 failed.* distinct states, at most 6 steps\n/
    )
    const fine = Explore.exhaustive(() => walkers(two, 2))
    assert.strictEqual(Explore.assertHolds(fine), fine)
    assert.match(
      Explore.render(fine),
      /^exhaustive: 6 runs, all of them.*9 distinct states, at most 4 steps$/
    )
  })

  it("keeps its kind while it shrinks", () => {
    // The smallest schedule of all fails in another way.
    const scenario = (): Scenario => {
      const order: Array<string> = []
      const mark = (name: string) =>
        point(name).pipe(Effect.andThen(Effect.sync(() => void order.push(name))))
      return {
        program: both(mark("x").pipe(actor("x")), mark("y").pipe(actor("y"))).pipe(
          Effect.andThen(Effect.suspend(() => (order[0] === "x" ? Effect.die("defect") : Effect.void)))
        ),
        check: () => order[0] !== "y"
      }
    }
    assert.strictEqual(Explore.exhaustive(scenario).failure!.kind, "Defect")
    const other = Explore.crashes(scenario, { schedules: [[1]], kinds: [] }).failure!
    assert.strictEqual(other.kind, "Check")
    assert.deepStrictEqual(other.schedule.choices, [1])
  })

  it("is shrunk within bounds, and not at all if so wished", () => {
    const options = { seed: 7, maxShrinkRuns: 3 }
    assert.isAtMost(Explore.seeded(() => counterRace(["a", "b", "c", "d"]), options).failure!.shrinkRuns, 3)
    const raw = Explore.seeded(() => counterRace(three), { maxShrinkRuns: 0 }).failure!
    assert.strictEqual(raw.shrinkRuns, 0)
    assert.deepStrictEqual(storyOf(raw.replay().steps), storyOf(run(counterRace(three), raw.found).steps))
  })

  it("is counted with the others if so wished", () => {
    const report = Explore.exhaustive(() => counterRace(two), { keepGoing: true })
    assert.strictEqual(report.runs, 20)
    let lost = 0
    const values = Explore.exhaustive(() => ({ ...counterRace(two), check: () => true }), {
      onRun: ({ steps }) => {
        const story = storyOf(steps)
        const later = (left: string, right: string) => story.indexOf(left) > story.indexOf(right)
        if (!later("a.read", "b.write") && !later("b.read", "a.write")) lost += 1
      }
    })
    assert.strictEqual(values.failures, 0)
    assert.strictEqual(report.failures, lost)
  })

  const outcomes: Record<string, () => Scenario> = {
    Deadlock: () => ({ program: Effect.andThen(point("p"), Effect.never) }),
    StepLimit: () => ({ program: Effect.forever(point("p")) }),
    Defect: () => ({ program: Effect.andThen(point("p"), Effect.die("broken")) }),
    Failed: () => ({ program: Effect.andThen(point("p"), Effect.fail("broken")) })
  }
  for (const [kind, scenario] of Object.entries(outcomes)) {
    it(`may be a ${kind}, unless that is allowed`, () => {
      assert.strictEqual(Explore.seeded(scenario, { maxSteps: 20 }).failure?.kind, kind)
      const allow = [kind as "Deadlock"]
      const allowed = () => ({ ...scenario(), allow })
      assert.strictEqual(Explore.seeded(allowed, { maxSteps: 20, maxRuns: 5 }).failures, 0)
      const checked = () => ({ ...allowed(), check: () => "seen" })
      assert.strictEqual(Explore.seeded(checked, { maxSteps: 20 }).failure?.message, "seen")
    })
  }
})

describe("an invariant", () => {
  it("is looked at after every step, and ends the run where it breaks", () => {
    const scenario = (): Scenario => {
      let inside = 0
      const visit = Effect.gen(function* () {
        yield* point("enter")
        inside += 1
        yield* point("leave")
        inside -= 1
      })
      return {
        program: both(visit.pipe(actor("a")), visit.pipe(actor("b"))),
        invariant: () => (inside > 1 ? `${inside} are inside` : undefined),
        check: () => inside === 0
      }
    }
    const { failure } = Explore.seeded(scenario)
    assert.strictEqual(failure?.kind, "Violated")
    assert.strictEqual(failure?.message, "2 are inside")
    assert.deepStrictEqual(storyOf(failure!.replay().steps), ["a.start", "a.enter", "b.start", "b.enter"])
  })

  it("may throw instead", () => {
    const scenario = () => ({ program: point("p"), invariant: () => assert.strictEqual(1, 2) })
    assert.match(Explore.seeded(scenario).failure?.message ?? "", /expected 1 to equal 2/)
  })
})
