/** A datastore in a bucket, read without a cache folder: it lists, restores and verifies as the folder it came from. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { readFileSync } from "node:fs"
import { join, relative } from "node:path"
import * as BucketReading from "../../../src/datastore/BucketReading.ts"
import * as Datastore from "../../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../../src/model/ArchiveName.ts"
import * as Digest from "../../../src/model/Digest.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import { ObjectStoreError, type ObjectStoreReason } from "../../../src/objectstore/ObjectStoreError.ts"
import type { FilesError } from "../../../src/platform/Files.ts"
import * as Listing from "../../../src/restore/Listing.ts"
import * as BucketFiles from "../../../src/store/bucket/BucketFiles.ts"
import * as StatelessChunks from "../../../src/store/bucket/StatelessChunks.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import * as backups from "../../backup/stores.ts"
import { platform } from "../stores.ts"
import { serverOf, storeName, uploadStore } from "./bucketScene.ts"

const base = "/bucket"
const team = Namespace.parse("team/dev")

/** A folder with backups in two namespaces. */
const makeStore = Effect.gen(function* () {
  const folder = yield* backups.newStore
  const tree = yield* backups.sampleTree
  const made = yield* backups.inStore(folder)(
    Effect.gen(function* () {
      const { hierarchy } = yield* Datastore.Datastore
      yield* hierarchy.createNamespace(team)
      yield* hierarchy.createNamespace(Namespace.parse("empty"))
      const first = yield* backups.backUp(tree)
      const second = yield* backups.backUp(tree)
      yield* backups.backUp(tree, { namespace: team, changeDetection: "legacy" })
      yield* hierarchy.setProtected(Namespace.root, first.summary.snapshot, true)
      return { first: first.summary.snapshot, second: second.summary.snapshot }
    })
  )
  return { ...made, folder, tree, memory: uploadStore(folder) }
})

type Store = Effect.Success<typeof makeStore>

let store: Store | undefined
const storeScope = Scope.makeUnsafe()

beforeAll(async () => {
  store = await Effect.runPromise(Scope.provide(makeStore, storeScope))
}, 120_000)

afterAll(() => Effect.runPromise(Scope.close(storeScope, Exit.void)))

/** That folder, and a bucket of one's own with the same. */
const scene = Effect.suspend(() => {
  if (store === undefined) return assert.fail("there is no store")
  const made = store
  return Effect.map(serverOf(made.memory.clone()), (server) => ({ ...made, server }))
})

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
  const filled = (snapshots: number) =>
    Effect.gen(function* () {
      const memory = new MemoryBucket()
      const put = (path: string) => memory.put(`${storeName}/.cnt/${path}`, Buffer.from("{}"), 0)
      put("host/test/owner")
      for (let index = 0; index < snapshots; index++) {
        const snapshot = Snapshot.format(Snapshot.make(backups.group, 1_700_000_000 + index * 3600))
        for (const file of ["index.json.blob", "root.mpxar.didx", "root.ppxar.didx"])
          put(`${snapshot}/${file}`)
      }
      return yield* serverOf(memory)
    })

  it.live("for a listing are one for a thousand objects, not one for each snapshot", () =>
    Effect.gen(function* () {
      const server = yield* filled(1000)
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
      const server = yield* filled(1000)
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

  it.effect("for what was listed come again when it is old", () =>
    Effect.gen(function* () {
      const server = yield* filled(2)
      const files = BucketFiles.make(server.bucket, { base, freshSeconds: 30 })
      const group = `${base}/host/test`
      assert.strictEqual((yield* files.readDirectory(group)).length, 3)
      server.memory.put(
        `${storeName}/.cnt/host/test/2030-01-01T00:00:00Z/index.json.blob`,
        Buffer.from("{}"),
        0
      )
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual((yield* files.readDirectory(group)).length, 3)
      assert.strictEqual((yield* files.readDirectory(`${group}/2023-11-14T22:13:20Z`)).length, 3)
      assert.deepStrictEqual(yield* server.requests, { list: 1 })
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* files.readDirectory(group)).length, 4)
    })
  )

  it.live("for the same chunk at once are one", () =>
    Effect.gen(function* () {
      const { server } = yield* scene
      const key = server.memory.keys().find((each) => each.includes("/.chunks/")) ?? ""
      const digest = Digest.parse(key.slice(-64))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const chunks = yield* StatelessChunks.make(server.bucket)
          const wanted = { digest, sizeBytes: undefined, crypt: undefined }
          const all = yield* Effect.all([chunks.read(wanted), chunks.read(wanted), chunks.read(wanted)], {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(yield* server.requests, { get: 1 })
          assert.deepStrictEqual(all[1], all[0])
          // Each has its own.
          all[0].fill(0)
          assert.isTrue(all[1].some((byte) => byte !== 0))
          const short = yield* Effect.flip(chunks.read({ ...wanted, sizeBytes: 1 }))
          assert.strictEqual(short.reason, "Corrupt")
          const missing = { ...wanted, digest: Digest.parse("0".repeat(64)) }
          assert.strictEqual((yield* Effect.flip(chunks.read(missing))).reason, "Missing")
          assert.strictEqual((yield* chunks.check(missing)).state, "missing")
          assert.strictEqual((yield* chunks.check(wanted)).state, "good")
          assert.strictEqual((yield* chunks.stat(digest)).sizeBytes, server.memory.find(key)?.body.length)
          server.memory.put(key, Buffer.from("torn"), 0)
          assert.strictEqual((yield* chunks.check(wanted)).state, "corrupt")
        })
      )
    }).pipe(Effect.provide(platform))
  )
})

