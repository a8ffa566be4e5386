/** The tests of one row of the ledger: nothing is found with the guards on, and every mutant is found. */
import { assert, describe, it } from "@effect/vitest"
import { Explore } from "../../../src/testing.ts"
import { find, isFull, prove, type Row } from "./Row.ts"

const dayMillis = 86_400_000

export const testRow = ({ cases, id, title }: Row): void => {
  describe(`${id}: ${title}`, () => {
    for (const one of cases) {
      it(
        `${one.name}: nothing is found`,
        () => {
          for (const { isExhaustive, report } of prove(one)) {
            Explore.assertHolds(report)
            if (isExhaustive) assert.isTrue(report.complete, Explore.render(report))
          }
        },
        isFull ? dayMillis : 120_000
      )
      for (const mutant of one.mutants) {
        it(`${one.name}: found without ${mutant.guard}`, () => {
          const report = find(one, mutant)
          assert.isDefined(report.failure, `within ${mutant.maxRuns} runs: ${Explore.render(report)}`)
        })
      }
    }
  })
}
