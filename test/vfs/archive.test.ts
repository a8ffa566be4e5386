/**
 * File archives, sound and crafted, opened out of memory: what is read of them, how names are counted, what is refused.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as fc from "fast-check"
import { CatalogWriter } from "../../src/format/Catalog.ts"
import * as Accessor from "../../src/format/pxar/Accessor.ts"
import { Encoder } from "../../src/format/pxar/Encoder.ts"
import { makeFileMetadata, MODE_TYPE } from "../../src/model/FileMetadata.ts"
import * as LinkCounts from "../../src/vfs/archive/LinkCounts.ts"
import { Listings } from "../../src/vfs/archive/Listings.ts"
import { copyOf } from "../../src/vfs/content/ContentReader.ts"
import { placeOf } from "../../src/vfs/tree/inodes.ts"
import { type Entries, encodeArchive } from "../restore/browseMemory.ts"
import { lookAtEverything, memoryContent, open, type Reads } from "./memoryArchive.ts"

const xattr = { name: Buffer.from("user.x"), value: Buffer.from("1") }

const sample: Entries = {
  a: { kind: "file", content: "some content", xattrs: [xattr], mtimeSeconds: -5, mtimeNanos: 7 },
  d: {
    kind: "directory",
    entries: { e: { kind: "directory", entries: { f: { kind: "file", content: "more" } } } }
  },
  h: { kind: "hardlink", to: "a" },
  p: { kind: "fifo" },
  s: { kind: "symlink", target: "a" }
}

const manyFiles = (count: number, contentBytes: number): Entries =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `file-${index}`,
      { kind: "file", content: Buffer.alloc(contentBytes, index) }
    ])
  )

/** What is told of it in the log is not of interest. */
const damaged = (archive: Uint8Array, payload: Uint8Array | undefined, most = 100) =>
  Effect.map(
    Effect.exit(Effect.flatMap(open({ archive, payload }), (opened) => lookAtEverything(opened, most))),
    (exit) => {
      if (Exit.isSuccess(exit)) return undefined
      assert.isFalse(Cause.hasDies(exit.cause), Cause.pretty(exit.cause))
      const error = Cause.squash(exit.cause)
      assert.strictEqual((error as { readonly reason?: string }).reason, "Damaged", Cause.pretty(exit.cause))
      return String((error as Error).message)
    }
  ).pipe(Effect.provideService(References.MinimumLogLevel, "None"))

describe("an archive", () => {
  for (const version of [1, 2] as const) {
    it.effect(`of version ${version} shows every entry in every way alike`, () =>
      Effect.gen(function* () {
        const encoded = encodeArchive(sample, version)
        const archive = yield* open(encoded)
        assert.deepStrictEqual((yield* lookAtEverything(archive, 100)).toSorted(), [
          "/a",
          "/d",
          "/d/e",
          "/d/e/f",
          "/h",
          "/p",
          "/s"
        ])
        const { entries } = yield* archive.list(archive.rootEnd)
        for (const { attributes, name } of entries) {
          // Asked for alone, and looked up where no list is kept, it is the same.
          assert.deepStrictEqual(yield* archive.attributes(placeOf(attributes.inode)), attributes)
          const fresh = yield* open(encoded, { listings: new Listings() })
          assert.deepStrictEqual(yield* fresh.lookup(archive.rootEnd, name), attributes)
        }
        assert.strictEqual(yield* archive.lookup(archive.rootEnd, Buffer.from("b")), undefined)
        const [a, , h] = entries
        assert.strictEqual(a?.attributes.inode, h?.attributes.inode)
        assert.strictEqual(a?.attributes.linkCount, 2)
        assert.deepStrictEqual([a?.attributes.mtimeSeconds, a?.attributes.mtimeNanos], [-5, 7])
        const found = yield* archive.lend(placeOf(h?.attributes.inode ?? 0n), 5, 100, copyOf)
        assert.strictEqual(Buffer.from(found).toString(), "content")
      })
    )
  }

  it.effect("with large contents is listed without reading them", () =>
    Effect.gen(function* () {
      const encoded = encodeArchive(manyFiles(40, 200_000))
      const reads: Reads = []
      const archive = yield* open(encoded, { reads })
      reads.length = 0
      const catalog = new CatalogWriter()
      catalog.startDirectory(Buffer.from("root.pxar.didx"))
      catalog.endDirectory()
      catalog.finish()
      const counted = yield* open(encoded, { reads, catalog: catalog.takeBytes() })
      assert.strictEqual((yield* counted.list(archive.rootEnd)).entries.length, 40)
      const readBytes = reads.reduce((sum, [, lengthBytes]) => sum + lengthBytes, 0)
      assert.isBelow(readBytes, 40 * 4096)
      assert.isAtMost(reads.length, 50)
    })
  )

  it.effect("with small files is listed in one read, and not again", () =>
    Effect.gen(function* () {
      const reads: Reads = []
      const archive = yield* open(encodeArchive(manyFiles(2000, 10), 2), { reads })
      assert.strictEqual((yield* archive.list(archive.rootEnd)).entries.length, 2000)
      assert.isAtMost(reads.length, 8)
      reads.length = 0
      const listing = yield* archive.list(archive.rootEnd)
      for (const { name } of listing.entries) yield* archive.lookup(archive.rootEnd, name)
      assert.strictEqual(reads.length, 0)
    })
  )
})

