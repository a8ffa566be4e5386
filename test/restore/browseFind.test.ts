import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { CatalogWriter } from "../../src/format/Catalog.ts"
import { match, parse } from "../../src/model/PathPattern.ts"
import * as ArchiveTree from "../../src/restore/ArchiveTree.ts"
import { find } from "../../src/restore/browse/Find.ts"
import type { SnapshotReader } from "../../src/restore/SnapshotReader.ts"
import { type Entries, encodeArchive, type Item, MemoryChunks, memoryReader } from "./browseMemory.ts"
import { copyFixtureStore, fixturesExist, openSnapshot, removeStore, withStore } from "./browseStore.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const foundPaths = (reader: SnapshotReader, patterns: ReadonlyArray<string>) =>
  Effect.map(
    Stream.runCollect(
      find(
        reader,
        patterns.map((line) => parse(line))
      )
    ),
    (found) => found.map(({ tree, node }) => `${tree.parts.name} ${Buffer.from(node.path).toString()}`)
  )

const entries: Entries = {
  "a.txt": { kind: "file", content: "a" },
  d: {
    kind: "directory",
    entries: {
      "a.txt": { kind: "file", content: "b" },
      e: { kind: "directory", entries: { "c.log": { kind: "file", content: "c" } } }
    }
  },
  e: { kind: "fifo" }
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text)

const addToCatalog = (writer: CatalogWriter, [name, item]: [string, Item]): void => {
  if (item.kind === "directory") {
    writer.startDirectory(bytesOf(name))
    Object.entries(item.entries).forEach((each) => addToCatalog(writer, each))
    writer.endDirectory()
  } else if (item.kind === "file") writer.addFile(bytesOf(name), item.content.length, 0)
  else writer.add(item.kind, bytesOf(name))
}

const catalogOf = (listed: Entries, archive = "root.pxar.didx"): Uint8Array => {
  const writer = new CatalogWriter()
  writer.startDirectory(bytesOf(archive))
  Object.entries(listed).forEach((each) => addToCatalog(writer, each))
  writer.endDirectory()
  writer.finish()
  return writer.takeBytes()
}

/** A snapshot of `entries` with a catalog that says what a test wants it to say. */
const readerWith = (catalog: Uint8Array | undefined): SnapshotReader =>
  memoryReader(new MemoryChunks(), {
    "root.pxar.didx": encodeArchive(entries).archive,
    ...(catalog === undefined ? {} : { "catalog.pcat1.didx": catalog })
  })

describe("find", () => {
  const cases = [
    [["a.txt"], ["a.txt", "d/a.txt"]],
    [["/a.txt"], ["a.txt"]],
    [["e/"], ["d/e"]],
    [["d/**"], ["d/a.txt", "d/e", "d/e/c.log"]],
    [
      ["*.txt", "!/a.txt", "*.log"],
      ["d/a.txt", "d/e/c.log"]
    ],
    [["nothing"], []]
  ] as const

  for (const [patterns, paths] of cases) {
    it.effect(`finds ${patterns.join(" ")} with and without a catalog`, () =>
      Effect.gen(function* () {
        const expected = paths.map((path) => `root.pxar ${path}`)
        assert.deepStrictEqual(yield* foundPaths(readerWith(catalogOf(entries)), patterns), expected)
        assert.deepStrictEqual(yield* foundPaths(readerWith(undefined), patterns), expected)
      })
    )
  }

  it.effect("walks an archive that the catalog does not list", () =>
    Effect.gen(function* () {
      const reader = readerWith(catalogOf({}, "other.pxar.didx"))
      assert.deepStrictEqual(yield* foundPaths(reader, ["c.log"]), ["root.pxar d/e/c.log"])
    })
  )

  it.effect("calls a catalog damaged that lists what is not there, or is none", () =>
    Effect.gen(function* () {
      const lying = readerWith(catalogOf({ ghost: { kind: "fifo" } }))
      assert.include((yield* Effect.flip(foundPaths(lying, ["ghost"]))).message, "catalog.pcat1")
      const broken = readerWith(new Uint8Array(100))
      assert.include((yield* Effect.flip(foundPaths(broken, ["*"]))).message, "bad catalog")
    })
  )

  it.effect("asks the archive about matches only", () =>
    Effect.gen(function* () {
      const chunks = new MemoryChunks()
      const many = Object.fromEntries(
        Array.from({ length: 5000 }, (_, at) => [`f${String(at).padStart(4, "0")}`, { kind: "fifo" } as Item])
      )
      const archive = encodeArchive({
        many: { kind: "directory", entries: many },
        z: { kind: "fifo" }
      }).archive
      const files = {
        "root.pxar.didx": archive,
        "catalog.pcat1.didx": catalogOf({ many: { kind: "directory", entries: many }, z: { kind: "fifo" } })
      }
      const reader = memoryReader(chunks, files, 4096)
      chunks.reads.length = 0
      assert.deepStrictEqual(yield* foundPaths(reader, ["/z"]), ["root.pxar z"])
      assert.isBelow(new Set(chunks.reads).size, chunks.chunks.size / 2)
    })
  )
})

describe.skipIf(!fixturesExist)("find over the reference datastore", () => {
  let folder = ""
  beforeAll(() => {
    if (fixturesExist) folder = copyFixtureStore()
  })
  afterAll(() => removeStore(folder))

  for (const snapshot of ["host/v1-plain/2024-01-01T00:00:00Z", "host/v2-plain/2024-01-01T00:00:00Z"]) {
    it.live(`finds in ${snapshot} what a walk with the same patterns finds`, () =>
      Effect.gen(function* () {
        const reader = yield* openSnapshot(snapshot)
        const tree = yield* ArchiveTree.open(reader, "root.pxar")
        const nodes = yield* Stream.runCollect(tree.walk())
        for (const line of ["f1*", "/acl/**", "*/", "special/*", "**/d3[0-9]", "non-utf8*"]) {
          const patterns = [parse(line)]
          const expected = nodes.filter(
            ({ path, entry }) => match(patterns, path, entry.kind === "directory") === "exclude"
          )
          const found = yield* Stream.runCollect(find(reader, patterns))
          assert.isNotEmpty(expected)
          assert.deepStrictEqual(
            found.map(({ node }) => hex(node.path)),
            expected.map(({ path }) => hex(path))
          )
        }
      }).pipe(withStore(folder))
    )
  }
})
