import { assert, describe, it } from "@effect/vitest"
import { FormatError } from "../../../src/format/FormatError.ts"
import { Decoder } from "../../../src/format/pxar/Decoder.ts"
import {
  BIG_NAMES,
  bigFixturesExist,
  decodeAll,
  describeEvents,
  loadGolden,
  type ReferenceLine,
  SMALL_NAMES
} from "./goldens.ts"

/**
 * The recorded lines also have the path as text, and were cut off behind 400 characters of a long link
 * target.
 */
const comparable = (line: ReferenceLine): object => {
  const { path: _path, ...rest } = { path: "", ...line }
  return { ...rest, kind: line.kind.slice(0, 400) }
}

const checkLines = (name: string, blockBytes?: number): void => {
  const { archive, lines, payload } = loadGolden(name)
  const found = describeEvents(decodeAll(archive, blockBytes), payload)
  if (lines === undefined) throw new Error(`no reference view of ${name}`)
  assert.deepStrictEqual(found.map(comparable), lines.map(comparable))
}

describe("Decoder", () => {
  const described = SMALL_NAMES.filter((name) => name !== "tiny-mix-noxattr.v1")

  it.each(described)("reads %s as the reference does", (name) => {
    checkLines(name)
  })

  it.each([1, 2, 7, 16, 17, 64])("reads archives that arrive in blocks of %d bytes", (blockBytes) => {
    for (const name of described) checkLines(name, blockBytes)
  })

  it("reads an archive without extended attributes as one with them, less those", () => {
    const strip = (name: string): Array<object> =>
      describeEvents(decodeAll(loadGolden(name).archive)).map((line) => ({
        ...line,
        xattrs: [],
        // Distances of hard links shrink with the attributes.
        kind: line.kind.replace(/offset: \d+/, "offset")
      }))
    assert.deepStrictEqual(strip("tiny-mix-noxattr.v1"), strip("tiny-mix.v1"))
    assert.isTrue(loadGolden("tiny-mix-noxattr.v1").archive.length < loadGolden("tiny-mix.v1").archive.length)
  })

  it("hands out file contents as views of the pushed blocks", () => {
    const { archive } = loadGolden("tiny-one.v1")
    const pieces = decodeAll(archive).filter((event) => event.kind === "payload")
    assert.strictEqual(pieces.length, 1)
    assert.strictEqual(pieces[0]?.bytes.buffer, archive.buffer)
    assert.strictEqual(pieces[0]?.remainingBytes, 0)
  })

  it("asks for more at every truncation and refuses to finish", () => {
    for (const name of SMALL_NAMES) {
      const { archive } = loadGolden(name)
      for (let length = 0; length < archive.length; length++) {
        assert.throws(() => decodeAll(archive.subarray(0, length), length || 1), FormatError)
      }
    }
  })

  it("refuses bytes after the end", () => {
    const { archive } = loadGolden("tiny-one.v1")
    assert.throws(() => decodeAll(new Uint8Array([...archive, 0])), FormatError)
    const decoder = new Decoder()
    decoder.push(archive)
    while (decoder.next() !== undefined);
    decoder.push(Uint8Array.of(1))
    assert.throws(() => decoder.next(), FormatError)
  })

  it("says where the fault is", () => {
    const archive = loadGolden("tiny-one.v1").archive.slice()
    // The first FILENAME: "a.txt" becomes "a/txt".
    const at = Buffer.from(archive).indexOf("a.txt")
    archive[at + 1] = 0x2f
    const error = (() => {
      try {
        return decodeAll(archive)
      } catch (thrown) {
        return thrown
      }
    })()
    assert.instanceOf(error, FormatError)
    assert.strictEqual(error instanceof FormatError && error.offset, at)
  })
})

describe.skipIf(!bigFixturesExist)("Decoder over the big tree", () => {
  it.each(BIG_NAMES)("reads %s as the reference does", (name) => {
    checkLines(name)
    checkLines(name, 4099)
  })
})
