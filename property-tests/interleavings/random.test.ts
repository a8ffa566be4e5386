/**
 * Random scenarios: actors, schedules and deaths by chance; the invariants hold at every step, and what is left over at
 * the end is collected. One number is one scenario: `GRANARY_SEED` says where to begin, and with
 * `GRANARY_EXPLORE=full` there are 200,000 runs.
 */
import { assert, describe, it } from "@effect/vitest"
import { Explore, type Report } from "../../src/testing.ts"
import { withoutRules } from "./harness/actors.ts"
import { describeCast, randomScenario } from "./harness/casting.ts"
import { guarded, type Mutation } from "./harness/Mutation.ts"
import { isFull, seed } from "./harness/Row.ts"

const dayMillis = 86_400_000
const runsOfEach = 4
const scenarioCount = isFull ? 50_000 : 250

/** By turns: nothing dies, processes are killed, actors are interrupted. */
const faultsOf = (number: number) => {
  const kinds = [[], ["kill"], [], ["interrupt"]] as const
  return { kinds: kinds[number % kinds.length] ?? [], max: 1, chance: 0.02 }
}

const explore = (number: number, mutation: Mutation): Report => {
  const options = { seed: number, faults: faultsOf(number) }
  const scenario = randomScenario(number, mutation)
  return number % 2 === 0
    ? Explore.pct(scenario, { ...options, depth: 4, maxRuns: runsOfEach })
    : Explore.seeded(scenario, { ...options, maxRuns: runsOfEach })
}

/** The first scenario with a failure, as text. */
const findFrom = (first: number, count: number, mutation: Mutation): string | undefined => {
  for (let number = first; number < first + count; number++) {
    const report = explore(number, mutation)
    if (report.failure !== undefined) {
      return `GRANARY_SEED=${number}: ${describeCast(number)}\n${Explore.render(report)}`
    }
  }
  return undefined
}

describe("random scenarios", () => {
  it(
    `nothing is found in ${scenarioCount} of them`,
    () => assert.isUndefined(findFrom(seed, scenarioCount, guarded)),
    isFull ? dayMillis : 120_000
  )

  // From the first number on the search takes some 1,400 runs; here it begins a little before what it finds.
  it("a missing guard is found", () => {
    assert.isDefined(findFrom(seed + 340, 2000, withoutRules({ rechecksUnderGuard: false })))
  })
})
