/**
 * Random scenarios of syncs: actors on both ends, schedules and deaths by chance. One number is one scenario:
 * `GRANARY_SEED` says where to begin, and with `GRANARY_EXPLORE=full` there are 40,000 runs.
 */
import { assert, describe, it } from "@effect/vitest"
import { Explore } from "../../src/testing.ts"
import { guarded, type Mutation } from "./harness/Mutation.ts"
import { isFull, seed } from "./harness/Row.ts"
import { describeSyncCast, randomSyncScenario } from "./harness/sync/syncCasting.ts"

const dayMillis = 86_400_000
const runsOfEach = 2
const scenarioCount = isFull ? 20_000 : 24

const faultsOf = (number: number) => {
  const kinds = [[], ["kill"], [], ["interrupt"]] as const
  return { kinds: kinds[number % kinds.length] ?? [], max: 1, chance: 0.02 }
}

const explore = (number: number, mutation: Mutation) => {
  const options = { seed: number, faults: faultsOf(number), maxRuns: runsOfEach }
  const scenario = randomSyncScenario(number, mutation)
  return number % 2 === 0
    ? Explore.pct(scenario, { ...options, depth: 4 })
    : Explore.seeded(scenario, options)
}

describe("random scenarios of syncs", () => {
  it(
    `nothing is found in ${scenarioCount} of them`,
    () => {
      for (let number = seed; number < seed + scenarioCount; number++) {
        const report = explore(number, guarded)
        assert.isUndefined(
          report.failure,
          `GRANARY_SEED=${number}: ${describeSyncCast(number)}\n${Explore.render(report)}`
        )
      }
    },
    isFull ? dayMillis : 120_000
  )
})
