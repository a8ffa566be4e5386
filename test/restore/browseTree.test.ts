import { createHash } from "node:crypto"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ArchiveTree from "../../src/restore/ArchiveTree.ts"
import { copyFixtureStore, fixturesExist, openSnapshot, removeStore, withStore } from "./browseStore.ts"
import { type ReferenceLine, referenceLines } from "./referenceLines.ts"

const pathOf = (line: ReferenceLine): string => Buffer.from(line.path_hex, "hex").subarray(1).toString("hex")

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const bytesOf = (text: string): Uint8Array => Buffer.from(text)

const digestOf = (tree: ArchiveTree.ArchiveTree, node: ArchiveTree.TreeNode) =>
  Stream.runFold(
    tree.read(node),
    () => createHash("sha256"),
    (hash, piece) => hash.update(piece)
  ).pipe(Effect.map((hash) => hash.digest("hex")))

/** Snapshots of the sample trees, and the reference's view of each. */
const archives = [
  { snapshot: "host/v1-plain/2024-01-01T00:00:00Z", lines: "tree.v1", withKey: false, version: 1 },
  { snapshot: "host/v2-plain/2024-01-01T00:00:00Z", lines: "tree.v2", withKey: false, version: 2 },
  { snapshot: "ct/100/2024-02-29T12:34:56Z", lines: "tiny-mix.v1", withKey: true, version: 1 },
  { snapshot: "ct/101/2024-02-29T12:34:56Z", lines: "tiny-mix.v2", withKey: true, version: 2 },
  { snapshot: "ct/102/2024-02-29T12:34:56Z", lines: "tiny-mix.v1", withKey: false, version: 1 }
]

describe.skipIf(!fixturesExist)("ArchiveTree over the reference datastore", () => {
  let folder = ""
  beforeAll(() => {
    if (fixturesExist) folder = copyFixtureStore()
  })
  afterAll(() => removeStore(folder))

  const openTree = (snapshot: string, withKey = false, name = "root.pxar") =>
    Effect.flatMap(openSnapshot(snapshot, { withKey }), (reader) => ArchiveTree.open(reader, name))

  for (const { snapshot, lines, withKey, version } of archives) {
    it.live(`walks ${snapshot} in archive order`, () =>
      Effect.gen(function* () {
        const tree = yield* openTree(snapshot, withKey)
        const expected = referenceLines(lines)
        const nodes = yield* Stream.runCollect(tree.walk())
        assert.strictEqual(tree.version, version)
        assert.deepStrictEqual(
          nodes.map((node) => hex(node.path)),
          expected.map(pathOf)
        )
        for (const [at, node] of nodes.entries()) {
          const line = expected[at]
          if (node.entry.kind === "hardlink" || line === undefined) continue
          const { mode, uid, mtimeSeconds, mtimeNanos } = node.entry.metadata
          assert.deepStrictEqual(
            [mode.toString(8), uid, mtimeSeconds, mtimeNanos],
            [line.mode, line.uid, ...line.mtime]
          )
        }
      }).pipe(withStore(folder))
    )

    it.live(`looks up and reads everything in ${snapshot}`, () =>
      Effect.gen(function* () {
        const tree = yield* openTree(snapshot, withKey)
        for (const line of referenceLines(lines)) {
          const node = yield* tree.lookup(Buffer.from(line.path_hex, "hex"))
          assert.strictEqual(hex(node.path), pathOf(line))
          if (line.content_sha256 !== undefined && node.entry.kind === "file") {
            assert.strictEqual(yield* digestOf(tree, node), line.content_sha256)
          }
        }
      }).pipe(withStore(folder))
    )
  }

  it.live("resolves hard links to the file they name", () =>
    Effect.gen(function* () {
      const tree = yield* openTree("ct/101/2024-02-29T12:34:56Z", true)
      const link = yield* tree.lookup(bytesOf("/z-hard"))
      assert.strictEqual(link.entry.kind, "hardlink")
      assert.strictEqual((yield* tree.resolve(link)).kind, "file")
      const pieces = yield* Stream.runCollect(tree.read(link))
      assert.strictEqual(Buffer.concat(pieces).toString(), "data")
    }).pipe(withStore(folder))
  )

  it.live("finds a split archive by the name of either part, and lists a directory", () =>
    Effect.gen(function* () {
      for (const name of ["root.pxar", "root.mpxar", "root.ppxar", "root.mpxar.didx"]) {
        const tree = yield* openTree("host/v2-plain/2024-01-01T00:00:00Z", false, name)
        const names = (yield* tree.list(bytesOf("/acl"))).map((node) => Buffer.from(node.name).toString())
        assert.deepStrictEqual(names, ["defonly", "dir", "file"])
      }
    }).pipe(withStore(folder))
  )

  it.live("walks a subtree only, and a file as itself", () =>
    Effect.gen(function* () {
      const tree = yield* openTree("host/v1-plain/2024-01-01T00:00:00Z")
      const walked = yield* Stream.runCollect(tree.walk(bytesOf("acl//./")))
      assert.deepStrictEqual(
        walked.map(({ path }) => Buffer.from(path).toString()),
        ["acl", "acl/defonly", "acl/dir", "acl/file"]
      )
      assert.strictEqual((yield* Stream.runCollect(tree.walk(bytesOf("acl/file")))).length, 1)
    }).pipe(withStore(folder))
  )

  it.live("tells what is wrong with a path, an archive, a missing key", () =>
    Effect.gen(function* () {
      const tree = yield* openTree("host/v1-plain/2024-01-01T00:00:00Z")
      const reasonOf = (path: string) =>
        Effect.map(Effect.flip(tree.list(bytesOf(path))), (error) =>
          "reason" in error ? error.reason : error
        )
      assert.strictEqual(yield* reasonOf("/acl/none"), "NoSuchPath")
      assert.strictEqual(yield* reasonOf("/acl/file/below"), "NotADirectory")
      assert.strictEqual(yield* reasonOf("/acl/file"), "NotADirectory")
      assert.strictEqual(yield* reasonOf("/acl/.."), "NoSuchPath")
      const directory = yield* Effect.flip(Stream.runDrain(tree.read(tree.root)))
      assert.include(directory.message, "not a regular file")
      const archive = yield* Effect.flip(openTree("host/v1-plain/2024-01-01T00:00:00Z", false, "home.pxar"))
      assert.include(archive.message, "it has root.pxar")
      const encrypted = yield* Effect.flip(openTree("ct/100/2024-02-29T12:34:56Z"))
      assert.include(encrypted.message, "encrypted")
    }).pipe(withStore(folder))
  )
})
