import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { chunkBoundaries, chunkBoundariesAsync } from "../../src/chunking/chunkBoundaries.ts"
import { makeDynamicChunker } from "../../src/chunking/DynamicChunker.ts"
import { imageChunkSizeBytes, makeFixedChunker } from "../../src/chunking/FixedChunker.ts"
import { makePayloadChunker } from "../../src/chunking/PayloadChunker.ts"
import type { Scanner } from "../../src/chunking/Scanner.ts"
import { chunkSizes, dynamicSizes, scannerKinds, scannerOver } from "./chunkWith.ts"
import { congruentialBytes, counterBytes, seededBytes } from "./inputs.ts"
import { referenceSizes } from "./referenceChunker.ts"

const sum = (sizes: ReadonlyArray<number>): number => sizes.reduce((total, size) => total + size, 0)

const sizesAt64KiB = [
  16517, 78080, 74677, 62559, 25383, 29462, 112204, 20414, 213718, 100976, 36663, 81516, 78960, 48356, 27179,
  28020, 58158, 56007, 131841, 17355, 91316, 33003, 29827, 47893, 19305, 95029, 47553, 21942, 34249, 26374,
  71784, 21064, 226889, 50398, 29054, 42031, 25528, 90806, 52078, 30861, 19086, 36622, 86286, 59494, 178484,
  20721, 48820, 51982, 148246, 49583, 19339, 42036
]

const sizesAt256KiB = [
  298320, 334694, 355727, 309304, 124319, 104580, 135027, 154349, 247953, 79452, 210443, 431554, 298631, 61375
]

/** Wraps a scanner so that every scanned position is counted. */
const counting = (scanner: Scanner): { readonly scanner: Scanner; readonly scanned: () => number } => {
  let scanned = 0
  return {
    scanner: {
      kind: scanner.kind,
      bytes: scanner.bytes,
      dataOffset: scanner.dataOffset,
      findCut: (from, to, averageBytes) => {
        const cut = scanner.findCut(from, to, averageBytes)
        scanned += (cut === -1 ? to : cut) - from + 1
        return cut
      }
    },
    scanned: () => scanned
  }
}

describe.each(scannerKinds)("DynamicChunker over %s", (kind) => {
  it("meets the published vectors", () => {
    const counter = scannerOver(counterBytes(1 << 18), kind)
    assert.deepStrictEqual(
      dynamicSizes(counter, 65_536, 1 << 20, 9_999),
      [143377, 262144, 262144, 262144, 118767]
    )
    const zeros = scannerOver(new Uint8Array(1 << 20), kind)
    assert.deepStrictEqual(dynamicSizes(zeros, 65_536, 1 << 20, 1 << 20), [262144, 262144, 262144, 262144])
    const bytes = congruentialBytes(3 << 20)
    assert.strictEqual(
      createHash("sha256").update(bytes).digest("hex"),
      "6e23dc60691ce07a216552d8dd99b5a6841c472d857c4736a39a1f7e0e1a4389"
    )
    const congruential = scannerOver(bytes, kind)
    assert.deepStrictEqual(dynamicSizes(congruential, 65_536, bytes.length, 100_000), sizesAt64KiB)
    assert.deepStrictEqual(dynamicSizes(congruential, 262_144, bytes.length, 1_000_001), sizesAt256KiB)
  })

  it("never ends a chunk of exactly 64 bytes by its hash", () => {
    // With an average of 256 bytes the minimum is the window itself, and one chunk in some hundred would end
    // there.
    const bytes = seededBytes(5, 400_000)
    const sizes = dynamicSizes(scannerOver(bytes, kind), 256, bytes.length, 1_000)
    assert.deepStrictEqual(sizes, referenceSizes(bytes, 256))
    assert.strictEqual(Math.min(...sizes.slice(0, -1)), 65)
    assert.isAtMost(Math.max(...sizes), 1_024)
  })

  it("scans no position twice, however the bytes arrive", () => {
    const bytes = seededBytes(11, 300_000)
    for (const step of [1, 63, 4_096, 300_000]) {
      const { scanner, scanned } = counting(scannerOver(bytes, kind))
      const sizes = dynamicSizes(scanner, 16_384, bytes.length, step)
      assert.isAtMost(scanned(), sum(sizes), `by ${step}`)
    }
  })

  it("starts afresh after the end of a stream and after a reset", () => {
    const bytes = seededBytes(21, 200_000)
    const scanner = scannerOver(bytes, kind)
    const chunker = makeDynamicChunker(scanner, 4_096)
    const expected = referenceSizes(bytes, 4_096)
    assert.strictEqual(chunker.next(scanner.dataOffset, 0, true), 0)
    assert.strictEqual(chunker.next(scanner.dataOffset, 500, true), 500)
    assert.strictEqual(chunker.next(scanner.dataOffset, expected[0]! - 1, false), 0)
    chunker.reset()
    assert.deepStrictEqual(chunkSizes(scanner, chunker, bytes.length, 777), expected)
  })
})

