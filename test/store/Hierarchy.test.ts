/** Hierarchy: what is listed and what is passed over, owners, protection, making and removing. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { dirname, join } from "node:path"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as Hierarchy from "../../src/store/Hierarchy.ts"
import type { StorageError } from "../../src/store/StorageError.ts"
import type { StoreError } from "../../src/store/StoreError.ts"
import { listing } from "../platform/scratch.ts"
import type { Operation } from "./HookedFiles.ts"
import { hookedPlatform, newLayout, platform } from "./stores.ts"

const root = Namespace.root
const vm = BackupGroup.parse("vm/100")
const alice = AuthId.parse("alice@pbs!laptop")
const snapshot = Snapshot.parse("vm/100/2024-01-01T00:00:00Z")

type Service = Hierarchy.Hierarchy["Service"]

const inStore = (
  title: string,
  test: (hierarchy: Service, base: string) => Effect.Effect<void, unknown>
): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      const layout = yield* newLayout()
      yield* test(yield* Hierarchy.make(layout), layout.base)
    }).pipe(Effect.provide(platform))
  )

const reasonOf = <A>(effect: Effect.Effect<A, StorageError | StoreError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const put = (base: string, path: string, content = ""): void => {
  fs.mkdirSync(dirname(join(base, path)), { recursive: true })
  fs.writeFileSync(join(base, path), content)
}

const putFolders = (base: string, ...paths: ReadonlyArray<string>): void =>
  paths.forEach((path) => fs.mkdirSync(join(base, path), { recursive: true }))

describe("Hierarchy namespaces", () => {
  inStore("an empty store has the root only", (hierarchy) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* hierarchy.namespaces(root), [root])
      assert.deepStrictEqual(yield* hierarchy.groups(root), [])
    })
  )

  inStore("are made with those around them, listed parents first, to a depth", (hierarchy, base) =>
    Effect.gen(function* () {
      yield* hierarchy.createNamespace(Namespace.parse("team/dev/x"))
      yield* hierarchy.createNamespace(Namespace.parse("team/dev"))
      yield* hierarchy.createNamespace(Namespace.parse("b"))
      yield* hierarchy.createNamespace(root)
      assert.isTrue(fs.existsSync(join(base, "ns/team/ns/dev/ns/x")))
      const list = (start: Namespace.Namespace, depthMax?: number) => hierarchy.namespaces(start, depthMax)
      assert.deepStrictEqual<ReadonlyArray<string>>(yield* list(root), [
        "",
        "b",
        "team",
        "team/dev",
        "team/dev/x"
      ])
      assert.deepStrictEqual<ReadonlyArray<string>>(yield* list(root, 0), [""])
      assert.deepStrictEqual<ReadonlyArray<string>>(yield* list(root, 1), ["", "b", "team"])
      const team = Namespace.parse("team")
      assert.deepStrictEqual<ReadonlyArray<string>>(yield* list(team, 1), ["team", "team/dev"])
      assert.strictEqual(yield* reasonOf(list(Namespace.parse("nowhere"))), "NoSuchNamespace")
      assert.strictEqual(yield* reasonOf(hierarchy.groups(Namespace.parse("nowhere"))), "NoSuchNamespace")
    })
  )

  inStore("seven levels are listed, an eighth on the disk is not", (hierarchy, base) =>
    Effect.gen(function* () {
      const deepest = Namespace.parse("1/2/3/4/5/6/7")
      yield* hierarchy.createNamespace(deepest)
      putFolders(base, `${Namespace.toPath(deepest)}/ns/8`)
      assert.strictEqual((yield* hierarchy.namespaces(root)).at(-1), deepest)
      assert.strictEqual((yield* hierarchy.namespaces(root)).length, 8)
    })
  )

  inStore("names that break the rules and files are passed over", (hierarchy, base) =>
    Effect.gen(function* () {
      putFolders(base, "ns/good", "ns/bad name", "ns/.hidden", "ns/-dash")
      put(base, "ns/file")
      put(base, "ns/good/ns")
      fs.symlinkSync(join(base, "ns/good"), join(base, "ns/link"))
      assert.deepStrictEqual<ReadonlyArray<string>>(yield* hierarchy.namespaces(root), ["", "good"])
    })
  )
})

describe("Hierarchy groups and snapshots", () => {
  inStore("groups are sorted by type, then numbers, then texts", (hierarchy, base) =>
    Effect.gen(function* () {
      const names = ["vm/10", "vm/9", "vm/abc", "host/b", "host/a", "ct/2", "ct/010"]
      putFolders(base, ...names)
      assert.deepStrictEqual((yield* hierarchy.groups(root)).map(BackupGroup.format), [
        "ct/2",
        "ct/010",
        "host/a",
        "host/b",
        "vm/9",
        "vm/10",
        "vm/abc"
      ])
    })
  )

  inStore("what is no group is passed over", (hierarchy, base) =>
    Effect.gen(function* () {
      putFolders(base, "vm/ok", "vm/not ok", "vm/.hidden", "lxc/1", "backup/vm/1")
      put(base, "vm/file")
      put(base, "host")
      fs.symlinkSync(join(base, "vm/ok"), join(base, "vm/link"))
      assert.deepStrictEqual((yield* hierarchy.groups(root)).map(BackupGroup.format), ["vm/ok"])
    })
  )

  inStore("snapshots are listed newest first, what is none is passed over", (hierarchy, base) =>
    Effect.gen(function* () {
      const times = ["2024-01-01T00:00:00Z", "2023-12-31T23:59:59Z", "2024-02-29T00:00:00Z"]
      putFolders(
        base,
        ...times.map((time) => `vm/100/${time}`),
        "vm/100/2023-02-29T00:00:00Z",
        "vm/100/other"
      )
      put(base, "vm/100/2025-01-01T00:00:00Z")
      put(base, "vm/100/owner", "root@pam\n")
      const found = yield* hierarchy.snapshots(root, vm)
      assert.deepStrictEqual(
        found.map((entry) => entry.snapshot.directory),
        times.toSorted().toReversed()
      )
      assert.strictEqual(
        yield* reasonOf(hierarchy.snapshots(root, BackupGroup.parse("vm/101"))),
        "NoSuchGroup"
      )
    })
  )

  inStore("the finished ones are those with a manifest", (hierarchy, base) =>
    Effect.gen(function* () {
      const days = Array.from({ length: 200 }, (_, day) => 1_600_000_000 + day * 86_400)
      const folders = days.map((time) => `vm/100/${Snapshot.make(vm, time).directory}`)
      putFolders(base, ...folders, `${folders[3]}/index.json.blob`, "vm/100/other")
      const finished = folders.filter((_, day) => day % 3 !== 0)
      for (const folder of finished) put(base, `${folder}/index.json.blob`)
      put(base, "vm/100/other/index.json.blob")
      const found = yield* hierarchy.finishedSnapshots(root, vm)
      assert.deepStrictEqual(
        found.map(({ directory }) => `vm/100/${directory}`),
        finished.toReversed()
      )
      const missing = hierarchy.finishedSnapshots(root, BackupGroup.parse("vm/101"))
      assert.strictEqual(yield* reasonOf(missing), "NoSuchGroup")
    })
  )

  inStore("an entry tells what is in the folder", (hierarchy, base) =>
    Effect.gen(function* () {
      const folder = `vm/100/${snapshot.directory}`
      putFolders(base, folder, `${folder}/folder.blob`)
      const entry = hierarchy.entry(root, snapshot)
      assert.deepStrictEqual(yield* entry, { snapshot, finished: false, protected: false, files: [] })
      const names = ["index.json.blob", "b.img.fidx", "a.pxar.didx", "client.log.blob"]
      for (const name of names) put(base, `${folder}/${name}`)
      for (const name of ["a.pxar.tmp_didx", "index.json.tmp_abcdef", "notes"]) put(base, `${folder}/${name}`)
      yield* hierarchy.setProtected(root, snapshot, true)
      const files = names.toSorted()
      assert.deepStrictEqual(yield* entry, { snapshot, finished: true, protected: true, files })
      assert.strictEqual(fs.statSync(join(base, folder, ".protected")).size, 0)
      yield* hierarchy.setProtected(root, snapshot, true)
      yield* hierarchy.setProtected(root, snapshot, false)
      yield* hierarchy.setProtected(root, snapshot, false)
      assert.isFalse((yield* entry).protected)
      const missing = Snapshot.parse("vm/100/2030-01-01T00:00:00Z")
      assert.strictEqual(yield* reasonOf(hierarchy.entry(root, missing)), "NoSuchSnapshot")
    })
  )

  it.live("a snapshot that vanishes during the listing is not listed", () => {
    const before = (operation: Operation, path: string) =>
      Effect.sync(() => {
        if (operation === "readDirectory" && path.endsWith("2024-01-01T00:00:00Z")) {
          fs.rmSync(path, { recursive: true })
        }
      })
    return Effect.gen(function* () {
      const layout = yield* newLayout()
      putFolders(layout.base, "vm/100/2024-01-01T00:00:00Z", "vm/100/2024-01-02T00:00:00Z")
      const hierarchy = yield* Hierarchy.make(layout)
      const found = yield* hierarchy.snapshots(root, vm)
      assert.deepStrictEqual(
        found.map((entry) => entry.snapshot.directory),
        ["2024-01-02T00:00:00Z"]
      )
    }).pipe(Effect.provide(hookedPlatform({ before })))
  })
})

describe("Hierarchy owners", () => {
  inStore("an owner file that a crash left empty is written again", (hierarchy, base) =>
    Effect.gen(function* () {
      putFolders(base, "vm/100")
      fs.writeFileSync(join(base, "vm/100/owner"), "")
      assert.strictEqual(yield* hierarchy.ensureGroup(root, vm, alice), alice)
      assert.strictEqual(fs.readFileSync(join(base, "vm/100/owner"), "utf8"), "alice@pbs!laptop\n")
    })
  )

  inStore("a group is made with its owner, which stays", (hierarchy, base) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* hierarchy.ensureGroup(root, vm, alice), alice)
      assert.strictEqual(fs.readFileSync(join(base, "vm/100/owner"), "utf8"), "alice@pbs!laptop\n")
      assert.strictEqual(yield* hierarchy.ensureGroup(root, vm, AuthId.parse("root@pam")), alice)
      assert.strictEqual(yield* hierarchy.owner(root, vm), alice)
      const nowhere = Namespace.parse("nowhere")
      assert.strictEqual(yield* reasonOf(hierarchy.ensureGroup(nowhere, vm, alice)), "NoSuchNamespace")
    })
  )

  inStore("the first line counts, without blanks at its end", (hierarchy, base) =>
    Effect.gen(function* () {
      for (const content of ["root@pam", "root@pam\n", "root@pam \t\r\n", "root@pam\nother@pam\n"]) {
        put(base, "vm/100/owner", content)
        assert.strictEqual(yield* hierarchy.owner(root, vm), "root@pam")
      }
      for (const content of ["", "\nroot@pam\n", " root@pam", "root", "a:b@pam\n"]) {
        put(base, "vm/100/owner", content)
        assert.strictEqual(yield* reasonOf(hierarchy.owner(root, vm)), "Damaged", JSON.stringify(content))
      }
      put(base, "vm/100/owner", "x".repeat(65 * 1024))
      assert.strictEqual(yield* reasonOf(hierarchy.owner(root, vm)), "TooLarge")
    })
  )

  inStore("a group that is missing and one without owner are told apart", (hierarchy, base) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(hierarchy.owner(root, vm)), "NoSuchGroup")
      putFolders(base, "vm/100")
      assert.strictEqual(yield* reasonOf(hierarchy.owner(root, vm)), "Damaged")
      assert.strictEqual(yield* hierarchy.ensureGroup(root, vm, alice), alice)
    })
  )
})

describe("Hierarchy making and removing", () => {
  inStore("a snapshot is made once", (hierarchy) =>
    Effect.gen(function* () {
      yield* hierarchy.ensureGroup(root, vm, alice)
      yield* hierarchy.createSnapshot(root, snapshot)
      assert.strictEqual(yield* reasonOf(hierarchy.createSnapshot(root, snapshot)), "SnapshotExists")
    })
  )

  inStore("a group is removed with its owner and notes when it is empty, and only then", (hierarchy, base) =>
    Effect.gen(function* () {
      const namespace = Namespace.parse("team")
      yield* hierarchy.createNamespace(namespace)
      yield* hierarchy.ensureGroup(namespace, vm, alice)
      put(base, "ns/team/vm/100/notes", "text")
      yield* hierarchy.createSnapshot(namespace, snapshot)
      assert.isFalse(yield* hierarchy.removeGroupIfEmpty(namespace, vm))
      assert.strictEqual(yield* hierarchy.owner(namespace, vm), alice)
      yield* hierarchy.removeSnapshot(namespace, snapshot)
      assert.isTrue(yield* hierarchy.removeGroupIfEmpty(namespace, vm))
      assert.isTrue(yield* hierarchy.removeGroupIfEmpty(namespace, vm))
      assert.deepStrictEqual(
        listing(base).filter((name) => name.startsWith("ns")),
        ["ns/", "ns/team/", "ns/team/vm/"]
      )
    })
  )
})
