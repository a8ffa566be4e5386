/** R29 of the race ledger, and what the sync level without flushing does not promise. */
import { assert, describe, it } from "@effect/vitest"
import { Explore, type Report } from "../../src/testing.ts"
import { aftermath, type Trial } from "./harness/aftermath.ts"
import { guarded } from "./harness/Mutation.ts"
import { testRow } from "./harness/testRow.ts"
import { backup, R29 } from "./rows/R29.ts"

testRow(R29)

const dying = (trial: Trial, kind: "kill" | "crash"): Report =>
  Explore.crashes(aftermath(trial)(guarded), { kinds: [kind], schedules: { preemptions: 0 } })

describe("R29: power loss and sync levels", () => {
  it("without flushing, what was acknowledged can be lost, as that level says", () => {
    const { failure } = dying({ ...backup, syncLevel: "none" }, "crash")
    assert.include(failure?.message, "I2: ")
  })
})
