/**
 * Knowing: explorations that go on from each state once leave nothing out: whatever a process can go through in all
 * schedules it goes through in those that are left, and the store passes through the same states.
 */
import { assert, describe, it } from "@effect/vitest"
import { Explore, type Report, type Scenario } from "../../src/testing.ts"
import type { Run } from "../../src/testing/Run.ts"
import { guarded } from "./harness/Mutation.ts"
import type { Case } from "./harness/Row.ts"
import { R02 } from "./rows/R02.ts"
import { R07 } from "./rows/R07.ts"
import { R13 } from "./rows/R13.ts"

type Search = (scenario: () => Scenario, options: { onRun: (run: Run) => void }) => Report

/** What each process has gone through in some run, and the states of the store. */
const goneThrough = (search: Search, make: () => Scenario) => {
  const ways = new Set<string>()
  const states = new Set<unknown>()
  const scenario = (): Scenario => {
    const made = make()
    const note = (): void => void states.add(made.state?.())
    return {
      ...made,
      check: (outcome) => {
        note()
        return made.check?.(outcome)
      },
      invariant: () => {
        note()
        return made.invariant?.()
      }
    }
  }
  const report = search(scenario, {
    onRun: ({ steps }) => {
      for (const name of new Set(steps.map(({ process }) => process))) {
        const labels = steps.filter(({ process }) => process === name).map(({ label }) => label)
        ways.add(`${name}: ${labels.join(", ")}`)
      }
    }
  })
  assert.isTrue(report.complete, Explore.render(report))
  return { ways, states }
}

const withoutShared = (make: () => Scenario) => (): Scenario => {
  const { shared: _, ...scenario } = make()
  return scenario
}

const cases: ReadonlyArray<readonly [string, Case | undefined, Search]> = [
  ["every order of R7", R07.cases[0], Explore.everyOrder],
  ["every order of R13", R13.cases[0], Explore.everyOrder],
  [
    "R7 with a bound",
    R07.cases[0],
    (make, options) => Explore.exhaustive(make, { ...options, preemptions: 3 })
  ],
  [
    "R2 with a bound",
    R02.cases[0],
    (make, options) => Explore.exhaustive(make, { ...options, preemptions: 2 })
  ],
  [
    "R2 in one process with a bound",
    R02.cases[1],
    (make, options) => Explore.exhaustive(make, { ...options, preemptions: 1 })
  ]
]

describe("going on from each state once", () => {
  for (const [name, of, search] of cases) {
    it(`leaves nothing out: ${name}`, () => {
      const make = of?.make(guarded)
      assert.isDefined(make)
      const all = goneThrough(search, withoutShared(make))
      const once = goneThrough(search, make)
      assert.deepStrictEqual(
        [...all.ways].filter((way) => !once.ways.has(way)),
        []
      )
      assert.deepStrictEqual([...once.states].toSorted(), [...all.states].toSorted())
    }, 120_000)
  }
})
