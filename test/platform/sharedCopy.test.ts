/** Bytes in shared memory are those that were put there, wherever both lie, and nothing around them changes. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { copyInto } from "../../src/platform/sharedCopy.ts"
import { SpareMemory } from "../../src/platform/SpareMemory.ts"

const filler = 0xee

const around = 32

const places = fc.record({
  lengthBytes: fc.oneof(fc.nat(40), fc.integer({ min: 65_500, max: 65_600 }), fc.nat(200_000)),
  sourceStart: fc.nat(15),
  targetStart: fc.nat(15),
  isShared: fc.boolean()
})

describe("copyInto", () => {
  it("puts every byte into its place and touches no other", () => {
    fc.assert(
      fc.property(places, ({ isShared, lengthBytes, sourceStart, targetStart }) => {
        const source = new Uint8Array(sourceStart + lengthBytes).map((_, index) => (index * 7) % 251)
        const sizeBytes = targetStart + lengthBytes + around
        const memory = isShared ? new SharedArrayBuffer(sizeBytes) : new ArrayBuffer(sizeBytes)
        const all = new Uint8Array(memory).fill(filler)
        const wanted = source.subarray(sourceStart)
        copyInto(all.subarray(targetStart), wanted)
        const found = Buffer.from(all)
        assert.isTrue(found.subarray(targetStart, targetStart + lengthBytes).equals(Buffer.from(wanted)))
        const besides = [...found.subarray(0, targetStart), ...found.subarray(targetStart + lengthBytes)]
        assert.isTrue(besides.every((byte) => byte === filler))
      }),
      { numRuns: 60 }
    )
  })
})

const MIB = 1024 * 1024

describe("SpareMemory", () => {
  it("gives out again what was given back, in the size that is wanted", () => {
    const spare = new SpareMemory(16 * MIB)
    const first = spare.take(4 * MIB)
    const second = spare.take(4 * MIB)
    assert.notStrictEqual(first.buffer, second.buffer)
    spare.giveBack(first)
    const third = spare.take(3 * MIB + 1)
    assert.strictEqual(third.buffer, first.buffer)
    assert.strictEqual(third.length, 3 * MIB + 1)
    assert.notStrictEqual(spare.take(3 * MIB).buffer, first.buffer)
  })

  it("passes over what is too small or much too large", () => {
    const spare = new SpareMemory(64 * MIB)
    const [small, large] = [spare.take(MIB), spare.take(16 * MIB)]
    spare.giveBack(small)
    spare.giveBack(large)
    const wanted = spare.take(4 * MIB)
    assert.notStrictEqual(wanted.buffer, small.buffer)
    assert.notStrictEqual(wanted.buffer, large.buffer)
    assert.isAtLeast(wanted.buffer.byteLength, 4 * MIB)
  })

  it("keeps no more than it may", () => {
    const spare = new SpareMemory(8 * MIB)
    const taken = [1, 2, 3].map(() => spare.take(4 * MIB))
    for (const each of taken) spare.giveBack(each)
    const again = [1, 2, 3].map(() => spare.take(4 * MIB).buffer)
    assert.strictEqual(again.filter((buffer) => taken.some((each) => each.buffer === buffer)).length, 2)
  })
})
