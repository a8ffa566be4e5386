/** The files of a bucket, seen as a folder: what is there, what is not, what goes wrong on the way. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { readFileSync } from "node:fs"
import { join, relative } from "node:path"
import * as BucketReading from "../../../src/datastore/BucketReading.ts"
import * as ArchiveName from "../../../src/model/ArchiveName.ts"
import * as Digest from "../../../src/model/Digest.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import { ObjectStoreError, type ObjectStoreReason } from "../../../src/objectstore/ObjectStoreError.ts"
import type { FilesError } from "../../../src/platform/Files.ts"
import * as BucketFiles from "../../../src/store/bucket/BucketFiles.ts"
import * as StatelessChunks from "../../../src/store/bucket/StatelessChunks.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import * as backups from "../../backup/stores.ts"
import { platform } from "../stores.ts"
import { manySnapshots, serverOf, sharedStore, storeName } from "./bucketScene.ts"

const base = "/bucket"

const { begin, end, scene } = sharedStore()

beforeAll(begin, 120_000)
afterAll(end)

describe("a listing", () => {
  it.effect("for what was listed come again when it is old", () =>
    Effect.gen(function* () {
      const server = yield* serverOf(manySnapshots(2))
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
})

describe("chunks without a cache folder", () => {
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
      // Not shown: what is no chunk of this folder.
      for (const name of ["notes", "f".repeat(64), `${chunk.slice(-64)}.bad`, `${chunk.slice(-64)}/x`]) {
        server.memory.put(`${chunk.slice(0, -64)}${name}`, Buffer.from("foreign"), 0)
      }
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
