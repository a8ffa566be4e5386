/** How numbers are written for people. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Format from "../../src/cli/Format.ts"

describe("Format", () => {
  it("groups the digits of whole numbers by threes, as English does", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        assert.strictEqual(Format.count(value), value.toLocaleString("en-US"))
      })
    )
    for (const value of [0, 1, 999, 1000, -1000, 65_536, 999_999, 1_000_000]) {
      assert.strictEqual(Format.count(value), value.toLocaleString("en-US"))
    }
  })
})
