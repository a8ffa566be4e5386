/** Section configuration: what Proxmox Backup Server writes, what it refuses, and that nothing foreign is lost. */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { FormatError } from "../../src/format/FormatError.ts"
import * as SectionConfig from "../../src/format/SectionConfig.ts"

const written = `s3-endpoint: minio
\taccess-key AKIA
\tendpoint {{bucket}}.s3.{{region}}.example.org
\tprovider-quirks skip-if-none-match-header
\tprovider-quirks delete-objects-via-delete-object
\tsecret-key s3cr3t

datastore: backup
\tpath /mnt/datastore/backup
\tbackend type=s3,client=minio,bucket=my-bucket,max-cache-size=10 GiB
\tcomment two  blanks inside

sync: s-1
\tns 
\tstore backup
`

const problem = (text: string): FormatError => {
  try {
    SectionConfig.decode(text)
  } catch (error) {
    if (error instanceof FormatError) return error
    throw error
  }
  throw new Error("it was accepted")
}

describe("section configuration", () => {
  it("reads sections with their keys in order, lists and empty values", () => {
    const sections = SectionConfig.decode(written)
    assert.deepStrictEqual(sections.map(SectionConfig.titleOf), [
      "s3-endpoint: minio",
      "datastore: backup",
      "sync: s-1"
    ])
    const [endpoint, datastore, sync] = sections
    assert.isDefined(endpoint)
    assert.isDefined(datastore)
    assert.isDefined(sync)
    assert.deepStrictEqual(SectionConfig.valuesOf(endpoint, "provider-quirks"), [
      "skip-if-none-match-header",
      "delete-objects-via-delete-object"
    ])
    assert.strictEqual(SectionConfig.valueOf(datastore, "comment"), "two  blanks inside")
    assert.strictEqual(SectionConfig.valueOf(sync, "ns"), "")
    assert.isUndefined(SectionConfig.valueOf(sync, "owner"))
  })

  it("writes it again as it was", () => {
    assert.strictEqual(SectionConfig.encode(SectionConfig.decode(written)), written)
    assert.strictEqual(SectionConfig.encode(SectionConfig.decode("")), "")
  })

  it("takes what people write by hand", () => {
    const byHand = "\n\ns3-endpoint:minio  \r\n    endpoint\t  a.example \r\n\r\n \t\nx: y\n a b"
    assert.deepStrictEqual(SectionConfig.decode(byHand), [
      { type: "s3-endpoint", id: "minio", properties: [{ key: "endpoint", value: "a.example" }] },
      { type: "x", id: "y", properties: [{ key: "a", value: "b" }] }
    ])
  })

  it("names the line and the section of an error, and its place", () => {
    const text = `${written}\tendpoint\n`
    const error = problem(text)
    assert.match(
      error.message,
      /a key, a blank and a value, found .*"endpoint" \(line 16, section "sync: s-1"\)/
    )
    assert.strictEqual(error.offset, Buffer.byteLength(written))
    for (const [bad, message] of [
      ["# comment\n", /expected a header .* found something else \(line 1\)/],
      ["\tkey value\n", /expected a header .* "key" \(line 1\)/],
      ["a: b\nkey value\n", /indented key.* "key" \(line 2, section "a: b"\)/],
      ["a: b\n\tk v\nc: d\n\tk v\n", /empty line before the next section.* "c" \(line 3/],
      ["a: b\n\nc: b\n", /every id once.*line 3, section "c: b"/],
      ["1a: b\n", /expected a header/]
    ] as const) {
      assert.match(problem(bad).message, message)
    }
  })

  it("tells no secret", () => {
    for (const bad of [
      "a: b\nsecret-key hunter2\n",
      "a: b\n\thunter2=\n",
      "Hunter2/+\n",
      "a: b\n\tk v\nHunter2\n"
    ]) {
      assert.notMatch(problem(bad).message, /hunter2/i)
    }
  })

  it("refuses to write what no line can hold", () => {
    const write = (key: string, value: string, type = "a", id = "b") =>
      SectionConfig.encode([{ type, id, properties: [{ key, value }] }])
    for (const bad of [
      () => write("k", "two\nlines"),
      () => write("k", "bell\u0007"),
      () => write("k", " blank"),
      () => write("a b", "v"),
      () => write("", "v"),
      () => write("k", "v", "a:b"),
      () => write("k", "v", "1a"),
      () => write("k", "v", "a", "b\n\nc: d")
    ]) {
      assert.throws(bad, FormatError)
    }
  })

  it("changes one key and leaves the others where they are", () => {
    const [section] = SectionConfig.decode("a: b\n\tx 1\n\tl p\n\ty 2\n\tl q\n\tz 3\n")
    assert.isDefined(section)
    const text = (values: ReadonlyArray<string>, key = "l") =>
      SectionConfig.encode([SectionConfig.withValues(section, key, values)])
    assert.strictEqual(text(["r", "s"]), "a: b\n\tx 1\n\tl r\n\tl s\n\ty 2\n\tz 3\n")
    assert.strictEqual(text([]), "a: b\n\tx 1\n\ty 2\n\tz 3\n")
    assert.strictEqual(text(["n"], "new"), "a: b\n\tx 1\n\tl p\n\ty 2\n\tl q\n\tz 3\n\tnew n\n")
  })

  const isWord = (text: string): boolean => !/[\p{Cc}\p{White_Space}]/u.test(text)
  const value = fc
    .string({ unit: "binary" })
    .filter((text) => !/\p{Cc}|^\p{White_Space}|\p{White_Space}$/u.test(text))
  const section = fc.record({
    type: fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/),
    id: fc.string({ minLength: 1 }).filter(isWord),
    properties: fc.array(fc.record({ key: fc.string({ minLength: 1 }).filter(isWord), value }))
  })

  it("brings back whatever it wrote", () => {
    fc.assert(
      fc.property(fc.uniqueArray(section, { selector: ({ id }) => id }), (sections) => {
        assert.deepStrictEqual(SectionConfig.decode(SectionConfig.encode(sections)), sections)
      })
    )
  })

  it("reads any text or refuses it, and reads the same from what it writes", () => {
    const pieces = fc.constantFrom(
      "a",
      "b",
      ":",
      " ",
      "\t",
      "\n",
      "\n\n",
      "\r",
      "\u2028",
      "\u0085",
      "é",
      "\u0001"
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
        try {
          const sections = SectionConfig.decode(parts.join(""))
          assert.deepStrictEqual(SectionConfig.decode(SectionConfig.encode(sections)), sections)
        } catch (error) {
          assert.instanceOf(error, FormatError)
        }
      }),
      { numRuns: 2000 }
    )
  })
})
