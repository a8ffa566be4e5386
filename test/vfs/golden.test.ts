/** Trees and archives as the tree shows them, compared with what they were made from, attribute by attribute. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CryptConfig } from "../../src/format/CryptConfig.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as VfsLayer from "../../src/vfs/VfsLayer.ts"
import * as backups from "../backup/stores.ts"
import * as everyKind from "../e2e/everyKind.ts"
import { copyFixtureStore, fixedKey, fixturesExist, removeStore, withStore } from "../restore/browseStore.ts"
import { referenceLines } from "../restore/referenceLines.ts"
import {
  backUp,
  describeFolder,
  describeTree,
  type Described,
  find,
  inMemoryStore,
  pathOf,
  readAll
} from "./trees.ts"

const key = backups.keyOf(7)

const ways: ReadonlyArray<{
  readonly title: string
  readonly changeDetection: "legacy" | "data"
  readonly crypt?: CryptConfig
}> = [
  { title: "version 1", changeDetection: "legacy" },
  { title: "version 2", changeDetection: "data" },
  { title: "version 1, encrypted", changeDetection: "legacy", crypt: key },
  { title: "version 2, encrypted", changeDetection: "data", crypt: key }
]

describe("a file of every kind", () => {
  const folder = mkdtempSync(join(tmpdir(), "granary-vfs-"))
  const source = join(folder, "source")
  let expected: ReadonlyArray<Described> = []
  beforeAll(() => {
    everyKind.make(source)
    expected = describeFolder(source)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  for (const { changeDetection, crypt, title } of ways) {
    it.live(`looks as it was, ${title}`, () =>
      Effect.gen(function* () {
        const keyed = crypt === undefined ? {} : { crypt }
        yield* inMemoryStore(() =>
          Effect.gen(function* () {
            const mode = crypt === undefined ? {} : { key: { crypt, mode: "encrypt" as const } }
            const snapshot = yield* backUp(source, { changeDetection, ...mode })
            const root = { snapshot, archive: "root.pxar" }
            const withoutKey = yield* Effect.exit(VfsLayer.make({ root }))
            assert.strictEqual(Exit.isFailure(withoutKey), crypt !== undefined)
            const vfs = yield* VfsLayer.make(keyed)
            const top = yield* find(vfs, `${pathOf(snapshot)}/root.pxar`)
            assert.deepStrictEqual(yield* describeTree(vfs, top), expected)
            assert.isAbove(expected.filter(({ linkCount }) => linkCount === 3).length, 2)
            // Once more, from what is kept.
            assert.deepStrictEqual(yield* describeTree(vfs, top), expected)
          })
        )
      })
    )
  }

  it.live("is the same from a directory in the archive on", () =>
    Effect.gen(function* () {
      yield* inMemoryStore(() =>
        Effect.gen(function* () {
          const snapshot = yield* backUp(source, { changeDetection: "data" })
          const root = { snapshot, archive: "root.pxar", path: Buffer.from("/deep//level-0") }
          const vfs = yield* VfsLayer.make({ root })
          assert.deepStrictEqual(
            yield* describeTree(vfs, vfs.root),
            describeFolder(join(source, "deep/level-0"))
          )
          const inner = yield* find(vfs, "level-1")
          assert.strictEqual(vfs.root.inode, 1n)
          assert.strictEqual((yield* vfs.attributes(1n)).inode, 1n)
          assert.strictEqual(yield* vfs.parent(inner.inode), 1n)
          assert.strictEqual(yield* vfs.parent(1n), 1n)
        })
      )
    })
  )

  it.live("belongs to whom it is told to", () =>
    Effect.gen(function* () {
      yield* inMemoryStore(() =>
        Effect.gen(function* () {
          const snapshot = yield* backUp(source, { changeDetection: "data" })
          const owners = function* (options: VfsLayer.VfsOptions) {
            const vfs = yield* VfsLayer.make(options)
            const all = yield* describeTree(vfs, vfs.root)
            assert.isAbove(all.length, expected.length)
            return [...new Set(all.map(({ owner }) => owner))]
          }
          const of = (options: VfsLayer.VfsOptions) =>
            Effect.scoped(Effect.gen(() => owners({ root: { snapshot }, ...options })))
          assert.deepStrictEqual(yield* of({ ownerRoot: true }), ["0:0"])
          assert.deepStrictEqual(yield* of({ uid: 12, gid: 34 }), ["12:34"])
          assert.isAbove((yield* of({})).length, 1)
        })
      )
    })
  )
})

const archives = [
  { snapshot: "host/v1-plain/2024-01-01T00:00:00Z", lines: "tree.v1", withKey: false },
  { snapshot: "host/v2-plain/2024-01-01T00:00:00Z", lines: "tree.v2", withKey: false },
  { snapshot: "ct/100/2024-02-29T12:34:56Z", lines: "tiny-mix.v1", withKey: true },
  { snapshot: "ct/101/2024-02-29T12:34:56Z", lines: "tiny-mix.v2", withKey: true },
  { snapshot: "ct/102/2024-02-29T12:34:56Z", lines: "tiny-mix.v1", withKey: false }
]

describe.skipIf(!fixturesExist)("the reference implementation's datastore", () => {
  let folder = ""
  beforeAll(() => {
    if (fixturesExist) folder = copyFixtureStore()
  })
  afterAll(() => removeStore(folder))

  for (const { lines, snapshot, withKey } of archives) {
    it.live(`shows ${snapshot} as the reference decodes it`, () =>
      Effect.gen(function* () {
        const vfs = yield* VfsLayer.make(withKey ? { crypt: fixedKey() } : {})
        const top = yield* find(vfs, `${snapshot}/root.pxar`)
        const found = new Map((yield* describeTree(vfs, top)).map((each) => [each.path, each]))
        const reference = referenceLines(lines)
        assert.strictEqual(found.size, reference.length)
        let links = 0
        for (const line of reference) {
          const path = Buffer.from(line.path_hex, "hex").toString("latin1").replace(/^\/$/, "")
          const shown = found.get(path)
          if (shown === undefined) return assert.fail(`${path} is missing`)
          if (line.kind.startsWith("Hardlink")) {
            links++
            assert.isAtLeast(shown.linkCount, 2, path)
            assert.notStrictEqual(shown.firstName, path)
            continue
          }
          assert.deepStrictEqual(
            [shown.mode, shown.owner, shown.time],
            [
              line.mode,
              `${line.uid}:${line.gid}`,
              `${BigInt(line.mtime[0]) * 1_000_000_000n + BigInt(line.mtime[1])}`
            ],
            path
          )
          const capability = line.fcaps === null ? [] : [`security.capability=${line.fcaps}`]
          const stored = [...line.xattrs.map(([name, value]) => `${name}=${value}`), ...capability]
          assert.includeMembers([...shown.xattrs], stored, path)
          if (line.content_sha256 !== undefined) assert.strictEqual(shown.content, line.content_sha256, path)
          if (line.content_size !== undefined) assert.strictEqual(shown.sizeBytes, line.content_size, path)
        }
        assert.isAbove(links, 0)
      }).pipe(withStore(folder))
    )
  }

  it.live("shows images, blobs, the catalog and the manifest as files", () =>
    Effect.gen(function* () {
      const vfs = yield* VfsLayer.make({ crypt: fixedKey() })
      const { entries } = yield* vfs.list((yield* find(vfs, "ct/100/2024-02-29T12:34:56Z")).inode)
      assert.deepStrictEqual(
        entries.map(({ attributes, name }) => [Buffer.from(name).toString(), attributes.kind]),
        [
          ["catalog.pcat1", "file"],
          ["fw.conf", "file"],
          ["pct.conf", "file"],
          ["root.pxar", "directory"],
          ["index.json", "file"]
        ]
      )
      for (const { attributes } of entries.filter((entry) => entry.attributes.kind === "file")) {
        assert.strictEqual((yield* readAll(vfs, attributes)).length, attributes.sizeBytes)
      }
      const manifest = yield* find(vfs, "ct/100/2024-02-29T12:34:56Z/index.json")
      const parsed: unknown = JSON.parse(Buffer.from(yield* readAll(vfs, manifest)).toString())
      assert.deepInclude(parsed, { "backup-type": "ct", "backup-id": "100" })
      const image = yield* find(vfs, "vm/200/2024-03-01T00:00:00Z/drive-scsi0.img")
      const content = yield* readAll(vfs, image)
      assert.strictEqual(content.length, image.sizeBytes)
      const behind = yield* vfs.read(image.inode, image.sizeBytes - 5, 100)
      assert.deepStrictEqual([...behind], [...content.subarray(-5)])
    }).pipe(withStore(folder))
  )

  it.live("shows namespaces as its own folders are", () =>
    Effect.gen(function* () {
      const vfs = yield* VfsLayer.make()
      const names = (path: string) =>
        Effect.gen(function* () {
          const { entries } = yield* vfs.list((yield* find(vfs, path)).inode)
          return entries.map(({ name }) => Buffer.from(name).toString())
        })
      assert.deepStrictEqual(yield* names(""), ["ns", "ct", "host", "vm"])
      assert.deepStrictEqual(yield* names("ns/team/ns/dev/vm/201"), ["2024-03-01T00:00:00Z", "latest"])
      const root = { namespace: Namespace.parse("team/dev") }
      const inside = yield* VfsLayer.make({ root })
      const image = yield* find(inside, "vm/201/2024-03-01T00:00:00Z/drive-scsi0.img")
      assert.strictEqual(image.mtimeSeconds, Snapshot.parse("vm/201/2024-03-01T00:00:00Z").time)
    }).pipe(withStore(folder))
  )
})
