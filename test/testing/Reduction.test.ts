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

const programs = fc
  .array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 3 })
  .filter((all) => all.flat().length <= 9)

/** Each process sums up what it reads and writes its sum, so that the order of two conflicting steps shows. */
const scenarioOf = (all: ReadonlyArray<ReadonlyArray<Operation>>, seen: Set<string>) => (): Scenario => {
  const things = [1, 2, 3]
  const places = all.map(() => ({ step: 0, sum: 0 }))
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
        simulation.touches(one.kind === "wait" ? [] : [{ thing: `thing ${one.thing}`, how: `${one.kind}s` }])
        perform(one, place)
      }
    }).pipe(inProcess(`p${number}`))
  return {
    program: Effect.all(all.map(run), { concurrency: "unbounded", discard: true }),
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
        const schedules = Explore.exhaustive(scenarioOf(all, bySchedules), many)
        const orders = Explore.everyOrder(scenarioOf(all, byOrders), many)
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
    const report = Explore.everyOrder(scenarioOf(apart, new Set()), many)
    assert.isTrue(report.complete)
    assert.isAtMost(report.runs, 20)
    assert.isAbove(Explore.exhaustive(scenarioOf(apart, new Set()), many).runs, 1000)
  })

  it("plays all schedules where nothing is said", () => {
    const scenario = (): Scenario => {
      const part = (name: string) => Effect.andThen(point("one"), point("two")).pipe(inProcess(name))
      return { program: Effect.all([part("a"), part("b")], { concurrency: "unbounded", discard: true }) }
    }
    assert.strictEqual(Explore.everyOrder(scenario).runs, Explore.exhaustive(scenario).runs)
  })
})
