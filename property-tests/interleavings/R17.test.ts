/** R17 of the race ledger. */
import { assert, describe, it } from "@effect/vitest"
import { Explore } from "../../src/testing.ts"
import { guarded } from "./harness/Mutation.ts"
import { isFull, seed } from "./harness/Row.ts"
import { testRow } from "./harness/testRow.ts"
import { many, R17 } from "./rows/R17.ts"

testRow(R17)

describe(`R17: ${many.name}`, () => {
  const maxRuns = isFull ? 2000 : 10

  it("nothing is found in random schedules", () => {
    Explore.assertHolds(Explore.seeded(many.make(guarded), { seed, maxRuns }))
  })

  it("found at once with a file for each", () => {
    const { failure } = Explore.seeded(many.make(many.mutation), { seed, maxRuns: 1, maxShrinkRuns: 0 })
    assert.include(failure?.message, "too many open files")
  })
})
