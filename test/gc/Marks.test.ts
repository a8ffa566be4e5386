/** Marks in memory: what is marked and counted does not depend on how indexes resemble each other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { hash } from "node:crypto"
import type { ChunkIndex } from "../../src/format/ChunkIndex.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as FixedIndex from "../../src/format/FixedIndex.ts"
import { IndexFollower } from "../../src/gc/IndexFollower.ts"
import * as Marks from "../../src/gc/Marks.ts"

const digestOf = (chunk: number): Buffer => hash("sha256", `chunk ${chunk}`, "buffer")

const dynamicIndex = (chunks: ReadonlyArray<number>): ChunkIndex => {
  const builder = new DynamicIndex.DynamicIndexBuilder()
  chunks.forEach((chunk, place) => builder.add((place + 1) * 1000, digestOf(chunk)))
  return DynamicIndex.decode(builder.finish({ uuid: Buffer.alloc(16), ctime: 0 }).bytes)
}

const fixedIndex = (chunks: ReadonlyArray<number>): ChunkIndex => {
  const builder = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes: 4096 })
  chunks.forEach((chunk, place) => builder.add(place * 4096, 4096, digestOf(chunk)))
  return FixedIndex.decode(builder.finish({ uuid: Buffer.alloc(16), ctime: 0 }).bytes)
}

/** An index is the one before with some places replaced, removed or put in, as snapshots of one group are. */
interface Change {
  readonly at: number
  readonly removed: number
  readonly put: ReadonlyArray<number>
}

const change = fc.record({
  at: fc.nat(600),
  removed: fc.nat(100),
  put: fc.array(fc.nat(2000), { maxLength: 80 })
})

const apply = (chunks: ReadonlyArray<number>, changes: ReadonlyArray<Change>): ReadonlyArray<number> =>
  changes.reduce<ReadonlyArray<number>>(
    (now, { at, put, removed }) => now.toSpliced(at, removed, ...put),
    chunks
  )

/** No index is without an entry. */
const history = fc
  .tuple(
    fc.integer({ min: 1, max: 500 }),
    fc.array(fc.array(change, { maxLength: 4 }), { minLength: 1, maxLength: 5 })
  )
  .map(([count, steps]) => {
    const versions: Array<ReadonlyArray<number>> = [Array.from({ length: count }, (_, chunk) => chunk)]
    for (const changes of steps) versions.push([...apply(versions.at(-1) ?? [], changes), -1])
    return versions
  })

describe("marks in memory", () => {
  it("are the digests of all indexes, and places that repeat are counted as hits", () => {
    fc.assert(
      fc.property(history, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), (versions, kinds) => {
        const marks = Marks.makeSet(7)
        const expected = new Set<number>()
        let entries = 0
        versions.forEach((chunks, version) => {
          const index = kinds[version] === true ? fixedIndex(chunks) : dynamicIndex(chunks)
          Effect.runSync(marks.mark(index))
          entries += chunks.length
          for (const chunk of chunks) expected.add(chunk)
        })
        const { hits, misses } = marks.statistics
        assert.deepStrictEqual(
          [entries, hits + misses, misses],
          [marks.statistics.entries, entries, expected.size]
        )
        for (let chunk = 0; chunk <= 2000; chunk++) {
          assert.strictEqual(marks.keeps(digestOf(chunk)), expected.has(chunk))
        }
      }),
      { numRuns: 60 }
    )
  })

  it("come from the index before where that says the same, and meet it again behind a change", () => {
    const chunks = Array.from({ length: 10_000 }, (_, chunk) => chunk)
    const follower = new IndexFollower()
    const looked = (index: ChunkIndex): number => {
      let count = 0
      follower.begin(index)
      const repeated = follower.repeated(0, index.count, (_, places) => void (count += places))
      assert.strictEqual(repeated + count, index.count)
      return count
    }
    assert.strictEqual(looked(dynamicIndex(chunks)), 10_000)
    assert.strictEqual(looked(dynamicIndex(chunks)), 0)
    assert.strictEqual(looked(dynamicIndex(chunks.slice(100))), 28)
    assert.isAtMost(looked(dynamicIndex(chunks.slice(100).with(5000, -1))), 65)
    assert.strictEqual(looked(dynamicIndex(chunks.map((chunk) => chunk + 100_000))), 10_000)
  })

  it("take no word for a digest: one bit makes another chunk", () => {
    const chunks = Array.from({ length: 200 }, (_, chunk) => chunk)
    const first = dynamicIndex(chunks)
    const second = dynamicIndex(chunks)
    second.entries[second.digestOffset(150) + 31]! ^= 1
    const marks = Marks.makeSet(1)
    Effect.runSync(Effect.andThen(marks.mark(first), marks.mark(second)))
    assert.strictEqual(marks.statistics.misses, 201)
    assert.isTrue(marks.keeps(second.digestBytes(150)))
  })
})
