/**
 * Laws of the chunkers: both scanners agree with the byte-by-byte oracle on every kind of data we could think
 * of.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { JavaScriptScanner } from "../src/chunking/JavaScriptScanner.ts"
import { makeDynamicChunker } from "../src/chunking/DynamicChunker.ts"
import { averageSizeBytesMax, averageSizeBytesMin, type Scanner } from "../src/chunking/Scanner.ts"
import { chunkSizes, dynamicSizes, scannerKinds, scannerOver } from "../test/chunking/chunkWith.ts"
import { seededBytes } from "../test/chunking/inputs.ts"
import { isReferenceCut, referenceSizes } from "../test/chunking/referenceChunker.ts"

const averages: ReadonlyArray<number> = Array.from({ length: 17 }, (_, index) => averageSizeBytesMin << index)

/** The first cut, position by position from the definition. */
const referenceCut = (bytes: Uint8Array, from: number, to: number, averageBytes: number): number => {
  for (let position = from; position <= to; position++) {
    if (isReferenceCut(bytes, position, averageBytes)) return position
  }
  return -1
}

/** A window that passes the test of `averageBytes`, found among seeded bytes. */
const findCuttingWindow = (averageBytes: number): Uint8Array => {
  const scanner = scannerOver(seededBytes(averageBytes, 1 << 22), "javascript")
  const { bytes } = scanner
  for (let seed = 1; ; seed++) {
    const cut = scanner.findCut(64, bytes.length, averageBytes)
    if (cut !== -1) return bytes.slice(cut - 64, cut)
    bytes.set(seededBytes(averageBytes + seed * 2, bytes.length))
  }
}

const cuttingWindows = new Map(
  averages.map((averageBytes) => [averageBytes, findCuttingWindow(averageBytes)])
)

const random = fc
  .tuple(fc.integer(), fc.integer({ min: 0, max: 6_000 }))
  .map(([seed, sizeBytes]) => seededBytes(seed, sizeBytes))
const run = fc
  .tuple(fc.constantFrom(0, 0, 0x20, 0xff), fc.integer({ min: 0, max: 6_000 }))
  .map(([value, sizeBytes]) => new Uint8Array(sizeBytes).fill(value))
const lowEntropy = random.map((bytes) => bytes.map((byte) => byte & 1))
const periodic = fc
  .tuple(random, fc.constantFrom(1, 2, 3, 16, 32, 33, 63, 64, 65, 128, 1_024))
  .map(([bytes, period]) => bytes.map((_, index) => bytes[index % period]!))
const window = fc.constantFrom(...averages).map((averageBytes) => cuttingWindows.get(averageBytes)!)

/** Pieces in any order: the seams are where a scanner that skips or tiles would err. */
const spliced = fc
  .array(fc.oneof(random, run, lowEntropy, periodic, window), { minLength: 1, maxLength: 6 })
  .map((pieces): Uint8Array => Buffer.concat(pieces))

