import { assert, describe, it } from "@effect/vitest"
import { ByteWriter } from "../../../src/format/ByteWriter.ts"
import { FormatError } from "../../../src/format/FormatError.ts"
import {
  GOODBYE_ITEM_BYTES,
  type GoodbyeItem,
  GoodbyeTable,
  readGoodbyeTail,
  searchTreeOrder,
  writeGoodbye
} from "../../../src/format/pxar/GoodbyeTable.ts"

const CHILD_BYTES = 64
const FIRST_CHILD = 56

/** A table over children of 64 bytes each, with the given hashes, behind a directory's entry of 56 bytes. */
const makeTable = (hashes: ReadonlyArray<readonly [low: number, high: number]>): Uint8Array => {
  const writer = new ByteWriter()
  writer.zeros(FIRST_CHILD + hashes.length * CHILD_BYTES)
  writer.drain()
  const items = hashes.map(([hashLow, hashHigh], index): GoodbyeItem => ({
    hashLow,
    hashHigh,
    fileOffset: FIRST_CHILD + index * CHILD_BYTES,
    sizeBytes: CHILD_BYTES
  }))
  writeGoodbye(writer, items, 0)
  return writer.drain()
}

const readTable = (bytes: Uint8Array, endOffset: number): GoodbyeTable =>
  new GoodbyeTable(readGoodbyeTail(bytes.subarray(bytes.length - GOODBYE_ITEM_BYTES), endOffset), bytes)

const open = (hashes: ReadonlyArray<readonly [low: number, high: number]>): GoodbyeTable => {
  const bytes = makeTable(hashes)
  return readTable(bytes, FIRST_CHILD + hashes.length * CHILD_BYTES + bytes.length)
}

describe("searchTreeOrder", () => {
  it("gives the documented orders", () => {
    const orders: ReadonlyArray<ReadonlyArray<number>> = [
      [],
      [0],
      [1, 0],
      [1, 0, 2],
      [2, 1, 3, 0],
      [3, 1, 4, 0, 2],
      [3, 1, 5, 0, 2, 4],
      [3, 1, 5, 0, 2, 4, 6],
      [4, 2, 6, 1, 3, 5, 7, 0]
    ]
    orders.forEach((order, count) => assert.deepStrictEqual([...searchTreeOrder(count)], [...order]))
    assert.deepStrictEqual([...searchTreeOrder(10)], [6, 3, 8, 1, 5, 7, 9, 0, 2, 4])
  })

  it("is a search tree for every size: in-order traversal counts up", () => {
    for (let count = 0; count <= 600; count++) {
      const order = searchTreeOrder(count)
      const visited: Array<number> = []
      const visit = (slot: number): void => {
        if (slot >= count) return
        visit(2 * slot + 1)
        visited.push(order[slot] ?? -1)
        visit(2 * slot + 2)
      }
      visit(0)
      assert.deepStrictEqual(
        visited,
        Array.from({ length: count }, (_, index) => index)
      )
    }
  })
})

describe("GoodbyeTable", () => {
  it("finds every child, also where many share a hash", () => {
    for (const count of [1, 2, 3, 7, 8, 50, 257]) {
      for (const distinct of [1, 2, 5, count]) {
        // The halves are swapped between neighbours so that order depends on both.
        const hashOf = (index: number): readonly [number, number] => {
          const value = index % distinct
          return [(value * 2654435761) >>> 0, value % 3 === 0 ? 0xffff_ffff : value % 3]
        }
        const table = open(Array.from({ length: count }, (_, index) => hashOf(index)))
        for (let index = 0; index < count; index++) {
          const found = table.find(...hashOf(index)).map(({ fileOffset }) => fileOffset)
          const expected = Array.from({ length: count }, (_, other) => other)
            .filter((other) => other % distinct === index % distinct)
            .map((other) => FIRST_CHILD + other * CHILD_BYTES)
          assert.deepStrictEqual(
            found.toSorted((a, b) => a - b),
            expected
          )
        }
        assert.deepStrictEqual(table.find(1, 0xdead), [])
      }
    }
  })

  it("lists children in archive order, each up to the next", () => {
    const table = open([
      [3, 3],
      [1, 1],
      [2, 2]
    ])
    assert.deepStrictEqual(table.children, [
      { fileOffset: 56, endOffset: 120, sizeBytes: 64 },
      { fileOffset: 120, endOffset: 184, sizeBytes: 64 },
      { fileOffset: 184, endOffset: 248, sizeBytes: 64 }
    ])
  })

  it("refuses tables that do not fit their directory", () => {
    const hashes = Array.from({ length: 4 }, (_, index) => [index, index] as const)
    const good = makeTable(hashes)
    const endOffset = FIRST_CHILD + 4 * CHILD_BYTES + good.length
    assert.strictEqual(readTable(good, endOffset).count, 4)
    const refuses = (change: (view: DataView) => void): void => {
      const bytes = good.slice()
      change(new DataView(bytes.buffer))
      assert.throws(() => readTable(bytes, endOffset), FormatError)
    }
    const tail = good.length - GOODBYE_ITEM_BYTES
    refuses((view) => view.setUint32(tail, 0, true))
    refuses((view) => view.setBigUint64(tail + 8, 10n ** 6n, true))
    refuses((view) => view.setBigUint64(tail + 8, 100n, true))
    refuses((view) => view.setBigUint64(tail + 16, BigInt(good.length) + 1n, true))
    refuses((view) => view.setBigUint64(tail + 16, 0n, true))
    refuses((view) => view.setBigUint64(tail + 16, 2n ** 60n, true))
    // Two children at one place, a child in the table, a child before the directory.
    refuses((view) => view.setBigUint64(16 + 8, view.getBigUint64(16 + 24 + 8, true), true))
    refuses((view) => view.setBigUint64(16 + 8, 0n, true))
    refuses((view) => view.setBigUint64(16 + 8, BigInt(endOffset), true))
  })
})
