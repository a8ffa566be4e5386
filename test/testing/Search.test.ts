/** What chance, priorities, crashes and time find, and that a seed finds it again. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  actor,
  Explore,
  type Fault,
  inProcess,
  point,
  run,
  runWith,
  type Scenario,
  scheduleOf,
  fromSeed,
  external
} from "../../src/testing.ts"
import { both, counterRace, storyOf, walkers } from "./scenarios.ts"

const three = ["a", "b", "c"]

describe("random exploration", () => {
  it("finds the lost update; its seed finds it again at once", () => {
    const report = Explore.seeded(() => counterRace(["a", "b", "c", "d"]), { seed: 100 })
    const { seed } = report.failure!
    assert.isAtLeast(seed!, 100)
    const again = Explore.seeded(() => counterRace(["a", "b", "c", "d"]), { seed: seed!, maxRuns: 1 })
    assert.deepStrictEqual(again.failure!.found, report.failure!.found)
    assert.deepStrictEqual(again.failure!.schedule, report.failure!.schedule)
  })

  it("is the same run for the same seed, faults included", () => {
    const play = (seed: number) =>
      runWith(walkers(three, 4), fromSeed(seed, { kinds: ["interrupt", "crash"], chance: 0.2 }))
    const faulty = new Set<Fault>()
    const stories = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const { steps, outcome } = play(seed)
      assert.deepStrictEqual(play(seed).steps, steps)
      const replayed = run(walkers(three, 4), scheduleOf(steps))
      assert.deepStrictEqual(replayed.steps, steps)
      assert.strictEqual(replayed.outcome._tag, outcome._tag)
      for (const { fault } of steps) faulty.add(fault)
      stories.add(storyOf(steps).join())
    }
    assert.deepStrictEqual([...faulty].sort(), ["crash", "interrupt", "none"])
    // Those that crash early are alike.
    assert.isAbove(stories.size, 30)
  })
})

/** Broken only when three events of two actors come in one order, among many others that do not matter. */
const depthThree = (): Scenario => {
  let stage = 0
  const padding = Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], (at) => point(`padding ${at}`))
  const left = Effect.gen(function* () {
    yield* padding
    yield* point("open")
    if (stage === 0) stage = 1
    yield* point("use")
    if (stage === 2) stage = 3
    yield* point("close")
    if (stage !== 3) stage = 4
  })
  const right = Effect.gen(function* () {
    yield* point("swap")
    if (stage === 1) stage = 2
    yield* point("swap back")
    if (stage === 2) stage = 1
  })
  return {
    program: both(left.pipe(actor("left")), right.pipe(actor("right"))),
    check: () => stage !== 3
  }
}

describe("priority-based exploration", () => {
  const runsUntilFound = (explore: typeof Explore.pct, seed: number) => {
    const { runs, failures } = explore(depthThree, { seed, maxRuns: 5000, maxShrinkRuns: 0 })
    assert.strictEqual(failures, 1)
    return runs
  }
  const median = (numbers: ReadonlyArray<number>) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!
  const seeds = Array.from({ length: 15 }, (_, index) => index * 10_000)

  it("finds a bug of depth 3 quickly, and more so than chance", () => {
    const pct = median(seeds.map((seed) => runsUntilFound(Explore.pct, seed)))
    const seeded = median(seeds.map((seed) => runsUntilFound(Explore.seeded, seed)))
    // One in n * k ** 2 is promised: 2 actors, 15 steps.
    assert.isBelow(pct, 2 * 15 ** 2)
    assert.isBelow(pct, seeded)
  })

  it("needs the depth it is told", () => {
    const { failures } = Explore.pct(depthThree, { depth: 1, maxRuns: 500 })
    assert.strictEqual(failures, 0)
  })

  it("plays one seed in one way, whatever was played before", () => {
    const found = Explore.pct(depthThree, { maxRuns: 5000 }).failure!
    const again = Explore.pct(depthThree, { seed: found.seed!, maxRuns: 2 }).failure!
    assert.deepStrictEqual(again.found, found.found)
  })
})

const isNotOf = (name: string) => (line: string) => !line.startsWith(name)

/** A file is written in two steps; whoever dies between them leaves it half done, who is interrupted cleans up. */
const twoSteps = (): Scenario & { readonly disk: Array<string> } => {
  const disk: Array<string> = []
  const write = (name: string) =>
    Effect.gen(function* () {
      yield* point("first half")
      disk.push(`${name}1`)
      yield* point("second half")
      disk.push(`${name}2`)
    }).pipe(
      Effect.onInterrupt(() =>
        Effect.sync(() => void disk.splice(0, disk.length, ...disk.filter(isNotOf(name))))
      )
    )
  return {
    disk,
    program: both(write("p").pipe(inProcess("p")), write("q").pipe(inProcess("q"))),
    check: () => disk.length % 2 === 0 || `half done: ${disk.join()}`
  }
}

