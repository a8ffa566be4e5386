/** The tree above the archives: what there is of a store, how it changes, what is opened and locked for it. */
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as Backup from "../../src/backup/Backup.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { Files } from "../../src/platform/Files.ts"
import type { VfsError } from "../../src/vfs/VfsError.ts"
import * as VfsLayer from "../../src/vfs/VfsLayer.ts"
import * as backups from "../backup/stores.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { find, inMemoryStore, namesIn, pathOf, readAll } from "./trees.ts"

const { group, keyOf, owner } = backups

/** A backup of one small blob and nothing else. */
const backUpBlob = (time: number, options: Partial<Backup.BackupOptions> = {}) =>
  Effect.map(
    Backup.run({
      namespace: Namespace.root,
      group,
      owner,
      time,
      archives: [
        {
          kind: "blob",
          archive: ArchiveName.fromClient("a.conf"),
          content: Effect.succeed(Buffer.from(`time = ${time}`))
        }
      ],
      ...options
    }),
    ({ snapshot }) => snapshot
  )

const nameOf = (time: number): string => Snapshot.make(group, time).directory

const reasonOf = <A>(effect: Effect.Effect<A, VfsError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const [first, second, third] = [1_700_000_000, 1_700_003_600, 1_700_007_200] as const

describe("the list of snapshots", () => {
  it.effect("changes as the store does, a little later", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        yield* backUpBlob(first)
        const datastore = yield* Datastore.Datastore
        const vfs = yield* VfsLayer.make({ validSeconds: 5 })
        const top = "host/test"
        assert.deepStrictEqual(yield* namesIn(vfs, top), [nameOf(first), "latest"])
        yield* backUpBlob(second)
        assert.deepStrictEqual(yield* namesIn(vfs, top), [nameOf(first), "latest"])
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* namesIn(vfs, top), [nameOf(first), nameOf(second), "latest"])
        const old = yield* find(vfs, `${top}/${nameOf(first)}`)
        const parent = yield* vfs.parent(old.inode)
        yield* datastore.forget(Namespace.root, Snapshot.make(group, first))
        // One that was seen is looked for at once, whatever the list says.
        assert.strictEqual(yield* reasonOf(vfs.lookup(parent, Buffer.from(nameOf(first)))), "NotFound")
        assert.strictEqual(yield* reasonOf(vfs.attributes(old.inode)), "Gone")
        assert.strictEqual(yield* reasonOf(vfs.list(old.inode)), "Gone")
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* namesIn(vfs, top), [nameOf(second), "latest"])
      })
    )
  )

  it.effect("has finished ones only, and no latest where there are none", () =>
    inMemoryStore((base) =>
      Effect.gen(function* () {
        yield* backUpBlob(first)
        const files = yield* Files
        yield* files.makeDirectory(`${base}/host/test/${nameOf(second)}`)
        for (const folder of ["vm", "vm/9", `vm/9/${nameOf(second)}`])
          yield* files.makeDirectory(`${base}/${folder}`)
        yield* files.createFile(`${base}/vm/9/owner`, Buffer.from("root@pam\n"))
        const vfs = yield* VfsLayer.make()
        assert.deepStrictEqual(yield* namesIn(vfs, "host/test"), [nameOf(first), "latest"])
        assert.deepStrictEqual(yield* namesIn(vfs, "vm/9"), [])
        assert.strictEqual(yield* reasonOf(find(vfs, "vm/9/latest")), "NotFound")
        assert.strictEqual(yield* reasonOf(find(vfs, `host/test/${nameOf(second)}`)), "NotFound")
        const latest = yield* find(vfs, "host/test/latest")
        assert.strictEqual(latest.kind, "symlink")
        assert.strictEqual(Buffer.from(yield* vfs.readLink(latest.inode)).toString(), nameOf(first))
        assert.strictEqual(latest.sizeBytes, nameOf(first).length)
      })
    )
  )

  it.effect("of a store with 10,000 is read when it is asked for", () => {
    let looks = 0
    const count = Effect.sync(() => {
      const seen = looks
      looks = 0
      return seen
    })
    const point = (label: string) => Effect.sync(() => void (label.includes("readDirectory") && looks++))
    return inMemoryStore(
      (base) =>
        Effect.gen(function* () {
          const files = yield* Files
          yield* files.makeDirectory(`${base}/host`)
          for (let index = 0; index < 10_000; index++) {
            const folder = `${base}/host/g${index % 100}`
            if (index < 100) yield* files.makeDirectory(folder)
            yield* files.makeDirectory(`${folder}/${nameOf(first + index)}`)
            yield* files.createFile(
              `${folder}/${nameOf(first + index)}/${ArchiveName.manifestFile}`,
              Buffer.alloc(0)
            )
          }
          yield* count
          const vfs = yield* VfsLayer.make()
          assert.strictEqual(yield* count, 0, "opening")
          yield* vfs.list(vfs.root.inode)
          assert.isAtMost(yield* count, 4, "the top")
          assert.strictEqual((yield* namesIn(vfs, "host")).length, 100)
          assert.isAtMost(yield* count, 4, "the groups")
          assert.strictEqual((yield* namesIn(vfs, "host/g7")).length, 101)
          assert.strictEqual(yield* count, 1, "one group, and none of its snapshots")
          yield* namesIn(vfs, "host/g7")
          assert.strictEqual(yield* count, 0, "once more")
          yield* TestClock.adjust("1 minute")
          const { inode } = yield* find(vfs, "host/g7")
          yield* count
          yield* vfs.lookup(inode, Buffer.from(nameOf(first + 7)))
          assert.strictEqual(yield* count, 1, "one snapshot that is known")
        }),
      point
    )
  })

  it.effect("begins where it is told to", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        const namespace = Namespace.parse("team/dev")
        const datastore = yield* Datastore.Datastore
        yield* datastore.hierarchy.createNamespace(namespace)
        const snapshot = yield* backUpBlob(first, { namespace })
        yield* backUpBlob(second, { group: BackupGroup.make("vm", "1") })
        const top = (root: VfsLayer.VfsRoot) =>
          Effect.scoped(
            Effect.gen(function* () {
              return yield* namesIn(yield* VfsLayer.make({ root }), "")
            })
          )
        assert.deepStrictEqual(yield* top({}), ["ns", "vm"])
        assert.deepStrictEqual(yield* top({ namespace: Namespace.parse("team") }), ["ns"])
        assert.deepStrictEqual(yield* top({ namespace }), ["host"])
        assert.deepStrictEqual(yield* top({ namespace, group }), [nameOf(first), "latest"])
        assert.deepStrictEqual(yield* top({ namespace, snapshot }), ["a.conf", "index.json"])
        assert.deepStrictEqual(yield* top({ namespace, snapshot, archive: "a.conf" }), ["a.conf"])
        const refused = [
          { namespace: Namespace.parse("elsewhere") },
          { group },
          { snapshot },
          { namespace, snapshot, archive: "root.pxar" },
          { namespace, snapshot, archive: "a.conf", path: Buffer.from("x") },
          { archive: "a.conf" }
        ]
        const reasons = yield* Effect.forEach(refused, (root) =>
          Effect.flip(Effect.scoped(VfsLayer.make({ root })))
        )
        assert.deepStrictEqual(
          reasons.map((error) => ("reason" in error ? error.reason : "")),
          ["NoSuchNamespace", "NoSuchGroup", "NoSuchSnapshot", "NoSuchArchive", "NotADirectory", "Refused"]
        )
      })
    )
  )
})

