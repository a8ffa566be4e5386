import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as ArchiveTree from "../../src/restore/ArchiveTree.ts"
import * as Diff from "../../src/restore/browse/Diff.ts"
import { sharedBytes } from "../../src/restore/browse/sameContent.ts"
import { archiveReader, type Entries, type Item, MemoryChunks } from "./browseMemory.ts"

const file = (content: string, mtimeSeconds = 0): Item => ({ kind: "file", content, mtimeSeconds })

const directory = (entries: Entries): Item => ({ kind: "directory", entries })

interface DiffCase {
  readonly left: Entries
  readonly right: Entries
  readonly options?: Diff.DiffOptions
  readonly versions?: readonly [1 | 2, 1 | 2]
  readonly chunks?: MemoryChunks
}

/** The changes as `change path`, in order. */
const changesOf = ({ left, right, options, versions = [1, 1], chunks = new MemoryChunks() }: DiffCase) =>
  Effect.gen(function* () {
    const [leftVersion, rightVersion] = versions
    const leftTree = yield* ArchiveTree.open(
      archiveReader(chunks, left, { version: leftVersion }),
      "root.pxar"
    )
    const rightTree = yield* ArchiveTree.open(
      archiveReader(chunks, right, { version: rightVersion }),
      "root.pxar"
    )
    chunks.reads.length = 0
    const changes = yield* Stream.runCollect(Diff.diff(leftTree, rightTree, options))
    return changes.map(({ change, path }) => `${change} ${Buffer.from(path).toString()}`)
  })

