import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { fail } from "../../src/format/FormatError.ts"
import * as Digest from "../../src/model/Digest.ts"
import { decodeOrDamaged, storeError } from "../../src/store/StoreError.ts"

describe("StoreError", () => {
  it("names the thing, what is wrong, and what to do", () => {
    const error = storeError("Protected", "vm/100/x", "this snapshot is protected")
    assert.strictEqual(error.message, "vm/100/x: this snapshot is protected")
    assert.include(error.hint, "protection")
  })

  it.effect("what a decoder dislikes is damage, what it cannot have meant is a defect", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* decodeOrDamaged("x", () => 5), 5)
      const format = yield* Effect.flip(decodeOrDamaged("x", () => fail("data blob", 7, "a", "b")))
      assert.strictEqual(format.reason, "Damaged")
      const name = yield* Effect.flip(decodeOrDamaged("x", () => Digest.parse("no digest")))
      assert.strictEqual(name.reason, "Damaged")
      const broken = decodeOrDamaged("x", () => {
        throw new TypeError("a mistake")
      })
      assert.isTrue(Cause.hasDies(yield* Effect.flip(Effect.sandbox(broken))))
    })
  )
})
