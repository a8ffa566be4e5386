import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type CatalogDirectory, CatalogWriter, readDirectory, readRoot } from "../src/format/Catalog.ts"
import { FormatError } from "../src/format/FormatError.ts"
import { damageArbitrary } from "./pxarDamageArbitrary.ts"
import { nameArbitrary } from "./pxarTrees.ts"

const OTHER_KINDS = ["symlink", "hardlink", "device-block", "device-char", "fifo", "socket"] as const

type Node =
  | { readonly kind: "directory"; readonly name: string; readonly children: ReadonlyArray<Node> }
  | {
      readonly kind: "file"
      readonly name: string
      readonly sizeBytes: number
      readonly mtimeSeconds: number
    }
  | { readonly kind: (typeof OTHER_KINDS)[number]; readonly name: string }

const name = nameArbitrary.map((bytes) => Buffer.from(bytes).toString("hex"))

const { children } = fc.letrec<{ node: Node; children: ReadonlyArray<Node> }>((tie) => ({
  children: fc.array(tie("node"), { maxLength: 6 }),
  node: fc.oneof(
    { depthSize: "small" },
    fc.record({ kind: fc.constantFrom(...OTHER_KINDS), name }),
    fc.record({
      kind: fc.constant("file" as const),
      name,
      sizeBytes: fc.oneof(fc.nat(), fc.maxSafeNat()),
      mtimeSeconds: fc.oneof(fc.integer(), fc.maxSafeInteger())
    }),
    fc.record({ kind: fc.constant("directory" as const), name, children: tie("children") })
  )
}))

const write = (writer: CatalogWriter, nodes: ReadonlyArray<Node>): void => {
  for (const node of nodes) {
    const bytes = new Uint8Array(Buffer.from(node.name, "hex"))
    if (node.kind === "directory") {
      writer.startDirectory(bytes)
      write(writer, node.children)
      writer.endDirectory()
    } else if (node.kind === "file") writer.addFile(bytes, node.sizeBytes, node.mtimeSeconds)
    else writer.add(node.kind, bytes)
  }
}

const read = (catalog: Uint8Array, directory: CatalogDirectory): Array<Node> =>
  [...readDirectory(catalog, directory)].map((entry) => {
    const hex = Buffer.from(entry.name).toString("hex")
    if (entry.kind === "directory") {
      return { kind: entry.kind, name: hex, children: read(catalog, entry.directory) }
    }
    return { ...entry, name: hex }
  })

/** Visits every directory, without recursion, and counts entries. */
const countEntries = (catalog: Uint8Array): number => {
  let count = 0
  const pending = [readRoot(catalog)]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const entry of readDirectory(catalog, next)) {
      count++
      if (entry.kind === "directory") pending.push(entry.directory)
    }
  }
  return count
}

describe("catalogs", () => {
  it("read as they were written", () => {
    fc.assert(
      fc.property(children, (nodes) => {
        const writer = new CatalogWriter()
        write(writer, nodes)
        writer.finish()
        const catalog = writer.takeBytes()
        assert.deepStrictEqual(read(catalog, readRoot(catalog)), [...nodes])
      }),
      { numRuns: 500 }
    )
  })

  it("when damaged, fail with FormatError or end soon", () => {
    const golden = new Uint8Array(readFileSync(new URL("../test/golden/catalog/tree.pcat1", import.meta.url)))
    const small = new CatalogWriter()
    small.startDirectory(Uint8Array.of(0x61))
    for (const letter of [0x62, 0x63, 0x64]) {
      small.startDirectory(Uint8Array.of(letter))
      small.addFile(Uint8Array.of(letter), letter, -letter)
      small.endDirectory()
    }
    small.endDirectory()
    small.finish()
    for (const catalog of [golden, small.takeBytes()]) {
      fc.assert(
        fc.property(damageArbitrary, (damage) => {
          const damaged = damage(catalog)
          try {
            // Blocks do not overlap, and each entry takes three bytes.
            assert.isAtMost(countEntries(damaged), damaged.length / 3)
          } catch (error) {
            assert.instanceOf(error, FormatError)
          }
        }),
        { numRuns: 4000 }
      )
    }
  })
})
