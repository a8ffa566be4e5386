import { existsSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { ByteReader } from "../../src/format/ByteReader.ts"
import { ByteWriter } from "../../src/format/ByteWriter.ts"
import {
  CATALOG_MAGIC,
  type CatalogDirectory,
  CatalogWriter,
  readDirectory,
  readRoot,
  readSignedVarint,
  readVarint,
  writeSignedVarint,
  writeVarint
} from "../../src/format/Catalog.ts"
import { FormatError } from "../../src/format/FormatError.ts"

const GOLDEN = new URL("../golden/catalog/tree.pcat1", import.meta.url)
const REFERENCE_VIEW = new URL("../../../shared/fixtures/pxar/tree.pcat1.json", import.meta.url)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
const golden = (): Uint8Array => new Uint8Array(readFileSync(GOLDEN))

const LABELS = {
  symlink: "Symlink",
  hardlink: "Hardlink",
  "device-block": "BlockDevice",
  "device-char": "CharDevice",
  fifo: "Fifo",
  socket: "Socket"
} as const

interface Line {
  readonly attr: string
  readonly name_hex: string
}

const describeAll = (catalog: Uint8Array, directory: CatalogDirectory): Array<Line> => {
  const lines: Array<Line> = []
  for (const entry of readDirectory(catalog, directory)) {
    const name_hex = hex(entry.name)
    if (entry.kind === "directory") {
      lines.push({ attr: `Directory { start: ${entry.directory.startOffset} }`, name_hex })
      lines.push(...describeAll(catalog, entry.directory))
    } else if (entry.kind === "file") {
      lines.push({ attr: `File { size: ${entry.sizeBytes}, mtime: ${entry.mtimeSeconds} }`, name_hex })
    } else lines.push({ attr: LABELS[entry.kind], name_hex })
  }
  return lines
}

const writeAgain = (writer: CatalogWriter, catalog: Uint8Array, directory: CatalogDirectory): void => {
  for (const entry of readDirectory(catalog, directory)) {
    if (entry.kind === "directory") {
      writer.startDirectory(entry.name)
      writeAgain(writer, catalog, entry.directory)
      writer.endDirectory()
    } else if (entry.kind === "file") writer.addFile(entry.name, entry.sizeBytes, entry.mtimeSeconds)
    else writer.add(entry.kind, entry.name)
  }
}

const makeCatalog = (fill: (writer: CatalogWriter) => void): Uint8Array => {
  const writer = new CatalogWriter()
  fill(writer)
  writer.finish()
  return writer.takeBytes()
}

const readAll = (catalog: Uint8Array): Array<Line> => describeAll(catalog, readRoot(catalog))

/** A catalog of one block, the root, with these bytes after the number of entries. */
const withEntries = (count: number, entries: ReadonlyArray<number>): Uint8Array => {
  const writer = new ByteWriter().bytes(CATALOG_MAGIC)
  writer.u8(entries.length + 1).u8(count)
  return writer.bytes(Uint8Array.from(entries)).u64(CATALOG_MAGIC.length).finish()
}

describe("Catalog", () => {
  it("writes the documented example", () => {
    const catalog = makeCatalog((writer) => {
      writer.addFile(bytesOf("a"), 5, 10)
      writer.startDirectory(bytesOf("d"))
      writer.endDirectory()
    })
    assert.strictEqual(hex(catalog), "91fd60f9c46758d501000a02660161050a640164020a00000000000000")
    assert.deepStrictEqual(readAll(catalog), [
      { attr: "File { size: 5, mtime: 10 }", name_hex: "61" },
      { attr: "Directory { start: 8 }", name_hex: "64" }
    ])
  })

  it("writes what it reads, byte for byte, also when drained between entries", () => {
    const catalog = golden()
    const writer = new CatalogWriter()
    writeAgain(writer, catalog, readRoot(catalog))
    const first = writer.takeBytes()
    writer.finish()
    assert.isTrue(Buffer.concat([first, writer.takeBytes()]).equals(catalog))
    assert.strictEqual(writer.position, catalog.length)
  })

  it("writes varints as documented and reads them back", () => {
    const encoded = (write: (writer: ByteWriter) => void): Uint8Array => {
      const writer = new ByteWriter()
      write(writer)
      return writer.finish()
    }
    const unsigned: ReadonlyArray<readonly [number, string]> = [
      [0, "00"],
      [127, "7f"],
      [300, "ac02"],
      [Number.MAX_SAFE_INTEGER, "ffffffffffffff0f"]
    ]
    for (const [value, text] of unsigned) {
      const bytes = encoded((writer) => writeVarint(writer, value))
      assert.strictEqual(hex(bytes), text)
      assert.strictEqual(readVarint(new ByteReader("catalog", bytes), "value"), value)
    }
    const signed: ReadonlyArray<readonly [number, string]> = [
      [0, "00"],
      [5, "05"],
      [-1, "8100"],
      [-127, "ff00"],
      [-128, "808100"],
      [-300, "ac8200"],
      [-Number.MAX_SAFE_INTEGER, "ffffffffffffff8f00"]
    ]
    for (const [value, text] of signed) {
      const bytes = encoded((writer) => writeSignedVarint(writer, value))
      assert.strictEqual(hex(bytes), text)
      assert.strictEqual(readSignedVarint(new ByteReader("catalog", bytes), "value"), value)
    }
    for (const text of ["80808080808080808080808000", "8080808080808010", "8080", ""]) {
      assert.throws(() => readVarint(new ByteReader("catalog", fromHex(text)), "value"), FormatError)
    }
    // The smallest i64 is documented, but no time of ours.
    const smallest = new ByteReader("catalog", fromHex("8080808080808080808100"))
    assert.throws(() => readSignedVarint(smallest, "value"), FormatError)
  })

  it("refuses blocks that break the format", () => {
    const [d, f, a] = [0x64, 0x66, 0x61]
    assert.deepStrictEqual(readAll(withEntries(1, [0x6c, 1, a])), [{ attr: "Symlink", name_hex: "61" }])
    const broken: Array<[string, Uint8Array]> = [
      ["more entries than bytes", withEntries(100, [0x6c, 1, a])],
      ["fewer entries than bytes", withEntries(0, [0x6c, 1, a])],
      ["an unknown kind", withEntries(1, [0x7a, 1, a])],
      ["an empty name", withEntries(1, [0x6c, 0, a])],
      ["a name past the block", withEntries(1, [0x6c, 9, a])],
      ["a name with a slash", withEntries(1, [0x6c, 1, 0x2f])],
      ["the name ..", withEntries(1, [0x6c, 2, 0x2e, 0x2e])],
      ["a directory that is itself", withEntries(1, [d, 1, a, 0])],
      ["a directory before the first block", withEntries(1, [d, 1, a, 1])],
      ["a file without time", withEntries(1, [f, 1, a, 1])],
      ["no root", CATALOG_MAGIC],
      ["another magic", withEntries(1, [0x6c, 1, a]).map((byte, index) => (index === 3 ? 0 : byte))],
      [
        "a root past the end",
        withEntries(1, [0x6c, 1, a]).map((byte, index, all) => (index === all.length - 8 ? 99 : byte))
      ]
    ]
    for (const [what, catalog] of broken) assert.throws(() => readAll(catalog), FormatError, undefined, what)
  })

  it("refuses directories that share a subtree, which would make walks explode", () => {
    const writer = new ByteWriter().bytes(CATALOG_MAGIC)
    writer.bytes(Uint8Array.of(1, 0))
    // Each block names the one before it twice.
    let previous = CATALOG_MAGIC.length
    for (let depth = 0; depth < 60; depth++) {
      const start = writer.length
      const distance = start - previous
      writer.bytes(Uint8Array.of(9, 2, 0x64, 1, 0x61, distance, 0x64, 1, 0x62, distance))
      previous = start
    }
    const catalog = writer.u64(previous).finish()
    assert.throws(() => readAll(catalog), FormatError)
  })

  it("refuses calls out of order and names that cannot be", () => {
    const writer = new CatalogWriter()
    assert.throws(() => writer.endDirectory(), /no directory/)
    assert.throws(() => writer.addFile(bytesOf("a/b"), 1, 1), FormatError)
    assert.throws(() => writer.add("fifo", new Uint8Array(4096).fill(0x61)), FormatError)
    assert.throws(() => writer.addFile(bytesOf("a"), 0.5, 1), RangeError)
    writer.startDirectory(bytesOf("d"))
    assert.throws(() => writer.finish(), /still open/)
    writer.endDirectory()
    writer.finish()
    assert.throws(() => writer.add("fifo", bytesOf("f")), /finished/)
    assert.strictEqual(readAll(writer.takeBytes()).length, 1)
  })
})

describe.skipIf(!existsSync(REFERENCE_VIEW))("Catalog of the big tree", () => {
  it("reads as the reference reads it", () => {
    const lines: ReadonlyArray<Line> = JSON.parse(readFileSync(REFERENCE_VIEW, "utf8"))
    assert.deepStrictEqual(
      readAll(golden()),
      lines.map(({ attr, name_hex }) => ({ attr, name_hex }))
    )
  })
})