describe("a snapshot that is read", () => {
  it.effect("cannot be removed until nobody has read it for a while", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        const datastore = yield* Datastore.Datastore
        const snapshot = yield* backUpBlob(first)
        const vfs = yield* VfsLayer.make({ idleSeconds: 300 })
        const forget = datastore.forget(Namespace.root, snapshot)
        const file = yield* find(vfs, `${pathOf(snapshot)}/a.conf`)
        assert.strictEqual(Buffer.from(yield* readAll(vfs, file)).toString(), `time = ${first}`)
        assert.strictEqual((yield* Effect.flip(forget)).reason, "Busy")
        yield* TestClock.adjust("4 minutes")
        yield* vfs.read(file.inode, 0, 1)
        yield* TestClock.adjust("4 minutes")
        assert.strictEqual((yield* Effect.flip(forget)).reason, "Busy")
        yield* TestClock.adjust("2 minutes")
        yield* forget
        assert.strictEqual(yield* reasonOf(vfs.read(file.inode, 0, 1)), "Gone")
        // One that is made again at the same time is another one.
        const other = {
          kind: "blob",
          archive: ArchiveName.fromClient("a.conf"),
          content: Effect.succeed(Buffer.from("other"))
        } as const
        yield* backUpBlob(first, { archives: [other] })
        assert.strictEqual(yield* reasonOf(vfs.read(file.inode, 0, 1)), "Gone")
      })
    )
  )

  it.effect("is let go with the tree, and was never held by a list", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        const datastore = yield* Datastore.Datastore
        const snapshots = yield* Effect.forEach([first, second], (time) => backUpBlob(time))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const vfs = yield* VfsLayer.make()
            yield* namesIn(vfs, pathOf(snapshots[0]!))
            yield* datastore.forget(Namespace.root, snapshots[1]!)
            assert.strictEqual(
              (yield* Effect.flip(datastore.forget(Namespace.root, snapshots[0]!))).reason,
              "Busy"
            )
          })
        )
        yield* datastore.forget(Namespace.root, snapshots[0]!)
      })
    )
  )

  it.effect("shows a manifest that was changed as another file", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        const datastore = yield* Datastore.Datastore
        const snapshot = yield* backUpBlob(first)
        const vfs = yield* VfsLayer.make()
        const path = `${pathOf(snapshot)}/index.json`
        const before = yield* find(vfs, path)
        yield* datastore.snapshotFiles.updateManifest(Namespace.root, snapshot, (manifest) => ({
          ...manifest,
          unprotected: { ...manifest.unprotected, notes: "x" },
          raw: { ...manifest.raw, unprotected: { notes: "x" } }
        }))
        const after = yield* find(vfs, path)
        assert.notStrictEqual(after.inode, before.inode)
        assert.include(Buffer.from(yield* readAll(vfs, after)).toString(), '"notes"')
        assert.strictEqual((yield* vfs.attributes(after.inode)).sizeBytes, after.sizeBytes)
      })
    )
  )
})