describe("the files of a bucket", () => {
  it.live("have the names, kinds and sizes of those in the folder", () =>
    Effect.gen(function* () {
      const { first, folder, server } = yield* scene
      const files = BucketFiles.make(server.bucket, { base })
      const snapshot = relative(folder, join(folder, Snapshot.toPath(Namespace.root, first)))
      const names = (yield* files.statDirectory(`${base}/${snapshot}`)).map(({ name }) => name).toSorted()
      assert.include(names, ArchiveName.protectedFile)
      for (const name of names) {
        const content = readFileSync(join(folder, snapshot, name))
        const path = `${base}/${snapshot}/${name}`
        assert.deepInclude(yield* files.stat(path), {
          kind: "file",
          sizeBytes: content.length,
          mtimeSeconds: 1
        })
        assert.deepStrictEqual(Buffer.from(yield* files.readFile(path, 1e9)), content)
      }
      // Fresh: nothing is known, so the bucket is asked for each.
      const asking = BucketFiles.make(server.bucket, { base })
      const [manifest, absent] = yield* asking.statEach([
        `${base}/${snapshot}/index.json.blob`,
        `${base}/${snapshot}/absent.blob`
      ])
      assert.strictEqual(manifest?.kind, "file")
      assert.isUndefined(absent)
      const chunkFolders = yield* files.readDirectory(`${base}/.chunks`)
      assert.strictEqual(chunkFolders.length, 65_536)
      const chunk = server.memory.keys().find((key) => key.includes("/.chunks/")) ?? ""
      const local = chunk.slice(storeName.length + 1)
      server.memory.put(`${chunk}.0.bad`, Buffer.from("bad"), 0)
      const beside = yield* files.statDirectory(`${base}/${local.slice(0, ".chunks/0000".length)}`)
      assert.deepStrictEqual(
        beside.map(({ name }) => name),
        [chunk.slice(-64), `${chunk.slice(-64)}.0.bad`]
      )
      assert.deepStrictEqual(
        Buffer.from(yield* files.readFile(`${base}/${local}`, 1e9)),
        readFileSync(join(folder, local))
      )
    })
  )

  it.live("are not there where nothing is", () =>
    Effect.gen(function* () {
      const { server } = yield* scene
      const files = BucketFiles.make(server.bucket, { base })
      const nowhere = [
        "/elsewhere",
        "/",
        `${base}2`,
        `${base}/../etc`,
        `${base}/.lock`,
        `${base}/.granary.lock`,
        `${base}/.granary-writers`,
        `${base}/.in-use`,
        `${base}/.chunks/zzzz`,
        `${base}/host/nobody`,
        `${base}/host/test/2000-01-01T00:00:00Z`,
        `${base}/host/test/2000-01-01T00:00:00Z/index.json.blob`,
        `${base}/ns/nobody`,
        `${base}/host/te\u0000st`
      ]
      for (const path of nowhere) {
        for (const look of [files.stat(path), files.readFile(path, 10), files.readDirectory(path)]) {
          const error = yield* Effect.flip(look as Effect.Effect<unknown, FilesError>)
          assert.strictEqual(error.reason, "NotFound", path)
          assert.include(error.message, path)
        }
      }
      for (const path of [
        "",
        "/.chunks",
        "/.chunks/0000",
        "/ns",
        "/ns/team",
        "/ns/team/ns/dev",
        "/host/test"
      ]) {
        assert.strictEqual((yield* files.stat(`${base}${path}`)).kind, "directory", path)
      }
      const owner = yield* Effect.flip(files.readDirectory(`${base}/host/test/owner`))
      assert.strictEqual(owner.reason, "NotADirectory")
      const large = yield* Effect.flip(files.readFile(`${base}/host/test/owner`, 2))
      assert.strictEqual(large.reason, "TooLarge")
    })
  )

  it.live("are read in pieces, by few requests", () =>
    Effect.gen(function* () {
      const { server } = yield* scene
      const content = backups.noise("large", 2_500_000)
      const digest = "ab".repeat(32)
      server.memory.put(`${storeName}/.chunks/abab/${digest}`, content, 0)
      const files = BucketFiles.make(server.bucket, { base })
      yield* server.requests
      yield* Effect.scoped(
        Effect.gen(function* () {
          const handle = yield* files.openRead(`${base}/.chunks/abab/${digest}`)
          assert.strictEqual(handle.sizeBytes, content.length)
          const pieces: Array<Buffer> = []
          for (let offset = 0; offset < content.length; offset += 60_000) {
            const piece = Buffer.alloc(60_000)
            pieces.push(piece.subarray(0, yield* handle.readAt(offset, piece)))
          }
          assert.strictEqual(Buffer.compare(Buffer.concat(pieces), content), 0)
          const { getRange = 0, ...others } = yield* server.requests
          assert.isAtMost(getRange, 4)
          assert.deepStrictEqual(others, { head: 1 })
          const whole = Buffer.alloc(3_000_000)
          assert.strictEqual(yield* handle.readAt(1, whole), content.length - 1)
          assert.strictEqual(Buffer.compare(whole.subarray(0, content.length - 1), content.subarray(1)), 0)
          assert.strictEqual(yield* handle.readAt(content.length, whole), 0)
          const back = Buffer.alloc(10)
          yield* handle.readAt(5, back)
          assert.deepStrictEqual(back, content.subarray(5, 15))
        })
      )
    })
  )
})

