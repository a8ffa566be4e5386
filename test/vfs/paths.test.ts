/** The tree by paths: links followed and not, files as streams, walks; in Effect and out of it. */
import { mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Vfs } from "../../src/vfs/Vfs.ts"
import type { VfsError } from "../../src/vfs/VfsError.ts"
import * as VfsLayer from "../../src/vfs/VfsLayer.ts"
import * as VfsPaths from "../../src/vfs/VfsPaths.ts"
import * as backups from "../backup/stores.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { inMemoryStore, pathOf } from "./trees.ts"

const large = backups.noise("large", 3_500_000)

const makeTree = (root: string): void => {
  backups.writeAt(join(root, "a/b/file"), "hello", 1)
  backups.writeAt(join(root, "large"), large, 1)
  mkdirSync(join(root, "empty"))
  const links = {
    "to-file": "a/b/file",
    "to-folder": "a/b",
    "a/up": "../large",
    absolute: "/a/b",
    outside: "../../../../a/b/file",
    around: "round",
    round: "around",
    dangling: "nowhere"
  }
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(root, name))
  symlinkSync(Buffer.from([0xff, 0x2f, 0x78]), join(root, "raw"))
}

/** Runs over a tree that begins at an archive. */
const inTree = <A, E, R>(use: Effect.Effect<A, E, R | Vfs>) =>
  Effect.gen(function* () {
    const source = yield* scratchFolder
    makeTree(source)
    return yield* inMemoryStore(() =>
      Effect.gen(function* () {
        const { summary } = yield* backups.backUp(source, { changeDetection: "data" })
        const root = { snapshot: summary.snapshot, archive: "root.pxar" }
        return yield* Effect.provide(use, VfsLayer.layer({ root }))
      })
    )
  })

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

const content = (path: VfsPaths.VfsPath, options?: VfsPaths.ReadOptions) =>
  Effect.map(Stream.runCollect(VfsPaths.createReadStream(path, options)), (pieces) => Buffer.concat(pieces))

describe("paths", () => {
  it.live("lead to what they name, over links if that is wanted, and never out of the tree", () =>
    inTree(
      Effect.gen(function* () {
        const { inode } = yield* VfsPaths.stat("a/b/file")
        for (const path of [
          "/a//b/./file",
          "to-file",
          "to-folder/file",
          "absolute/file",
          "a/../to-folder/file",
          "outside",
          "../../a/b/file",
          Buffer.from("a/b/file")
        ]) {
          assert.strictEqual((yield* VfsPaths.stat(path)).inode, inode, String(path))
        }
        assert.strictEqual((yield* VfsPaths.stat("to-file", { follow: false })).kind, "symlink")
        assert.strictEqual((yield* VfsPaths.stat("to-folder/", { follow: false })).kind, "symlink")
        assert.strictEqual((yield* VfsPaths.stat("")).inode, 1n)
        assert.strictEqual((yield* VfsPaths.stat("a/up")).sizeBytes, large.length)
        assert.strictEqual(text(yield* VfsPaths.readlink("absolute")), "/a/b")
        assert.deepStrictEqual([...(yield* VfsPaths.readlink("raw"))], [0xff, 0x2f, 0x78])
        const reasons = yield* Effect.forEach(
          [
            VfsPaths.stat("around"),
            VfsPaths.stat("dangling"),
            VfsPaths.stat("a/b/file/x"),
            VfsPaths.readlink("a"),
            VfsPaths.readdir("large")
          ],
          (effect: Effect.Effect<unknown, VfsError, Vfs>) =>
            Effect.map(Effect.flip(effect), ({ reason }) => reason)
        )
        assert.deepStrictEqual(reasons, [
          "WrongKind",
          "NotFound",
          "NotADirectory",
          "WrongKind",
          "NotADirectory"
        ])
      })
    )
  )

  it.live("are read whole, in part, and not at all where there is no content", () =>
    inTree(
      Effect.gen(function* () {
        assert.isTrue(large.equals(yield* content("large")))
        assert.isTrue(
          large
            .subarray(1_000_000, 3_000_000)
            .equals(yield* content("a/up", { start: 1_000_000, end: 3_000_000 }))
        )
        assert.strictEqual((yield* content("large", { start: 9_000_000 })).length, 0)
        assert.strictEqual((yield* Effect.flip(content("a"))).reason, "IsADirectory")
        const pieces = yield* Stream.runCollect(Stream.take(VfsPaths.createReadStream("large"), 1))
        // What was handed out is the reader's own.
        pieces[0]?.fill(0)
        assert.isTrue(large.equals(yield* content("large")))
      })
    )
  )

  it.live("are walked, a directory before what is in it", () =>
    inTree(
      Effect.gen(function* () {
        const walked = yield* Stream.runCollect(VfsPaths.walk("/a"))
        assert.deepStrictEqual(
          walked.map(({ path }) => text(path)),
          ["", "b", "b/file", "up"]
        )
        assert.strictEqual((yield* Stream.runCollect(VfsPaths.walk("a/b/file"))).length, 1)
        const whole = yield* Stream.runCollect(VfsPaths.walk())
        const names = (yield* VfsPaths.readdir("/")).map(({ name }) => Buffer.from(name).toString("latin1"))
        assert.strictEqual(whole.length, 4 + names.length)
        assert.include(names, "raw")
        const attributes = yield* VfsPaths.xattrs("a/b/file")
        assert.strictEqual(attributes.size, 0)
      })
    )
  )

  it.live("are read by what knows nothing of effects, until it has enough", () =>
    inTree(
      Effect.gen(function* () {
        const vfs = yield* Vfs
        yield* Effect.promise(async () => {
          const pieces: Array<Uint8Array> = []
          for await (const piece of VfsPaths.iterate(vfs, "large")) pieces.push(piece)
          assert.isTrue(large.equals(Buffer.concat(pieces)))
          const read = await VfsPaths.readable(vfs, "a/b/file", { start: 1 }).toArray()
          assert.strictEqual(text(Buffer.concat(read)), "ello")
          const controller = new AbortController()
          const reason = new Error("enough")
          let count = 0
          const reading = (async () => {
            for await (const piece of VfsPaths.iterate(vfs, "large", { signal: controller.signal })) {
              count += piece.length
              controller.abort(reason)
            }
          })()
          await reading.then(
            () => assert.fail("it went on"),
            (error: unknown) => assert.strictEqual(error, reason)
          )
          assert.isBelow(count, large.length)
          const missing = VfsPaths.readable(vfs, "nowhere").toArray()
          await missing.then(
            () => assert.fail("it was there"),
            (error: { reason: string }) => assert.strictEqual(error.reason, "NotFound")
          )
        })
      })
    )
  )

  it.live("go through the whole store", () =>
    Effect.gen(function* () {
      const source = yield* scratchFolder
      makeTree(source)
      yield* inMemoryStore(() =>
        Effect.gen(function* () {
          const { summary } = yield* backups.backUp(source, { changeDetection: "legacy" })
          yield* Effect.gen(function* () {
            assert.strictEqual(text(yield* content("host/test/latest/root.pxar/to-file")), "hello")
            const { inode } = yield* VfsPaths.stat("host/test/latest")
            assert.strictEqual(inode, (yield* VfsPaths.stat(pathOf(summary.snapshot))).inode)
          }).pipe(Effect.provide(VfsLayer.layer()))
        })
      )
    })
  )
})