describe("without the key", () => {
  const crypt = keyOf(3)

  it.live("everything is listed, and what is encrypted says what it needs", () =>
    inMemoryStore(() =>
      Effect.gen(function* () {
        const folder = yield* scratchFolder
        backups.writeAt(join(folder, "file"), "content", first)
        const snapshot = yield* backUpBlob(first, {
          key: { crypt, mode: "encrypt" },
          archives: [
            { kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: folder },
            {
              kind: "blob",
              archive: ArchiveName.fromClient("a.conf"),
              content: Effect.succeed(Buffer.from("abc"))
            }
          ]
        })
        const path = pathOf(snapshot)
        // A key of something else here; one of nothing at all is refused (`wrongKey.test.ts`).
        yield* backUpBlob(second, { key: { crypt: keyOf(4), mode: "encrypt" } })
        for (const options of [{}, { crypt: keyOf(4) }]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const vfs = yield* VfsLayer.make(options)
              assert.includeMembers([...(yield* namesIn(vfs, path))], ["a.conf", "index.json", "root.pxar"])
              const archive = yield* find(vfs, `${path}/root.pxar`)
              assert.strictEqual(archive.kind, "directory")
              assert.strictEqual(yield* reasonOf(vfs.list(archive.inode)), "KeyNeeded")
              const blob = yield* find(vfs, `${path}/a.conf`)
              assert.strictEqual(blob.sizeBytes, 3)
              assert.strictEqual(yield* reasonOf(vfs.read(blob.inode, 0, 9)), "KeyNeeded")
              yield* readAll(vfs, yield* find(vfs, `${path}/index.json`))
            })
          )
        }
        const vfs = yield* VfsLayer.make({ crypt })
        const file = yield* find(vfs, `${path}/root.pxar/file`)
        assert.strictEqual(Buffer.from(yield* readAll(vfs, file)).toString(), "content")
        const wrong = yield* Effect.flip(
          Effect.scoped(VfsLayer.make({ crypt: keyOf(4), root: { snapshot } }))
        )
        assert.strictEqual(wrong._tag === "StoreError" ? wrong.reason : "", "KeyNeeded")
      })
    )
  )
})

