/** A datastore in a bucket, opened without a cache folder: it lists, restores and verifies as the folder it came from. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as BucketReading from "../../../src/datastore/BucketReading.ts"
import * as Datastore from "../../../src/datastore/Datastore.ts"
import * as Digest from "../../../src/model/Digest.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import type { FilesError } from "../../../src/platform/Files.ts"
import * as Listing from "../../../src/restore/Listing.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import * as backups from "../../backup/stores.ts"
import { platform } from "../stores.ts"
import { manySnapshots, serverOf, sharedStore, storeName } from "./bucketScene.ts"

const { begin, end, scene } = sharedStore()

beforeAll(begin, 120_000)
afterAll(end)

const reading = (bucket: StoreBucket.StoreBucket, options?: BucketReading.ReadingOptions) =>
  Layer.provideMerge(Layer.fresh(BucketReading.layer(bucket, options)), platform)

/** Namespaces, groups with notes and owners, snapshots, manifests and indexes, as plain values. */
const describeAll = Effect.gen(function* () {
  const { hierarchy, snapshotFiles } = yield* Datastore.Datastore
  const found: Array<unknown> = []
  for (const namespace of yield* hierarchy.namespaces(Namespace.root)) {
    found.push(namespace)
    for (const group of yield* hierarchy.groups(namespace)) {
      found.push(group, yield* hierarchy.owner(namespace, group))
      for (const entry of yield* hierarchy.snapshots(namespace, group)) {
        const manifest = yield* snapshotFiles.manifest(namespace, entry.snapshot)
        found.push(entry, manifest.raw)
        for (const { filename } of manifest.files) {
          const bytes = yield* snapshotFiles.read(namespace, entry.snapshot, filename)
          found.push(filename, Buffer.from(bytes).toString("hex"))
        }
      }
    }
  }
  return found
})

describe("a datastore in a bucket", () => {
  it.live("is listed and read as the folder it came from", () =>
    Effect.gen(function* () {
      const { folder, server } = yield* scene
      const local = yield* backups.inStore(folder)(describeAll)
      const remote = yield* describeAll.pipe(Effect.provide(reading(server.bucket)))
      assert.isAbove(local.length, 20)
      assert.deepStrictEqual(remote, local)
    })
  )

  it.live("is restored byte for byte, and verified", () =>
    Effect.gen(function* () {
      const { first, server, tree } = yield* scene
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* backups.differences(first, tree), [])
        yield* backups.assertVerified()
      }).pipe(Effect.provide(reading(server.bucket)))
      const { put, putIfAbsent, deleteMany, copy } = (yield* server.meter.usage).operations
      assert.strictEqual(put.requests + putIfAbsent.requests + deleteMany.requests + copy.requests, 0)
    })
  )

  it.live("shows nothing of foreign keys", () =>
    Effect.gen(function* () {
      const { folder, server } = yield* scene
      const foreign = [
        `${storeName}/.cnt/host/test/notes.txt/x`,
        `${storeName}/.cnt/host/test/2024-13-01T00:00:00Z/index.json.blob`,
        `${storeName}/.cnt/host/../test/owner`,
        `${storeName}/.cnt/printer/a/owner`,
        `${storeName}/.cnt/ns//host/a/owner`,
        `${storeName}/.granary/writers/abc`,
        `${storeName}2/.cnt/host/elsewhere/owner`,
        `${storeName}/.chunks/0000/notes`
      ]
      for (const key of foreign) server.memory.put(key, Buffer.from("x"), 0)
      const local = yield* backups.inStore(folder)(describeAll)
      const remote = yield* describeAll.pipe(Effect.provide(reading(server.bucket)))
      assert.deepStrictEqual(remote, local)
    })
  )

  it.live("of another name is none", () =>
    Effect.gen(function* () {
      const { server } = yield* scene
      const { objects } = server.bucket
      const open = (name: string) =>
        Effect.flip(
          Effect.scoped(BucketReading.open(StoreBucket.make({ objects, name }))).pipe(
            Effect.provide(platform)
          )
        )
      for (const name of ["backup", "backups2"]) {
        const error = yield* open(name)
        assert.strictEqual(error.reason, "NotADatastore")
      }
    })
  )

  it.live("takes nothing", () =>
    Effect.gen(function* () {
      const { first, server } = yield* scene
      const before = server.memory.keys()
      yield* Effect.gen(function* () {
        const datastore = yield* Datastore.Datastore
        const refused = [
          datastore.forget(Namespace.root, first),
          datastore.hierarchy.createNamespace(Namespace.parse("new")),
          datastore.snapshotFiles.write(Namespace.root, first, "a.blob", Buffer.from("a")),
          datastore.snapshotFiles.updateManifest(Namespace.root, first, (manifest) => manifest),
          Effect.scoped(datastore.writers.register),
          datastore.chunks.touch(Digest.parse("0".repeat(64))),
          datastore.chunks.discard(Digest.parse("0".repeat(64)), "x", () => true)
        ]
        for (const change of refused) {
          const error = yield* Effect.flip(change as Effect.Effect<unknown, FilesError>)
          assert.strictEqual(error.reason, "ReadOnlyFileSystem")
          assert.include(error.message, "opened without a cache folder, for reading only")
        }
        const data = Buffer.from("new")
        const digest = Digest.fromBytes(yield* datastore.chunks.digest(data, undefined))
        const inserted = datastore.chunks.insert({ digest, data, compress: false, crypt: undefined })
        assert.strictEqual((yield* Effect.flip(inserted)).reason, "Refused")
      }).pipe(Effect.provide(reading(server.bucket)))
      assert.deepStrictEqual(server.memory.keys(), before)
    })
  )
})

