/** Retention: which numbers are accepted, and when a retention keeps anything at all. */
import { assert, describe, it } from "@effect/vitest"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as Retention from "../../src/model/Retention.ts"

describe("Retention", () => {
  it("takes whole numbers from 0, and absent rules", () => {
    for (const retention of [{}, { last: 0 }, { hourly: 1, yearly: 1_000_000 }])
      assert.strictEqual(Retention.check(retention), retention)
  })

  it("refuses every other number, of every rule, by the name of its option", () => {
    for (const rule of Retention.rules) {
      for (const count of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
        try {
          Retention.check({ [rule]: count })
          assert.fail(`accepted ${count}`)
        } catch (error) {
          assert.instanceOf(error, InvalidName)
          assert.include(error.message, `keep-${rule}`)
        }
      }
    }
  })

  it("keeps something when one rule has a slot", () => {
    assert.isFalse(Retention.keepsSomething({}))
    assert.isFalse(Retention.keepsSomething({ last: 0, yearly: 0 }))
    for (const rule of Retention.rules) assert.isTrue(Retention.keepsSomething({ [rule]: 1 }))
  })
})