describe("a template", () => {
  const layouts = [
    {
      template: "{type}/{id}/{year}/{month}/{day}/{hour}-{minute}-{second}",
      paths: ["host/test/2023/11/14/22-13-20", "host/test/2023/11/14/23-13-20"],
      latest: ["host/test/latest", "2023/11/15/00-13-20"]
    },
    {
      template: "{type}-{id}/at/{time-safe}",
      paths: ["host-test/at/2023-11-14T22-13-20Z"],
      latest: ["host-test/at/latest", "2023-11-15T00-13-20Z"]
    },
    {
      template: "{year}/{type}/{id} {time}",
      paths: ["2023/host/test 2023-11-14T22:13:20Z"],
      latest: undefined
    }
  ]

  for (const { latest, paths, template } of layouts) {
    it.effect(`${template} says where snapshots are`, () =>
      inMemoryStore(() =>
        Effect.gen(function* () {
          for (const time of [first, second, third]) yield* backUpBlob(time)
          yield* backUpBlob(first, { group: BackupGroup.make("vm", "100") })
          const vfs = yield* VfsLayer.make({ template })
          for (const path of paths) {
            const file = yield* find(vfs, `${path}/a.conf`)
            assert.match(Buffer.from(yield* readAll(vfs, file)).toString(), /^time = \d+$/)
            assert.strictEqual(
              yield* vfs.parent((yield* find(vfs, path)).inode),
              (yield* find(vfs, join(path, ".."))).inode
            )
          }
          if (latest !== undefined) {
            const [place = "", target] = latest
            const link = yield* find(vfs, place)
            assert.strictEqual(Buffer.from(yield* vfs.readLink(link.inode)).toString(), target)
          }
          const inGroup = yield* VfsLayer.make({ template, root: { group } })
          const names = yield* namesIn(inGroup, "")
          assert.deepStrictEqual(
            names,
            template.startsWith("{year}")
              ? ["2023"]
              : template.includes("at")
                ? ["2023-11-14T22-13-20Z", "2023-11-14T23-13-20Z", "2023-11-15T00-13-20Z", "latest"]
                : ["2023", "latest"]
          )
        })
      )
    )
  }

  const refused = {
    "{type}/{id}": "a name for every snapshot",
    "{type}/{time}": "a name for every snapshot",
    "{type}/{id}/{year}/{month}/{day}": "a name for every snapshot",
    "{id}/{type}/{time}": 'cannot be "ns"',
    "n{id}/{type}/{time}": 'cannot be "ns"',
    "{type}//{id}/{time}": "names between the slashes",
    "{type}/../{id}/{time}": "names between the slashes",
    "{type}/{name}/{id}/{time}": "placeholders out of",
    "{type}/{id}/{time": "placeholders in braces"
  }

  for (const [template, why] of Object.entries(refused)) {
    it.effect(`${template} is refused`, () =>
      inMemoryStore(() =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(VfsLayer.make({ template }))
          assert.include(error.message, why)
          assert.include(error.message, template)
          assert.notInclude(error.message, "\n")
        })
      )
    )
  }
})