describe("names of a file", () => {
  const linked: Entries = {
    a: { kind: "file", content: "x" },
    b: { kind: "hardlink", to: "a" },
    c: { kind: "directory", entries: { d: { kind: "hardlink", to: "a" }, e: { kind: "file", content: "y" } } }
  }

  const catalogOf = (hasLinks: boolean): Uint8Array => {
    const writer = new CatalogWriter()
    writer.startDirectory(Buffer.from("root.pxar.didx"))
    writer.addFile(Buffer.from("a"), 1, 0)
    if (hasLinks) writer.add("hardlink", Buffer.from("b"))
    writer.startDirectory(Buffer.from("c"))
    if (hasLinks) writer.add("hardlink", Buffer.from("d"))
    writer.endDirectory()
    writer.endDirectory()
    writer.finish()
    return writer.takeBytes()
  }

  const countsOf = (large: boolean, catalog?: Uint8Array) =>
    Effect.gen(function* () {
      const big: Entries = large ? { z: { kind: "file", content: Buffer.alloc(65 * 1024 * 1024) } } : {}
      const archive = yield* open(
        encodeArchive({ ...linked, ...big }),
        catalog === undefined ? {} : { catalog }
      )
      const { entries } = yield* archive.list(archive.rootEnd)
      const inner = yield* archive.list(placeOf(entries[2]!.attributes.inode).position)
      return [...entries, ...inner.entries]
        .filter(({ attributes }) => attributes.kind === "file")
        .map(({ attributes }) => attributes.linkCount)
    })

  it.effect("are counted by a look at all entries where that is cheap", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* countsOf(false), [3, 3, 3, 1])
      assert.deepStrictEqual(yield* countsOf(false, catalogOf(true)), [3, 3, 3, 1])
    })
  )

  it.effect("are counted with the help of the catalog where entries are among large contents", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* countsOf(true, catalogOf(true)), [3, 3, 1, 3, 1])
      assert.deepStrictEqual(yield* countsOf(true, catalogOf(false)), [1, 1, 1, 1, 1])
    })
  )

  it.effect("are at least two where nobody knows", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* countsOf(true), [2, 2, 2, 2, 2])
      assert.deepStrictEqual(yield* countsOf(true, new Uint8Array(100)), [2, 2, 2, 2, 2])
    })
  )

  it("are one and as many as links lead there", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), fc.nat(20), (targets, offset) => {
        const { countOf } = LinkCounts.fromTargets(Float64Array.from(targets))
        assert.strictEqual(countOf(offset), 1 + targets.filter((target) => target === offset).length)
      })
    )
  })

  it.effect("are found whatever stands where blocks of the scan meet", () =>
    Effect.gen(function* () {
      const names: Array<[string, Entries[string]]> = [["a", { kind: "file", content: "x" }]]
      for (let index = 0; index < 30_000; index++)
        names.push([`b${String(index).padStart(index % 50, "0")}x${index}`, { kind: "hardlink", to: "a" }])
      const { archive } = encodeArchive(Object.fromEntries(names), 2)
      assert.isAbove(archive.length, 2 * 1024 * 1024)
      const counts = yield* LinkCounts.scan(archive.length, (offset, lengthBytes, use) =>
        memoryContent(archive).lend(offset, lengthBytes, archive.length, use)
      )
      const opened = yield* Accessor.openArchive<never>(memoryContent(archive) as never)
      const directory = yield* Accessor.openDirectory(opened, opened.root)
      assert.strictEqual(counts.countOf(directory.table.children[0]!.fileOffset), 30_001)
    })
  )
})

const directory = makeFileMetadata({ mode: MODE_TYPE.directory | 0o755 })

