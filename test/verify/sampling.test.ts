/** Samples: which chunks are picked, and what a clean sample proves. */
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as ChunkSelection from "../../src/verify/ChunkSelection.ts"
import * as Confidence from "../../src/verify/Confidence.ts"

/** C(n, k) as an exact number. */
const choose = (n: number, k: number): bigint => {
  if (k > n) return 0n
  let result = 1n
  for (let i = 0; i < k; i++) result = (result * BigInt(n - i)) / BigInt(i + 1)
  return result
}

/** Whether so many corrupt ones would have shown in at least 95 of 100 samples, exactly. */
const isExcluded = (total: number, read: number, corrupt: number): boolean =>
  choose(total - corrupt, read) * 20n <= choose(total, read)

describe("corruptMax", () => {
  it("is the largest number that is not excluded", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat({ max: 200 }), (total, some) => {
        const read = Math.min(some, total)
        const most = Confidence.corruptMax(total, read)
        assert.isFalse(most > 0 && isExcluded(total, read, most))
        assert.isTrue(most === total - read || isExcluded(total, read, most + 1))
      }),
      { numRuns: 1000 }
    )
  })

  it("comes close to the rule of three for large numbers", () => {
    for (const read of [1000, 10_000, 100_000]) {
      const share = Confidence.corruptMax(10_000_000, read) / 10_000_000
      assert.isTrue(Math.abs(share - 3 / read) < 0.03 / read, `${read}: ${share}`)
    }
  })
})

describe("corruptShareBelow", () => {
  it("says nothing without a sample, and all when everything was read", () => {
    assert.isUndefined(Confidence.corruptShareBelow(1000, 0))
    assert.strictEqual(Confidence.corruptShareBelow(1000, 1000), 0)
    assert.strictEqual(Confidence.corruptShareBelow(0, 0), 0)
    assert.strictEqual(Confidence.corruptShareBelow(1000, 100), 29 / 1000)
  })

  it("gets smaller with every chunk more", () => {
    for (let read = 2; read <= 300; read++) {
      const [less, more] = [read - 1, read].map((count) => Confidence.corruptShareBelow(300, count) ?? 1)
      assert.isAtMost(more ?? 1, less ?? 0)
    }
  })
})

describe("pick", () => {
  it("gives so many different numbers, in order, the same for the same seed", () => {
    fc.assert(
      fc.property(fc.nat({ max: 500 }), fc.nat({ max: 500 }), fc.string(), (total, some, seed) => {
        const count = Math.min(some, total)
        const picked = ChunkSelection.pick(total, count, seed)
        assert.lengthOf(picked, count)
        assert.deepStrictEqual(
          picked,
          [...new Set(picked)].toSorted((left, right) => left - right)
        )
        assert.isTrue(picked.every((number) => number >= 0 && number < total))
        assert.deepStrictEqual(ChunkSelection.pick(total, count, seed), picked)
      })
    )
  })

  it("every number is as likely as any other", () => {
    const counts = Array.from({ length: 20 }, () => 0)
    const rounds = 8000
    for (let round = 0; round < rounds; round++) {
      for (const number of ChunkSelection.pick(20, 5, `round ${round}`))
        counts[number] = (counts[number] ?? 0) + 1
    }
    // 2,000 each, with a deviation of 39: six times that is beyond all chance.
    for (const count of counts) assert.isTrue(Math.abs(count - rounds / 4) < 235, counts.join(" "))
  })
})

describe("sorted", () => {
  it("puts digests in the order of their bytes", () => {
    const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const alike = digest.map((bytes) => Uint8Array.from(bytes).fill(7, 0, 30))
    fc.assert(
      fc.property(fc.array(fc.oneof(digest, alike), { maxLength: 50 }), (digests) => {
        const expected = digests.toSorted((left, right) => Buffer.compare(left, right))
        assert.isTrue(Buffer.concat(expected).equals(ChunkSelection.sorted(Buffer.concat(digests))))
      })
    )
  })
})