describe("findCut", () => {
  it("finds the first cut the definition has, over any range", () => {
    const range = fc.tuple(fc.nat(), fc.nat())
    fc.assert(
      fc.property(spliced, range, fc.constantFrom(...averages), (bytes, [first, second], averageBytes) => {
        fc.pre(bytes.length >= 64)
        const positions = bytes.length - 63
        const from = 64 + Math.min(first % positions, second % positions)
        const to = 64 + Math.max(first % positions, second % positions)
        const expected = referenceCut(bytes, from, to, averageBytes)
        for (const kind of scannerKinds) {
          const scanner = scannerOver(bytes, kind)
          const cut = scanner.findCut(scanner.dataOffset + from, scanner.dataOffset + to, averageBytes)
          assert.strictEqual(cut === -1 ? -1 : cut - scanner.dataOffset, expected, kind)
        }
      }),
      { numRuns: 150 }
    )
  })

  it("finds every window that cuts, wherever it lies", () => {
    const sizeBytes = 3_000
    const scanners = scannerKinds.flatMap((kind) => [
      scannerOver(new Uint8Array(sizeBytes), kind),
      scannerOver(new Uint8Array(sizeBytes), kind, true)
    ])
    const checkPlace = (scanner: Scanner, window: Uint8Array, offset: number, averageBytes: number): void => {
      const { bytes, dataOffset } = scanner
      bytes.fill(0, dataOffset)
      bytes.set(window, dataOffset + offset)
      const data = bytes.subarray(dataOffset, dataOffset + sizeBytes)
      const cut = scanner.findCut(dataOffset + 64, dataOffset + sizeBytes, averageBytes)
      assert.strictEqual(cut - dataOffset, referenceCut(data, 64, sizeBytes, averageBytes))
      assert.isAtMost(cut - dataOffset, offset + 64)
    }
    fc.assert(
      fc.property(
        fc.constantFrom(...averages),
        fc.integer({ min: 0, max: sizeBytes - 64 }),
        (averageBytes, offset) => {
          for (const scanner of scanners)
            checkPlace(scanner, cuttingWindows.get(averageBytes)!, offset, averageBytes)
        }
      ),
      { numRuns: 400 }
    )
  })

  it("does not depend on where the bytes lie in memory", () => {
    fc.assert(
      fc.property(spliced, fc.integer({ min: 0, max: 9 }), (bytes, shift) => {
        fc.pre(bytes.length >= 64)
        const buffer = new Uint8Array(bytes.length + shift)
        buffer.set(bytes, shift)
        const cut = new JavaScriptScanner(buffer.subarray(shift)).findCut(64, bytes.length, 256)
        assert.strictEqual(cut, referenceCut(bytes, 64, bytes.length, 256))
      }),
      { numRuns: 100 }
    )
  })

  it("refuses ranges outside the data and averages it has no mask for", () => {
    for (const kind of scannerKinds) {
      const scanner = scannerOver(new Uint8Array(1_000), kind)
      const { dataOffset, bytes } = scanner
      assert.throws(() => scanner.findCut(dataOffset + 63, dataOffset + 100, 256), RangeError)
      assert.throws(() => scanner.findCut(dataOffset + 64, bytes.length + 1, 256), RangeError)
      assert.throws(() => scanner.findCut(dataOffset + 64, dataOffset + 100, 128), RangeError)
      assert.throws(
        () => scanner.findCut(dataOffset + 64, dataOffset + 100, averageSizeBytesMax * 2),
        RangeError
      )
      assert.strictEqual(scanner.findCut(dataOffset + 100, dataOffset + 99, 256), -1)
    }
  })
})

describe("DynamicChunker", () => {
  it("cuts where the oracle cuts, however the bytes arrive", () => {
    const step = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 100, max: 50_000 }))
    fc.assert(
      fc.property(spliced, fc.constantFrom(...averages), step, (bytes, averageBytes, stepBytes) => {
        const expected = referenceSizes(bytes, averageBytes)
        for (const kind of scannerKinds) {
          const scanner = scannerOver(bytes, kind)
          assert.deepStrictEqual(dynamicSizes(scanner, averageBytes, bytes.length, stepBytes), expected, kind)
        }
      }),
      { numRuns: 150 }
    )
  })

  it("finds the old boundaries again behind an insertion", () => {
    const averageBytes = 1_024
    const old = seededBytes(99, 200_000)
    const insertion = fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.uint8Array({ maxLength: 300 }))
    const boundaries = (bytes: Uint8Array): Array<number> => {
      const scanner = scannerOver(bytes, "wasm-simd")
      let position = 0
      return chunkSizes(scanner, makeDynamicChunker(scanner, averageBytes), bytes.length, bytes.length).map(
        (size) => (position += size)
      )
    }
    const oldBoundaries = boundaries(old)
    fc.assert(
      fc.property(insertion, ([offset, inserted]) => {
        const changed = Buffer.concat([old.subarray(0, offset), inserted, old.subarray(offset)])
        const found = boundaries(changed)
        assert.deepStrictEqual(
          found.filter((end) => end <= offset),
          oldBoundaries.filter((end) => end <= offset)
        )
        // Two sequences of cuts over the same bytes fall into step with a chance at every cut; within 60 of
        // them they have, for this seed and any insertion.
        const settled = offset + 60 * averageBytes
        assert.deepStrictEqual(
          found.map((end) => end - inserted.length).filter((end) => end > settled),
          oldBoundaries.filter((end) => end > settled)
        )
      }),
      { numRuns: 50 }
    )
  })
})