describe("requests", () => {
  it.live("for a listing are one for a thousand objects, not one for each snapshot", () =>
    Effect.gen(function* () {
      const server = yield* serverOf(manySnapshots(1000))
      yield* Effect.gen(function* () {
        const { hierarchy } = yield* Datastore.Datastore
        assert.deepStrictEqual(yield* server.requests, { list: 1 })
        assert.strictEqual((yield* hierarchy.namespaces(Namespace.root)).length, 1)
        const [group = backups.group] = yield* hierarchy.groups(Namespace.root)
        const found = yield* hierarchy.snapshots(Namespace.root, group)
        assert.strictEqual(found.length, 1000)
        assert.isTrue(found.every(({ finished }) => finished))
        // 3,001 objects.
        assert.deepStrictEqual(yield* server.requests, { list: 4 })
      }).pipe(Effect.provide(reading(server.bucket)))
    })
  )

  it.live("for one snapshot of many are a few", () =>
    Effect.gen(function* () {
      const server = yield* serverOf(manySnapshots(1000))
      yield* Effect.gen(function* () {
        const { hierarchy } = yield* Datastore.Datastore
        yield* server.requests
        const wanted = Snapshot.make(backups.group, 1_700_000_000 + 500 * 3600)
        assert.strictEqual((yield* hierarchy.entry(Namespace.root, wanted)).files.length, 3)
        assert.deepStrictEqual(yield* server.requests, { list: 1 })
      }).pipe(Effect.provide(reading(server.bucket)))
    })
  )

  it.live("for a restore are one for each chunk, and some", () =>
    Effect.gen(function* () {
      const { first, server, tree } = yield* scene
      const chunks = server.memory.keys().filter((key) => key.includes("/.chunks/")).length
      yield* backups.differences(first, tree).pipe(Effect.provide(reading(server.bucket)))
      const { get = 0, ...others } = yield* server.requests
      assert.isAtMost(get, chunks + 10)
      assert.deepStrictEqual(others, { list: 2 })
    })
  )
})

describe("a listing of snapshots", () => {
  it.live("goes on where one manifest is damaged", () =>
    Effect.gen(function* () {
      const { first, second, server } = yield* scene
      const manifest = `${Snapshot.toPath(Namespace.root, second)}/index.json.blob`
      server.memory.put(`${storeName}/.cnt/${manifest}`, Buffer.from("damaged"), 0)
      const found = yield* Stream.runCollect(Listing.snapshots(Namespace.root)).pipe(
        Effect.provide(reading(server.bucket))
      )
      assert.deepStrictEqual(
        found.map(({ snapshot, state, isProtected }) => [Snapshot.format(snapshot), state, isProtected]),
        [
          [Snapshot.format(second), "damaged", false],
          [Snapshot.format(first), "finished", true]
        ]
      )
    }).pipe(Effect.provide(platform))
  )
})