describe("makeDynamicChunker", () => {
  it("refuses averages that are no power of two in range", () => {
    const scanner = scannerOver(new Uint8Array(0), "javascript")
    for (const averageBytes of [0, 1, 128, 255, 4_097, 1 << 25, -4_096, 4_096.5, Number.NaN]) {
      assert.throws(() => makeDynamicChunker(scanner, averageBytes), RangeError)
    }
  })
})

describe("PayloadChunker", () => {
  const bytes = counterBytes(1 << 18)
  const scanner = scannerOver(bytes, "javascript")

  it("without suggestions is the dynamic chunker", () => {
    const sizes = chunkSizes(scanner, makePayloadChunker(scanner, 65_536), bytes.length, 10_000)
    assert.deepStrictEqual(sizes, dynamicSizes(scanner, 65_536, bytes.length, 10_000))
  })

  it("ignores a suggestion that comes when its bytes have been scanned", () => {
    const chunker = makePayloadChunker(scanner, 65_536)
    assert.strictEqual(chunker.next(scanner.dataOffset, 50_000, false), 0)
    chunker.suggest(40_000)
    chunker.suggest(50_000)
    assert.strictEqual(chunker.next(scanner.dataOffset, bytes.length, false), 143_377)
    assert.strictEqual(chunker.position(), 143_377)
  })

  it("keeps a suggestion that is too far for this chunk", () => {
    const chunker = makePayloadChunker(scanner, 65_536)
    chunker.suggest(300_000)
    const sizes = chunkSizes(scanner, chunker, bytes.length, bytes.length)
    assert.deepStrictEqual(sizes.slice(0, 2), [143_377, 156_623])
  })

  it("counts injected chunks and takes them between chunks only", () => {
    const chunker = makePayloadChunker(scanner, 65_536)
    chunker.inject(1_000_000)
    chunker.suggest(20_000)
    chunker.suggest(1_030_000)
    assert.strictEqual(chunker.next(scanner.dataOffset, 10_000, false), 0)
    assert.throws(() => chunker.inject(1))
    assert.strictEqual(chunker.next(scanner.dataOffset, 40_000, false), 30_000)
    assert.strictEqual(chunker.next(scanner.dataOffset, 100, true), 100)
    chunker.inject(7)
    assert.strictEqual(chunker.position(), 1_030_107)
  })

  it("takes any number of suggestions", () => {
    const chunker = makePayloadChunker(scanner, 65_536)
    for (let offset = 0; offset <= bytes.length; offset += 16) chunker.suggest(offset)
    const sizes = chunkSizes(scanner, chunker, bytes.length, bytes.length)
    assert.deepStrictEqual(
      sizes,
      Array.from({ length: 64 }, () => 16_384)
    )
    assert.throws(() => chunker.suggest(-1), RangeError)
    assert.throws(() => chunker.suggest(0.5), RangeError)
  })
})

describe("FixedChunker", () => {
  const scanner = scannerOver(new Uint8Array(0), "javascript")

  it("cuts equal chunks and a shorter last one", () => {
    assert.strictEqual(makeFixedChunker().chunkSizeBytes, imageChunkSizeBytes)
    for (const step of [1, 100, 5_000]) {
      assert.deepStrictEqual(chunkSizes(scanner, makeFixedChunker(1_024), 2_500, step), [1_024, 1_024, 452])
      assert.deepStrictEqual(chunkSizes(scanner, makeFixedChunker(1_024), 2_048, step), [1_024, 1_024])
    }
  })

  it("takes powers of two only", () => {
    for (const size of [0, -4, 3, 1_000, 0.5, Number.POSITIVE_INFINITY]) {
      assert.throws(() => makeFixedChunker(size), RangeError)
    }
  })
})

describe("chunkBoundaries", () => {
  const bytes = seededBytes(77, 500_000)
  const pieces = (sizeBytes: number): Array<Uint8Array> =>
    Array.from({ length: Math.ceil(bytes.length / sizeBytes) }, (_, index) =>
      bytes.subarray(index * sizeBytes, (index + 1) * sizeBytes)
    )
  const sizes = referenceSizes(bytes, 4_096)

  it("yields contiguous boundaries, whatever the pieces", () => {
    for (const input of [bytes, pieces(100), pieces(33_333), [new Uint8Array(0), bytes, new Uint8Array(0)]]) {
      let position = 0
      const found: Array<number> = []
      for (const { start, end } of chunkBoundaries(input, { averageBytes: 4_096, prefer: "javascript" })) {
        assert.strictEqual(start, position)
        position = end
        found.push(end - start)
      }
      assert.deepStrictEqual(found, sizes)
    }
    assert.deepStrictEqual([...chunkBoundaries([], { averageBytes: 4_096 })], [])
  })

  it("takes pieces that arrive in time", async () => {
    const arriving = async function* (): AsyncGenerator<Uint8Array> {
      for (const piece of pieces(7_000)) yield piece
    }
    const found: Array<number> = []
    for await (const { start, end } of chunkBoundariesAsync(arriving(), { averageBytes: 4_096 })) {
      found.push(end - start)
    }
    assert.deepStrictEqual(found, sizes)
  })
})
