/** Reduction: fewer runs, and not one state less. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { Explore, inProcess, point, type Scenario, Simulation } from "../../src/testing.ts"

interface Operation {
  readonly thing: number
  readonly kind: "read" | "add" | "write" | "wait"
}

const operation = fc.record<Operation>({
  thing: fc.nat(2),
  kind: fc.constantFrom("read", "read", "add", "write", "write", "wait")
})

type Operations = ReadonlyArray<ReadonlyArray<Operation>>

const programs = fc
  .array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 3 })
  .filter((all) => all.flat().length <= 9)

interface Making {
  /** Every state, and every end. */
  readonly seen: Set<string>
  /** Whether it tells what is shared, and what processes learn of that. */
  readonly tells?: boolean
}

/** Each process sums up what it reads and writes its sum, so that the order of two conflicting steps shows. */
const scenarioOf =
  (all: Operations, { seen, tells = false }: Making) =>
  (): Scenario => {
    const things = [1, 2, 3]
    const places = all.map(() => ({ step: 0, sum: 0 }))
    /** What is left of those that have ended: `state` tells of it, so it is shared. */
    const left: Array<unknown> = []
    const state = () => JSON.stringify([things, places])
    const perform = ({ kind, thing }: Operation, place: { step: number; sum: number }): void => {
      if (kind === "read") place.sum = place.sum * 7 + (things[thing] ?? 0)
      if (kind === "write") things[thing] = (place.sum + place.step * 3 + 1) % 1000
      if (kind === "add") things[thing] = (things[thing] ?? 0) + place.step + 1
      place.step += 1
    }
    const run = (operations: ReadonlyArray<Operation>, number: number) =>
      Effect.gen(function* () {
        const simulation = yield* Simulation
        simulation.touches([])
        const place = places[number] ?? { step: 0, sum: 0 }
        for (const one of operations) {
          if (one.kind === "wait") yield* Effect.sleep(1 + one.thing)
          yield* point(`${one.kind} ${one.thing}`)
          simulation.touches(
            one.kind === "wait" ? [] : [{ thing: `thing ${one.thing}`, how: `${one.kind}s` }]
          )
          if (one.kind === "read") yield* simulation.learns(() => `${things[one.thing]}`)
          perform(one, place)
        }
        left[number] = place
      }).pipe(inProcess(`p${number}`))
    return {
      program: Effect.all(all.map(run), { concurrency: "unbounded", discard: true }),
      ...(tells ? { shared: () => JSON.stringify([things, left]) } : {}),
      state: () => {
        seen.add(state())
        return state()
      },
      check: () => void seen.add(`end ${state()}`)
    }
  }

const many = { maxRuns: 1_000_000 }

describe("every order that makes a difference", () => {
  it("passes through every state that all schedules pass through, and every end", () => {
    fc.assert(
      fc.property(programs, (all) => {
        const [bySchedules, byOrders] = [new Set<string>(), new Set<string>()]
        const schedules = Explore.exhaustive(scenarioOf(all, { seen: bySchedules }), many)
        const orders = Explore.everyOrder(scenarioOf(all, { seen: byOrders }), many)
        assert.isTrue(schedules.complete && orders.complete)
        assert.deepStrictEqual([...byOrders].toSorted(), [...bySchedules].toSorted())
        assert.isAtMost(orders.runs, schedules.runs)
      }),
      { numRuns: 60 }
    )
  }, 120_000)

  it("takes a run for each step of one process where two have nothing in common", () => {
    const apart = [0, 1].map((thing) =>
      Array.from({ length: 6 }, (): Operation => ({ thing, kind: "write" }))
    )
    const report = Explore.everyOrder(scenarioOf(apart, { seen: new Set() }), many)
    assert.isTrue(report.complete)
    assert.isAtMost(report.runs, 20)
    assert.isAbove(Explore.exhaustive(scenarioOf(apart, { seen: new Set() }), many).runs, 1000)
  })

  it("plays all schedules where nothing is said", () => {
    const scenario = (): Scenario => {
      const part = (name: string) => Effect.andThen(point("one"), point("two")).pipe(inProcess(name))
      return { program: Effect.all([part("a"), part("b")], { concurrency: "unbounded", discard: true }) }
    }
    assert.strictEqual(Explore.everyOrder(scenario).runs, Explore.exhaustive(scenario).runs)
  })
})

describe("going on from each state once", () => {
  it("passes through every state that all schedules within the bound pass through, and every end", () => {
    fc.assert(
      fc.property(programs, fc.constantFrom(0, 1, 2, 3, Infinity), (all, preemptions) => {
        const [bySchedules, byStates] = [new Set<string>(), new Set<string>()]
        const options = { ...many, preemptions }
        const schedules = Explore.exhaustive(scenarioOf(all, { seen: bySchedules }), options)
        const states = Explore.exhaustive(scenarioOf(all, { seen: byStates, tells: true }), options)
        assert.isTrue(schedules.complete && states.complete)
        assert.deepStrictEqual([...byStates].toSorted(), [...bySchedules].toSorted())
        assert.isAtMost(states.runs, schedules.runs)
      }),
      { numRuns: 200 }
    )
  }, 120_000)

  it("goes on from a state once, in whatever order it came about", () => {
    const scenario = (tells: boolean) => (): Scenario => {
      let sum = 0
      const part = (name: string) =>
        Effect.forEach([1, 2, 3, 4, 5], () => Effect.map(point("count"), () => void (sum += 1)), {
          discard: true
        }).pipe(inProcess(name))
      const program = Effect.all([part("a"), part("b")], { concurrency: "unbounded", discard: true })
      return { program, ...(tells ? { shared: () => String(sum) } : {}) }
    }
    const [schedules, states] = [false, true].map((tells) => Explore.exhaustive(scenario(tells)))
    assert.isTrue(schedules?.complete === true && states?.complete === true)
    assert.isAbove(schedules?.runs ?? 0, 900)
    assert.isBelow(states?.runs ?? Infinity, 150)
  })
})
