/** Mirror and GroupMove: which objects each step makes, keeps and removes, on servers with small pages and batches. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../src/model/BackupGroup.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import type { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import * as GroupMove from "../../../src/store/bucket/GroupMove.ts"
import * as Mirror from "../../../src/store/bucket/Mirror.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import type { StoreError } from "../../../src/store/StoreError.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../../src/testing/MemoryObjectStore.ts"

const root = Namespace.root
const group = BackupGroup.parse("vm/10")
const snapshot = Snapshot.parse("vm/10/2024-01-01T00:00:00Z")
const later = Snapshot.parse("vm/10/2024-01-02T00:00:00Z")
const text = (content: string) => Buffer.from(content)

/** A bucket with these objects, below `store/.cnt/` each; small pages and batches, so that nothing fits into one. */
const scene = (
  keys: ReadonlyArray<string> = [],
  options: MemoryObjectStore.MemoryObjectStoreOptions = {}
) => {
  const memory = new MemoryBucket()
  for (const key of keys) memory.put(`store/.cnt/${key}`, text(key), 0)
  const objects = MemoryObjectStore.make(memory, { pageSizeMax: 2, ...options })
  const bucket = StoreBucket.make({ objects, name: "store", deleteBatchSize: 2 })
  const names = () => memory.keys().map((key) => key.slice("store/.cnt/".length))
  const body = (key: string) => Buffer.from(memory.find(`store/.cnt/${key}`)?.body ?? []).toString()
  return { bucket, mirror: Mirror.make(bucket), names, body }
}

const reasonOf = <A>(effect: Effect.Effect<A, ObjectStoreError | StoreError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** Looks and removes in one. */
const remove = (mirror: Mirror.Mirror, of: Snapshot.Snapshot) =>
  Effect.flatMap(mirror.prepareRemoval(root, of), (removal) => removal)

const filesOf = (folder: string) =>
  ["a.fidx", "b.blob", "c.didx", "index.json.blob"].map((name) => `${folder}/${name}`)

describe("Mirror, snapshots", () => {
  it.effect("a file goes where Proxmox Backup Server looks for it; no other name goes anywhere", () =>
    Effect.gen(function* () {
      const { body, mirror, names } = scene()
      const namespace = Namespace.parse("a/b")
      yield* mirror.putFile(namespace, snapshot, "a.fidx", text("1"))
      yield* mirror.putFile(namespace, snapshot, "a.fidx", text("2"))
      assert.deepStrictEqual(names(), ["ns/a/ns/b/vm/10/2024-01-01T00:00:00Z/a.fidx"])
      assert.strictEqual(body("ns/a/ns/b/vm/10/2024-01-01T00:00:00Z/a.fidx"), "2")
      for (const name of ["../a.fidx", "a.txt", ".protected", ""]) {
        assert.strictEqual(yield* reasonOf(mirror.putFile(root, snapshot, name, text("1"))), "Refused")
      }
    })
  )

  it.effect("one that is not there any more is told as such; trouble on the way is not", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(scene().mirror.manifest(root, snapshot)), "NoSuchSnapshot")
      const { mirror } = scene([], { faults: ["lost request"] })
      assert.strictEqual(yield* reasonOf(mirror.manifest(root, snapshot)), "Disconnected")
    })
  )

  it.effect("the manifest goes first, then the rest, and nothing of a neighbour", () =>
    Effect.gen(function* () {
      const kept = [
        ...filesOf("ns/x/vm/10/2024-01-01T00:00:00Z"),
        ...filesOf("vm/10/2024-01-01T00:00:00Zx"),
        ...filesOf("vm/10/2024-01-02T00:00:00Z"),
        "vm/10/owner"
      ]
      const { bucket, names } = scene([...filesOf("vm/10/2024-01-01T00:00:00Z"), ...kept])
      const deleted: Array<ReadonlyArray<string>> = []
      const { deleteMany } = bucket.objects
      const mirror = Mirror.make({
        ...bucket,
        objects: {
          ...bucket.objects,
          deleteMany: (keys) => {
            deleted.push(keys.map((key) => key.slice(key.lastIndexOf("/") + 1)))
            return deleteMany(keys)
          }
        }
      })
      yield* remove(mirror, snapshot)
      assert.deepStrictEqual(deleted, [["index.json.blob"], ["a.fidx", "b.blob"], ["c.didx"]])
      assert.deepStrictEqual(names(), kept.toSorted())
      yield* remove(mirror, snapshot)
      assert.deepStrictEqual(names(), kept.toSorted())
    })
  )

  it.effect("one that only the bucket knows to be protected stays", () =>
    Effect.gen(function* () {
      const { mirror, names } = scene(filesOf(Snapshot.format(snapshot)))
      yield* mirror.setProtected(root, snapshot, true)
      assert.strictEqual(yield* reasonOf(remove(mirror, snapshot)), "Protected")
      assert.strictEqual(names().length, 5)
      yield* mirror.setProtected(root, snapshot, false)
      yield* mirror.setProtected(root, snapshot, false)
      yield* remove(mirror, snapshot)
      assert.deepStrictEqual(names(), [])
    })
  )

  it.effect("what cannot be deleted fails the removal, after the rest has gone", () =>
    Effect.gen(function* () {
      const { mirror, names } = scene(filesOf(Snapshot.format(snapshot)), {
        faults: ["failed deletion"],
        decide: (_, key) => key.endsWith("/b.blob")
      })
      assert.strictEqual(yield* reasonOf(remove(mirror, snapshot)), "Unavailable")
      assert.deepStrictEqual(names(), ["vm/10/2024-01-01T00:00:00Z/b.blob"])
    })
  )

  it.effect("nothing is made where another host has begun", () =>
    Effect.gen(function* () {
      const { mirror } = scene(["vm/10/2024-01-01T00:00:00Z/a.fidx"])
      assert.strictEqual(yield* reasonOf(mirror.refuseExisting(root, snapshot)), "SnapshotExists")
      yield* mirror.refuseExisting(root, later)
    })
  )
})

