import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { ByteWriter } from "../src/format/ByteWriter.ts"
import { lookup, openArchive, openDirectory } from "../src/format/pxar/Accessor.ts"
import { Decoder, type Event } from "../src/format/pxar/Decoder.ts"
import {
  GOODBYE_ITEM_BYTES,
  GoodbyeTable,
  readGoodbyeTail,
  writeGoodbye
} from "../src/format/pxar/GoodbyeTable.ts"
import {
  describeArchive,
  describeEvents,
  describeTree,
  encodeTree,
  sourceOf,
  treeArbitrary
} from "./pxarTrees.ts"

const decode = (archive: Uint8Array, blockBytes: number): Array<Event> => {
  const decoder = new Decoder()
  const events: Array<Event> = []
  for (let at = 0; at < archive.length; at += blockBytes) {
    decoder.push(archive.subarray(at, at + blockBytes))
    for (let event = decoder.next(); event !== undefined; event = decoder.next()) events.push(event)
  }
  decoder.finish()
  return events
}

const versions = fc.constantFrom(1 as const, 2 as const)

describe("pxar archives of random trees", () => {
  it("decode to what was encoded, whatever the blocks", () => {
    fc.assert(
      fc.property(
        treeArbitrary,
        versions,
        fc.integer({ min: 1, max: 300 }),
        fc.nat(500),
        (tree, version, block, drain) => {
          const { archive, payload } = encodeTree(tree, version, drain)
          assert.deepStrictEqual(describeEvents(decode(archive, block), payload), describeTree(tree))
        }
      ),
      { numRuns: 300 }
    )
  })

  it("do not depend on when the encoder is drained", () => {
    fc.assert(
      fc.property(treeArbitrary, versions, fc.nat(500), (tree, version, drain) => {
        assert.deepStrictEqual(encodeTree(tree, version, drain), encodeTree(tree, version, Infinity))
      }),
      { numRuns: 100 }
    )
  })

  it("give the same through random access", () => {
    fc.assert(
      fc.property(treeArbitrary, versions, fc.uint8Array({ maxLength: 1000 }), (tree, version, prelude) => {
        const { archive, payload } = encodeTree(tree, version, 1000, version === 2 ? prelude : undefined)
        const meter = { entries: 0, readBytes: 0 }
        const program = Effect.gen(function* () {
          const opened = yield* openArchive(sourceOf(archive, meter), sourceOf(payload, meter))
          assert.deepStrictEqual(opened.prelude, version === 2 ? prelude : undefined)
          const root = yield* openDirectory(opened, opened.root)
          for (const { name, node } of tree.children) {
            const found = yield* lookup(opened, root, name)
            if (node.kind !== "hardlink") assert.deepStrictEqual(found?.name, name)
          }
          return yield* describeArchive(opened, meter)
        })
        assert.deepStrictEqual(Effect.runSync(program), describeTree(tree))
      }),
      { numRuns: 200 }
    )
  })
})

describe("goodbye tables", () => {
  it("find all children of a hash, however many share it", () => {
    const half = fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff)
    fc.assert(
      fc.property(fc.array(fc.tuple(half, half), { minLength: 1, maxLength: 80 }), (hashes) => {
        const childBytes = 50
        const writer = new ByteWriter()
        writer.passBy(56 + hashes.length * childBytes)
        const items = hashes.map(([hashLow, hashHigh], index) => ({
          hashLow,
          hashHigh,
          fileOffset: 56 + index * childBytes,
          sizeBytes: childBytes
        }))
        writeGoodbye(writer, [...items], 0)
        const bytes = writer.view()
        const tail = bytes.subarray(bytes.length - GOODBYE_ITEM_BYTES)
        const table = new GoodbyeTable(readGoodbyeTail(tail, writer.position), bytes)
        for (const [low, high] of hashes) {
          const expected = items.filter(({ hashHigh, hashLow }) => hashLow === low && hashHigh === high)
          assert.deepStrictEqual(
            table
              .find(low, high)
              .map(({ fileOffset }) => fileOffset)
              .toSorted((left, right) => left - right),
            expected.map(({ fileOffset }) => fileOffset)
          )
        }
      }),
      { numRuns: 300 }
    )
  })
})
