import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { Encoder } from "../../src/format/pxar/Encoder.ts"
import { makeFileMetadata, MODE_TYPE } from "../../src/model/FileMetadata.ts"
import * as ArchiveTree from "../../src/restore/ArchiveTree.ts"
import * as Diff from "../../src/restore/browse/Diff.ts"
import { type Entries, encodeArchive, MemoryChunks, memoryReader } from "./browseMemory.ts"

const entries: Entries = {
  a: {
    kind: "file",
    content: "some content",
    xattrs: [{ name: Buffer.from("user.x"), value: Buffer.from("1") }]
  },
  d: {
    kind: "directory",
    entries: { e: { kind: "directory", entries: { f: { kind: "file", content: "more" } } } }
  },
  h: { kind: "hardlink", to: "a" },
  s: { kind: "symlink", target: "a" }
}

/** Looks at everything there is: entries, where links lead, contents. */
const lookAtEverything = (archive: Uint8Array, payload: Uint8Array | undefined) =>
  Effect.gen(function* () {
    const files =
      payload === undefined
        ? { "root.pxar.didx": archive }
        : { "root.mpxar.didx": archive, "root.ppxar.didx": payload }
    const tree = yield* ArchiveTree.open(memoryReader(new MemoryChunks(), files), "root.pxar")
    return yield* Stream.runForEach(tree.walk(), (node) =>
      Effect.gen(function* () {
        const entry = yield* tree.resolve(node)
        if (entry.kind === "file") yield* Stream.runDrain(tree.read(node))
        yield* Effect.asVoid(tree.lookup(node.path))
      })
    )
  })

const nested = (levels: number): Uint8Array => {
  const directory = makeFileMetadata({ mode: MODE_TYPE.directory | 0o755 })
  const encoder = Encoder.startArchive(directory, { version: 1 })
  for (let level = 0; level < levels; level++) encoder.startDirectory(Buffer.from("d"), directory)
  for (let level = 0; level < levels; level++) encoder.finishDirectory()
  encoder.finishArchive()
  return encoder.takeArchiveBytes()
}

const openNested = (levels: number) =>
  ArchiveTree.open(
    memoryReader(new MemoryChunks(), { "root.pxar.didx": nested(levels) }, 65_536),
    "root.pxar"
  )

describe("crafted archives", () => {
  for (const version of [1, 2] as const) {
    it(`fail as damaged, version ${version}, whatever was changed in them`, { timeout: 120_000 }, () => {
      const sample = encodeArchive(entries, version)
      assert.isTrue(Exit.isSuccess(Effect.runSyncExit(lookAtEverything(sample.archive, sample.payload))))
      const edits = fc.array(fc.tuple(fc.nat(sample.archive.length - 1), fc.nat(255)), {
        minLength: 1,
        maxLength: 3
      })
      fc.assert(
        fc.property(edits, fc.boolean(), (changes, isPayload) => {
          const archive = sample.archive.slice()
          const payload = sample.payload?.slice()
          const target = isPayload && payload !== undefined ? payload : archive
          for (const [at, value] of changes) target[at % target.length] = value
          const exit = Effect.runSyncExit(lookAtEverything(archive, payload))
          if (Exit.isFailure(exit))
            assert.strictEqual(Cause.hasDies(exit.cause), false, Cause.pretty(exit.cause))
        }),
        { numRuns: 600 }
      )
    })
  }

  it.effect("are told as damaged, with the name of the archive", () =>
    Effect.gen(function* () {
      const { archive } = encodeArchive(entries)
      const error = yield* Effect.flip(lookAtEverything(archive.fill(0, 70, 80), undefined))
      assert.match(error.message, /^host\/memory\/2026-01-01T00:00:00Z root\.pxar: bad pxar archive/)
    })
  )

  it.effect("nest as deep as they like", () =>
    Effect.gen(function* () {
      const levels = 3000
      const tree = yield* openNested(levels)
      const last = yield* Stream.runLast(tree.walk())
      assert.strictEqual(last._tag === "Some" ? last.value.path.length : 0, 2 * levels - 1)
      const changes = yield* Stream.runCollect(Diff.diff(yield* openNested(levels - 1), tree))
      assert.deepStrictEqual(
        changes.map(({ change, path }) => [change, path.length]),
        [["added", 2 * levels - 1]]
      )
    })
  )
})