describe("Diff", () => {
  it.effect("tells added, removed, modified and metadata, sorted by path", () =>
    Effect.gen(function* () {
      const left = {
        b: file("old"),
        gone: directory({ x: file("1"), y: directory({}) }),
        mode: { ...file("same"), mode: 0o600 } as Item,
        same: file("same"),
        target: { kind: "symlink", target: "a" } as Item
      }
      const right = {
        a: directory({ new: file("2") }),
        b: file("other"),
        mode: { ...file("same"), mode: 0o640 } as Item,
        same: file("same"),
        target: { kind: "symlink", target: "b" } as Item
      }
      assert.deepStrictEqual(yield* changesOf({ left, right }), [
        "added a",
        "added a/new",
        "modified b",
        "removed gone",
        "removed gone/x",
        "removed gone/y",
        "metadata mode",
        "modified target"
      ])
    })
  )

  it.effect("compares contents of the same size where times differ, and where it is told to", () =>
    Effect.gen(function* () {
      const left = { changed: file("aaaa", 1), same: file("same", 1), trusted: file("aaaa", 1) }
      const right = { changed: file("bbbb", 2), same: file("same", 2), trusted: file("bbbb", 1) }
      assert.deepStrictEqual(yield* changesOf({ left, right }), ["modified changed", "metadata same"])
      assert.deepStrictEqual(yield* changesOf({ left, right, options: { compareContents: true } }), [
        "modified changed",
        "metadata same",
        "modified trusted"
      ])
    })
  )

  it.effect("tells a file that became a directory once, and what is in it", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf({ left: { x: file("1") }, right: { x: directory({ y: file("1") }) } })
      assert.deepStrictEqual(changes, ["modified x", "added x/y"])
    })
  )

  it.effect("takes a hard link for the file that it names", () =>
    Effect.gen(function* () {
      const left = { a: file("data"), b: file("data") }
      const right = { a: file("data"), b: { kind: "hardlink", to: "a" } as Item }
      assert.deepStrictEqual(yield* changesOf({ left, right }), [])
      const other = { a: file("other"), b: { kind: "hardlink", to: "a" } as Item }
      assert.deepStrictEqual(yield* changesOf({ left, right: other }), ["modified a", "modified b"])
    })
  )

  it.effect("sees attributes whatever their order", () =>
    Effect.gen(function* () {
      const attribute = (name: string, value: string) => ({
        name: Buffer.from(name),
        value: Buffer.from(value)
      })
      const [one, two] = [attribute("user.a", "1"), attribute("user.b", "2")]
      const withAttributes = (...xattrs: ReadonlyArray<typeof one>): Entries => ({
        f: { kind: "file", content: "", xattrs }
      })
      const sameSet = { left: withAttributes(one, two), right: withAttributes(two, one) }
      assert.deepStrictEqual(yield* changesOf(sameSet), [])
      const otherValue = { left: withAttributes(one), right: withAttributes(attribute("user.a", "2")) }
      assert.deepStrictEqual(yield* changesOf(otherValue), ["metadata f"])
    })
  )

  it.effect("compares a split archive with one that is not", () =>
    Effect.gen(function* () {
      const entries = { a: file("x".repeat(500)), d: directory({ e: file("y".repeat(300), 5) }) }
      const changed = { a: file("x".repeat(500)), d: directory({ e: file("z".repeat(300), 6) }) }
      const versions = [1, 2] as const
      assert.deepStrictEqual(yield* changesOf({ left: entries, right: entries, versions }), [])
      assert.deepStrictEqual(yield* changesOf({ left: entries, right: changed, versions }), ["modified d/e"])
    })
  )

  it.effect("reads nothing of archives with the same indexes", () =>
    Effect.gen(function* () {
      const chunks = new MemoryChunks()
      const entries = { a: file("content") }
      const changes = yield* changesOf({
        left: entries,
        right: entries,
        options: { compareContents: true },
        chunks
      })
      assert.deepStrictEqual([changes, chunks.reads], [[], []])
    })
  )

  it.effect("does not read chunks that both sides share", () =>
    Effect.gen(function* () {
      const chunks = new MemoryChunks()
      // In the contents of split archives both files stand at the same place, in chunks of their own.
      const big = { a: file("0".repeat(6400)), b: file("old") }
      const later = { a: file("0".repeat(6400)), b: file("new", 1) }
      const versions = [2, 2] as const
      const options = { compareContents: true }
      assert.deepStrictEqual(yield* changesOf({ left: big, right: later, versions, options, chunks }), [
        "modified b"
      ])
      const zeros = [...chunks.chunks].find(([, chunk]) => chunk.every((byte) => byte === 0x30))?.[0]
      assert.isDefined(zeros)
      assert.notInclude(chunks.reads, zeros)
    })
  )

  it("is empty for equal trees, and turns around with its sides", () => {
    const contents = fc.dictionary(fc.stringMatching(/^[a-c]$/), fc.string())
    const entriesOf = (texts: Record<string, string>): Entries =>
      Object.fromEntries(Object.entries(texts).map(([name, content]) => [name, file(content)]))
    const turned = (change: string): string =>
      change.replace(/^added|^removed/, (word) => (word === "added" ? "removed" : "added"))
    const options = { compareContents: true }
    fc.assert(
      fc.property(contents, contents, (leftTexts, rightTexts) => {
        const [left, right] = [entriesOf(leftTexts), entriesOf(rightTexts)]
        assert.deepStrictEqual(Effect.runSync(changesOf({ left, right: left, options })), [])
        const there = Effect.runSync(changesOf({ left, right, options }))
        const back = Effect.runSync(changesOf({ left: right, right: left, options }))
        assert.deepStrictEqual(there, back.map(turned))
      })
    )
  })
})

describe("sharedBytes", () => {
  it("counts up to the first chunk that differs, and no further than the range", () => {
    const chunks = new MemoryChunks()
    const left = chunks.store(Buffer.from("aaaabbbbcccc"), 4)
    const right = chunks.store(Buffer.from("aaaabbbbdddd"), 4)
    const place = (index: typeof left, offset: number) => ({ index, offset })
    assert.strictEqual(sharedBytes(place(left, 0), place(right, 0), 12), 8)
    assert.strictEqual(sharedBytes(place(left, 2), place(right, 2), 10), 6)
    assert.strictEqual(sharedBytes(place(left, 1), place(right, 1), 2), 2)
    assert.strictEqual(sharedBytes(place(left, 0), place(right, 1), 4), 0)
    assert.strictEqual(sharedBytes(place(left, 0), place(right, 0), 0), 0)
  })
})
