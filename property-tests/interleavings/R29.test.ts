/** R29 of the race ledger, and what is known not to hold yet. */
import { assert, describe, it } from "@effect/vitest"
import { Explore, type Report } from "../../src/testing.ts"
import { aftermath, type Trial } from "./harness/aftermath.ts"
import { guarded } from "./harness/Mutation.ts"
import { testRow } from "./harness/testRow.ts"
import { backup, R29, verify } from "./rows/R29.ts"

testRow(R29)

const dying = (trial: Trial, kind: "kill" | "crash"): Report =>
  Explore.crashes(aftermath(trial)(guarded), { kinds: [kind], schedules: { preemptions: 0 } })

describe("R29: power loss and sync levels", () => {
  it("without flushing, what was acknowledged can be lost, as that level says", () => {
    const { failure } = dying({ ...backup, syncLevel: "none" }, "crash")
    assert.include(failure?.message, "I2: ")
  })
})

describe("R29: not yet", () => {
  /*
   * A chunk that is in place under its name, and was not flushed when the power went, can be there with a part of its
   * content only. No finished snapshot names it, but the next backup that has the same content finds it and trusts it.
   */
  it.fails("a chunk torn by a power loss is not trusted by the next backup", () => {
    Explore.assertHolds(dying({ ...backup, loss: { seed: 3, content: "torn" } }, "crash"))
  })

  /* Of a manifest that is replaced, an owner, the move journal, the notes of garbage collection. */
  it.fails("temporary files outside of the chunk folders are cleared away", () => {
    Explore.assertHolds(dying({ ...verify, clearsAll: true }, "kill"))
  })
})