describe("a crafted archive", () => {
  for (const version of [1, 2] as const) {
    it(`is damaged or sound, and never anything else, version ${version}`, { timeout: 120_000 }, async () => {
      const { archive: bytes, payload } = encodeArchive(sample, version)
      const edits = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 })
      let refused = 0
      await fc.assert(
        fc.asyncProperty(edits, fc.boolean(), async (changes, isPayload) => {
          const [archive, contents] = [bytes.slice(), payload?.slice()]
          const target = isPayload && contents !== undefined ? contents : archive
          for (const [at, value] of changes) target[at % target.length] = value
          if ((await Effect.runPromise(damaged(archive, contents))) !== undefined) refused++
        }),
        { numRuns: 500 }
      )
      assert.isAbove(refused, 50)
    })
  }

  it.effect("nests as deep as it likes", () =>
    Effect.gen(function* () {
      const levels = 3000
      const encoder = Encoder.startArchive(directory, { version: 1 })
      for (let level = 0; level < levels; level++) encoder.startDirectory(Buffer.from("d"), directory)
      for (let level = 0; level < levels; level++) encoder.finishDirectory()
      encoder.finishArchive()
      const bytes = encoder.takeArchiveBytes()
      const archive = yield* open({ archive: bytes, payload: undefined })
      const paths = yield* lookAtEverything(archive, levels + 1)
      assert.strictEqual(paths.length, levels)
      // With nothing remembered, the way up is found from above.
      const fresh = yield* open({ archive: bytes, payload: undefined })
      let end = archive.rootEnd
      for (let level = 0; level < levels; level++) {
        end = placeOf((yield* archive.list(end)).entries[0]!.attributes.inode).position
      }
      assert.notStrictEqual(yield* fresh.parent(end), undefined)
    })
  )

  it.effect("whose directories overlap is refused where they do", () =>
    Effect.gen(function* () {
      const entries: Entries = {
        a: { kind: "directory", entries: { x: { kind: "file", content: "x" } } },
        b: { kind: "directory", entries: { y: { kind: "file", content: "y" } } }
      }
      const { archive } = encodeArchive(entries)
      const opened = yield* open({ archive, payload: undefined })
      const [a, b] = (yield* opened.list(opened.rootEnd)).entries
      const [endOfA, endOfB] = [a, b].map((entry) => placeOf(entry?.attributes.inode ?? 0n).position)
      const view = new DataView(archive.buffer, archive.byteOffset)
      // The tail of b says that it begins where a does, and its table that what is in a is in b.
      const entryOfA = yield* entryStartOf(archive, 0)
      const tableBytes = Number(view.getBigUint64(endOfB! - 8, true))
      const goodbye = endOfB! - tableBytes
      view.setBigUint64(endOfB! - 16, BigInt(goodbye - entryOfA), true)
      const message = (yield* damaged(archive, undefined)) ?? ""
      assert.match(message, /the table of the directory at \d+/)
      const again = yield* open({ archive, payload: undefined })
      assert.strictEqual((yield* again.list(endOfA!)).entries.length, 1)
      assert.strictEqual((yield* Effect.flip(again.list(endOfB!))).reason, "Damaged")
    })
  )

  it.effect("with names that are no names is refused", () =>
    Effect.gen(function* () {
      for (const name of ["..", "a/", "a\0", ".\0"]) {
        const { archive } = encodeArchive({ [name.length === 2 ? "zz" : "z"]: { kind: "file", content: "" } })
        const at = Buffer.from(archive.buffer, archive.byteOffset, archive.length).indexOf("zz\0")
        Buffer.from(name).copy(archive, at)
        assert.isDefined(yield* damaged(archive, undefined), JSON.stringify(name))
      }
    })
  )

  it.effect("answers to no inode that nothing stands at", () =>
    Effect.gen(function* () {
      const archive = yield* open(encodeArchive(sample))
      for (let position = 0; position < archive.rootEnd; position += 3) {
        for (const isDirectory of [true, false]) {
          const exit = yield* Effect.exit(archive.attributes({ isDirectory, position }))
          if (Exit.isFailure(exit)) assert.isFalse(Cause.hasDies(exit.cause), Cause.pretty(exit.cause))
        }
      }
    })
  )
})

/** Where the entry of a child of the root begins. */
const entryStartOf = (bytes: Uint8Array, child: number) =>
  Effect.gen(function* () {
    const archive = yield* Accessor.openArchive<never>(memoryContent(bytes) as never)
    const children = yield* Accessor.listChildren(
      archive,
      yield* Accessor.openDirectory(archive, archive.root)
    )
    return children[child]!.entryStart
  })
