/** Answers are put together the same, whatever was announced of their size and however their pieces come. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Received from "../../src/remote/received.ts"

const pieces = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 })

const announcements = fc.option(fc.nat(1200), { nil: undefined })

describe("received", () => {
  it("is what came, in memory of its own", () => {
    fc.assert(
      fc.property(pieces, announcements, (parts, announced) => {
        const received = Received.make(100_000, announced)
        for (const part of parts) assert.isTrue(received.add(part))
        const wanted = Buffer.concat(parts)
        assert.strictEqual(received.sizeBytes(), wanted.length)
        const whole = received.whole()
        assert.isTrue(Buffer.from(whole).equals(wanted))
        assert.strictEqual(whole.buffer.byteLength, wanted.length)
      })
    )
  })

  it("is never more than it may be, whatever was announced", () => {
    for (const announced of [undefined, 10, 100, 1000]) {
      const received = Received.make(100, announced)
      assert.isTrue(received.add(new Uint8Array(100)))
      assert.isFalse(received.add(new Uint8Array(1)))
    }
  })
})