describe("crashes", () => {
  it("fall at every step of every schedule given", () => {
    const stories: Array<string> = []
    const report = Explore.crashes(() => ({ ...twoSteps(), check: () => true }), {
      schedules: [[], [1]],
      onRun: ({ steps }) => void stories.push(storyOf(steps).join())
    })
    assert.strictEqual(report.runs, 2 * (1 + 6))
    assert.isTrue(report.complete)
    assert.strictEqual(new Set(stories).size, stories.length)
    const kills = Explore.crashes(() => ({ ...twoSteps(), check: () => true }), {
      schedules: [[]],
      kinds: ["kill", "crash"]
    })
    assert.strictEqual(kills.runs, 1 + 6 + 6)
  })

  it("are found, with the fault shrunk as well", () => {
    for (const kind of ["kill", "crash"] as const) {
      const { failure } = Explore.crashes(twoSteps, { kinds: [kind] })
      assert.deepStrictEqual(failure?.schedule, { choices: [], faults: [{ step: 2, fault: kind }] })
      assert.match(failure?.timeline ?? "", kind === "kill" ? /!! killed before it/ : /!! crash before it/)
    }
  })

  it("are found by chance too, and lose what does not matter", () => {
    const { failure } = Explore.seeded(twoSteps, { faults: { kinds: ["kill"], max: 3, chance: 0.3 } })
    assert.strictEqual(failure?.schedule.faults.length, 1)
    assert.deepStrictEqual(failure?.schedule.choices, [])
  })

  it("are left out of a failure that has nothing to do with them", () => {
    const besides = (): Scenario => {
      const { program, check } = counterRace(["a", "b"])
      const bystander = point("stands by").pipe(inProcess("bystander"))
      return { program: both(program, bystander), check: () => check?.({ _tag: "StepLimit" }) }
    }
    const { failure } = Explore.seeded(besides, { faults: { kinds: ["kill"], chance: 1 } })
    assert.strictEqual(failure?.found.faults.length, 1)
    assert.deepStrictEqual(failure?.schedule.faults, [])
  })

  it("are not interruptions: those leave nothing half done", () => {
    const report = Explore.exhaustive(twoSteps, { preemptions: 1, faults: { kinds: ["interrupt"], max: 2 } })
    assert.deepInclude(report, { failures: 0, complete: true })
    assert.isAbove(report.runs, 30)
  })
})

/** A writer has leased something for ten seconds and is merely slow; a sweeper takes what is not leased. */
const lease = (): Scenario => {
  let [leased, published, swept] = [false, false, false]
  const writer = Effect.gen(function* () {
    leased = true
    const expire = Effect.andThen(
      Effect.sleep("10 seconds"),
      Effect.sync(() => void (leased = false))
    )
    yield* Effect.forkChild(expire, { startImmediately: true })
    yield* point("upload")
    yield* point("publish")
    published = true
  })
  const sweeper = Effect.gen(function* () {
    yield* point("check")
    if (!leased && !published) swept = true
  })
  return {
    program: both(writer, Effect.andThen(point("wait"), sweeper)),
    check: () => !(published && swept) || "published what was swept"
  }
}

describe("expiry", () => {
  it("races with slow work only when time is a choice", () => {
    const idle = Explore.exhaustive(lease, { time: "idle" })
    assert.deepInclude(idle, { failures: 0, complete: true })
    const { failure } = Explore.exhaustive(lease, { time: "choice" })
    assert.strictEqual(failure?.message, "published what was swept")
    assert.match(failure?.timeline ?? "", /\+10000 ms {2}clock {2}tick/)
    assert.strictEqual(failure?.replay().elapsedMillis, 10_000)
  })
})

describe("real work", () => {
  it("can be explored as well", async () => {
    const scenario = (): Scenario => {
      const order: Array<string> = []
      const job = (name: string) =>
        external(
          "io",
          Effect.promise(() => Promise.resolve())
        ).pipe(Effect.andThen(Effect.sync(() => void order.push(name))), actor(name))
      return { program: both(job("a"), job("b")), check: () => order[0] === "a" }
    }
    const report = await Explore.exhaustiveAsync(scenario)
    assert.strictEqual(report.failure?.kind, "Check")
    assert.deepStrictEqual(report.failure?.schedule.choices, [1])
    assert.strictEqual((await Explore.seededAsync(scenario)).failure?.kind, "Check")
  })
})