describe("Mirror, groups and namespaces", () => {
  it.effect("the first owner stays; an empty one is nobody", () =>
    Effect.gen(function* () {
      const { body, mirror } = scene()
      assert.strictEqual(String(yield* mirror.claimOwner(root, group, text("a@pam\n"))), "a@pam\n")
      const second = yield* mirror.claimOwner(root, group, text("b@pam\n"))
      assert.strictEqual(Buffer.from(second).toString(), "a@pam\n")
      yield* mirror.removeGroupIfEmpty(root, group)
      const { bucket } = scene()
      const emptied = Mirror.make(bucket)
      yield* bucket.objects.put(
        StoreBucket.keyOf(bucket, { kind: "owner", namespace: root, group }),
        text("")
      )
      assert.strictEqual(String(yield* emptied.claimOwner(root, group, text("c@pam\n"))), "c@pam\n")
      assert.strictEqual(body("vm/10/owner"), "")
    })
  )

  it.effect("an empty group goes with its notes, and its neighbours stay", () =>
    Effect.gen(function* () {
      const kept = [
        ...filesOf("vm/100/2024-01-01T00:00:00Z"),
        "ns/x/vm/10/owner",
        "vm/1/owner",
        "vm/100/owner"
      ]
      const { mirror, names } = scene([...kept, "vm/10/owner", "vm/10/notes"])
      assert.isTrue(yield* mirror.removeGroupIfEmpty(root, group))
      assert.deepStrictEqual(names(), kept.toSorted())
      assert.isTrue(yield* mirror.removeGroupIfEmpty(root, group))
    })
  )

  it.effect("a group stays that has a snapshot of another host, or something foreign", () =>
    Effect.gen(function* () {
      for (const key of ["vm/10/2024-01-01T00:00:00Z/a.fidx", "vm/10/2024-01-01T00:00:00Z/a\nb"]) {
        const keys = [key, "vm/10/owner"]
        const { mirror, names } = scene(keys)
        assert.isFalse(yield* mirror.removeGroupIfEmpty(root, group))
        assert.deepStrictEqual(names(), keys)
      }
    })
  )

  it.effect("a namespace's marker is made once", () =>
    Effect.gen(function* () {
      const { mirror, names } = scene()
      for (const name of ["foo", "foo", "foo/bar", "foobar"]) {
        yield* mirror.createNamespace(Namespace.parse(name))
      }
      const made = ["ns/foo/.namespace", "ns/foo/ns/bar/.namespace", "ns/foobar/.namespace"]
      assert.deepStrictEqual(names(), made)
    })
  )
})

describe("GroupMove", () => {
  const places = { group, from: root, to: Namespace.parse("foo") }
  const atOnce = { rename: Effect.void, hasArrived: Effect.succeed(false) }
  const one = "vm/10/2024-01-01T00:00:00Z"
  const two = "vm/10/2024-01-02T00:00:00Z"
  const source = [...filesOf(one), ...filesOf(two), `${one}/.protected`, "vm/10/notes", "vm/10/owner"]
  const neighbours = ["ns/foobar/vm/10/owner", "ns/foo/vm/100/owner", "vm/100/owner"]
  const arrived = source.map((name) => `ns/foo/${name}`)

  it.effect("takes everything of the group along, and nothing of its neighbours", () =>
    Effect.gen(function* () {
      const { body, bucket, names } = scene([...source, ...neighbours])
      yield* GroupMove.move(bucket, places, atOnce)
      assert.deepStrictEqual(names(), [...arrived, ...neighbours].toSorted())
      assert.strictEqual(body(`ns/foo/${one}/a.fidx`), `${one}/a.fidx`)
    })
  )

  it.effect("what fails before the folder has arrived is undone, what fails after it is not", () =>
    Effect.gen(function* () {
      for (const hasArrived of [false, true]) {
        const { bucket, names } = scene([...source, ...neighbours])
        const failing = { rename: Effect.fail("no"), hasArrived: Effect.succeed(hasArrived) }
        assert.strictEqual(yield* Effect.flip(GroupMove.move(bucket, places, failing)), "no")
        const expected = [...source, ...neighbours, ...(hasArrived ? arrived : [])]
        assert.deepStrictEqual(names(), expected.toSorted())
      }
    })
  )

  it.effect("another group of this name is not overwritten", () =>
    Effect.gen(function* () {
      const keys = [...source, "ns/foo/vm/10/2024-01-03T00:00:00Z/a.fidx"]
      const { bucket, names } = scene(keys)
      assert.strictEqual(
        yield* Effect.map(Effect.flip(GroupMove.move(bucket, places, atOnce)), ({ reason }) => reason),
        "Refused"
      )
      assert.deepStrictEqual(names(), keys.toSorted())
    })
  )

  it.effect("is taken up where it was cut off, and deletes only what has arrived", () =>
    Effect.gen(function* () {
      const left = [`${one}/a.fidx`, "vm/10/owner", `vm/10/2024-01-09T00:00:00Z/a.fidx`]
      const { bucket, names } = scene([...arrived, ...left, ...neighbours])
      assert.isTrue(yield* GroupMove.finish(bucket, places))
      assert.deepStrictEqual(names(), [...arrived, ...neighbours, left[2]].toSorted())
      assert.isFalse(yield* GroupMove.finish(bucket, places))
    })
  )
})