describe("trouble on the way", () => {
  /** A bucket whose every answer is a failure. */
  const failing = (reason: ObjectStoreReason): StoreBucket.StoreBucket => {
    const refuse = () =>
      Effect.fail(
        new ObjectStoreError({
          operation: "list",
          key: "backups/",
          reason,
          detail: "The words of the server",
          httpStatus: 403,
          requestId: "4711"
        })
      )
    const objects: StoreBucket.StoreBucket["objects"] = {
      put: refuse,
      putIfAbsent: refuse,
      get: refuse,
      getRange: refuse,
      head: refuse,
      list: refuse,
      deleteMany: refuse,
      copy: refuse
    }
    return StoreBucket.make({ objects, name: storeName })
  }

  const reasons = [
    ["WrongKeys", "PermissionDenied"],
    ["AccessDenied", "PermissionDenied"],
    ["ExpiredKeys", "PermissionDenied"],
    ["NoBucket", "Io"],
    ["Unreachable", "Io"],
    ["Truncated", "Io"],
    ["Throttled", "Io"]
  ] as const

  for (const [reason, expected] of reasons) {
    it.effect(`(${reason}) is told in the server's words, and is never a missing file`, () =>
      Effect.gen(function* () {
        const bucket = failing(reason)
        const files = BucketFiles.make(bucket, { base })
        const looks: ReadonlyArray<Effect.Effect<unknown, FilesError>> = [
          files.stat(base),
          files.stat(`${base}/host/a/2024-01-01T00:00:00Z/index.json.blob`),
          files.stat(`${base}/host/a`),
          files.readFile(`${base}/host/a/owner`, 100),
          files.readDirectory(`${base}/host`),
          files.statDirectory(`${base}/.chunks/0000`),
          files.statEach([`${base}/.chunks/0000/${"0".repeat(64)}`]),
          Effect.scoped(files.openRead(`${base}/host/a/owner`))
        ]
        for (const look of looks) {
          const error = yield* Effect.flip(look)
          assert.strictEqual(error.reason, expected)
          assert.include(error.message, "The words of the server")
          assert.include(error.message, "request 4711")
          assert.strictEqual(error.hint, new ObjectStoreError({ operation: "get", key: "", reason }).hint)
        }
        const opened = yield* Effect.flip(Effect.scoped(BucketReading.open(bucket))).pipe(
          Effect.provide(platform)
        )
        assert.strictEqual(opened.reason, expected)
        const chunks = yield* StatelessChunks.make(bucket).pipe(Effect.provide(platform))
        const chunk = { digest: Digest.parse("0".repeat(64)), sizeBytes: undefined, crypt: undefined }
        assert.strictEqual((yield* Effect.flip(chunks.read(chunk))).reason, reason)
        assert.strictEqual((yield* chunks.check(chunk)).state, "unreadable")
      })
    )
  }

  it.live("in a listing leaves nothing behind that looks like the whole", () =>
    Effect.gen(function* () {
      const { server: good } = yield* scene
      const { memory } = good
      let answers = 1
      const server = yield* serverOf(memory, {
        pageSizeMax: 3,
        faults: ["unavailable"],
        decide: () => answers-- === 0
      })
      const files = BucketFiles.make(server.bucket, { base })
      assert.strictEqual((yield* Effect.flip(files.readDirectory(`${base}/host/test`))).reason, "Io")
      const names = (yield* files.readDirectory(`${base}/host/test`)).map(({ name }) => name)
      assert.deepStrictEqual(names.length, 3)
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
