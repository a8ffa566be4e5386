/** Markers of a cache folder after another host has removed chunks: dropped when they are not true any more. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import * as DataBlob from "../../../src/format/DataBlob.ts"
import * as Digest from "../../../src/model/Digest.ts"
import type { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import * as CacheId from "../../../src/store/bucket/CacheId.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { chunkPath } from "../../../src/store/StoreLayout.ts"
import type { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import type { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as MemoryFileLocks from "../../../src/testing/MemoryFileLocks.ts"
import * as Scenes from "./hostScene.ts"

const digests = Array.from({ length: 6 }, (_, number) => Scenes.digestNumber(number))
const [d0, d1, d2, d3] = digests as [Digest.Digest, Digest.Digest, Digest.Digest, Digest.Digest]

/** A connection that writes down what it is asked. */
const counted = (bucket: MemoryBucket, options = {}) => {
  const asked: Array<string> = []
  const store = Scenes.connection(bucket, options)
  const spy: ObjectStore["Service"] = {
    ...store,
    list: (request) => Effect.suspend(() => (asked.push(`list ${request.prefix}`), store.list(request))),
    head: (key) => Effect.suspend(() => (asked.push(`head ${key}`), store.head(key))),
    put: (key, body) => Effect.suspend(() => (asked.push(`put ${key}`), store.put(key, body)))
  }
  const takeAsked = () => asked.splice(0).filter((line) => line.includes(".chunks"))
  return { store: spy, takeAsked }
}

interface Options {
  readonly disk?: MemoryDisk
  readonly bootId?: string
  readonly server?: object
  readonly name?: string
}

const newHost = (bucket: MemoryBucket, { bootId = "boot", disk, name = "b", server }: Options = {}) =>
  Effect.gen(function* () {
    const { store, takeAsked } = counted(bucket, server)
    const host = yield* Scenes.hostOn({ name, bootId, disk: disk ?? Scenes.newDisk(...digests) }, store)
    const write = Effect.scoped(host.hosts.writing("lease-0"))
    return { ...host, takeAsked, write }
  })

const fill = (host: Scenes.SceneHost, path: string, text: string) =>
  host.files.replaceFile(path, [Buffer.from(text)])

const listing = ["list store/.chunks/"]

describe("the markers of a cache folder", () => {
  it.effect("those whose objects do not exist go, content or not, and no other file", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const host = yield* newHost(bucket)
      for (const digest of [d0, d1]) Scenes.putChunk(bucket, digest)
      bucket.put(`store/.chunks/${d2.slice(0, 4)}/${d2}.0.bad`, Buffer.from("x"), 0)
      for (const digest of [d0, d2]) yield* Scenes.mark(host, digest)
      for (const digest of [d1, d3]) yield* fill(host, chunkPath(Scenes.layout, digest), "content")
      const others = [`${d2}.using`, `${d2}.1.bad`, "elsewhere"].map(
        (name) => `${Scenes.layout.chunks}/${d2.slice(0, 4)}/${name}`
      )
      for (const path of others) yield* fill(host, path, "")
      yield* host.write
      assert.deepStrictEqual(digests.map(host.has), [true, true, false, false, false, false])
      for (const path of others) assert.isTrue(Scenes.hasFile(host.disk, path), path)
      const gone = [d2, d3].map((digest) => `head store/.chunks/${digest.slice(0, 4)}/${digest}`)
      assert.sameMembers([...host.takeAsked()], [...listing, ...gone])
    })
  )

  it.effect.each([false, true])(
    "good content of a chunk that was set aside goes into the bucket again (many: %s)",
    (isMany) =>
      Effect.gen(function* () {
        const bucket = Scenes.newBucket()
        const blobOf = (text: string) => DataBlob.encode(Buffer.from(text), { compress: false })
        const digestOf = (text: string) => Digest.parse(createHash("sha256").update(text).digest("hex"))
        const [wanted, collected] = [digestOf("wanted"), digestOf("collected")]
        const all = [wanted, d0, d1, collected]
        const many = Array.from({ length: isMany ? 40 : 0 }, (_, number) => Scenes.digestNumber(100 + number))
        const host = yield* newHost(bucket, { disk: Scenes.newDisk(...all, ...many) })
        for (const digest of many) yield* Scenes.mark(host, digest)
        const keyOf = (digest: Digest.Digest) => `store/.chunks/${digest.slice(0, 4)}/${digest}`
        for (const digest of [wanted, d0, d1]) bucket.put(`${keyOf(digest)}.0.bad`, Buffer.from("bad"), 0)
        for (const text of ["wanted", "collected"]) {
          yield* host.files.replaceFile(chunkPath(Scenes.layout, digestOf(text)), [blobOf(text)])
        }
        yield* fill(host, chunkPath(Scenes.layout, d0), "no good")
        yield* Scenes.mark(host, d1)
        yield* host.write
        assert.deepStrictEqual(all.map(host.has), [true, false, false, false])
        assert.deepStrictEqual(
          Buffer.from(bucket.find(keyOf(wanted))?.body ?? []),
          Buffer.from(blobOf("wanted"))
        )
        assert.deepStrictEqual(
          host.takeAsked().filter((line) => line.startsWith("put")),
          [`put ${keyOf(wanted)}`]
        )
        yield* host.write
        assert.deepStrictEqual(host.takeAsked(), [])
      })
  )

  it.effect("that are many are asked for by a second listing, and none by itself", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const many = Array.from({ length: 40 }, (_, number) => Scenes.digestNumber(number))
      const host = yield* newHost(bucket, { disk: Scenes.newDisk(...many) })
      for (const digest of many) yield* Scenes.mark(host, digest)
      for (const digest of many.slice(0, 5)) Scenes.putChunk(bucket, digest)
      yield* host.write
      assert.deepStrictEqual(host.takeAsked(), [...listing, ...listing])
      assert.deepStrictEqual(
        many.map(host.has),
        many.map((_, number) => number < 5)
      )
    })
  )

  it.effect("that are many, and change while they are looked for, are asked for under their guards", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const many = Array.from({ length: 40 }, (_, number) => Scenes.digestNumber(number))
      const disk = Scenes.newDisk(...many)
      const asked: Array<string> = []
      const server = Scenes.connection(bucket)
      let listings = 0
      /** After the second listing, and before anything follows from it. */
      const meanwhile = () => {
        Scenes.putChunk(bucket, d1)
        for (const digest of [d0, d1]) {
          disk.put(chunkPath(Scenes.layout, digest), Buffer.from("fetched"))
          disk.setTimes(chunkPath(Scenes.layout, digest), 90)
        }
      }
      const host = yield* Scenes.hostOn(
        { name: "b", disk },
        {
          ...server,
          list: (request) =>
            Effect.tap(server.list(request), () =>
              Effect.sync(() => {
                if (request.prefix.endsWith(".chunks/") && ++listings === 2) meanwhile()
              })
            ),
          head: (key) => Effect.suspend(() => (asked.push(key.slice(-64)), server.head(key)))
        }
      )
      for (const digest of many) yield* Scenes.mark(host, digest)
      yield* Effect.scoped(host.hosts.writing("lease-0"))
      assert.deepStrictEqual(many.filter(host.has), [d1])
      assert.sameMembers(asked, [d0, d1])
    })
  )

  it.effect("are checked once, and again when another host has collected or condemned", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const [a, b] = [yield* newHost(bucket, { name: "a" }), yield* newHost(bucket)]
      yield* a.write
      yield* b.write
      assert.deepStrictEqual([a.takeAsked(), b.takeAsked()], [listing, listing])
      yield* Effect.scoped(a.hosts.collecting)
      yield* Effect.andThen(a.write, b.write)
      assert.deepStrictEqual([a.takeAsked(), b.takeAsked()], [[], []])
      Scenes.putChunk(bucket, d0)
      yield* Scenes.mark(b, d0)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { beginsRemoving } = yield* a.hosts.collecting
          yield* beginsRemoving
          yield* beginsRemoving
          bucket.delete(`store/.chunks/${d0.slice(0, 4)}/${d0}`, 0)
        })
      )
      yield* Effect.andThen(a.write, b.write)
      assert.deepStrictEqual(a.takeAsked(), [])
      assert.strictEqual(b.takeAsked()[0], listing[0])
      assert.isFalse(b.has(d0))
      yield* a.hosts.condemning
      yield* Effect.andThen(a.write, b.write)
      assert.deepStrictEqual([a.takeAsked(), b.takeAsked()], [listing, listing])
    })
  )

  it.effect("of a folder that fell behind are checked before its own collection begins to remove", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const [a, b] = [yield* newHost(bucket, { name: "a" }), yield* newHost(bucket)]
      yield* Effect.andThen(a.write, b.write)
      yield* Scenes.mark(b, d0)
      yield* Effect.scoped(Effect.flatMap(a.hosts.collecting, ({ beginsRemoving }) => beginsRemoving))
      b.takeAsked()
      yield* Effect.scoped(Effect.flatMap(b.hosts.collecting, ({ beginsRemoving }) => beginsRemoving))
      assert.strictEqual(b.takeAsked()[0], listing[0])
      assert.isFalse(b.has(d0))
      yield* b.write
      assert.deepStrictEqual(b.takeAsked(), [])
    })
  )

  it.effect("count as unchecked when the power went while this host removed, and only then", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const disk = Scenes.newDisk(...digests)
      const first = yield* newHost(bucket, { disk })
      yield* first.write
      const scope = yield* Scope.make()
      const { beginsRemoving } = yield* Scope.provide(first.hosts.collecting, scope)
      yield* beginsRemoving
      const beside = yield* newHost(bucket, { disk, name: "beside" })
      yield* beside.write
      assert.deepStrictEqual(beside.takeAsked(), [])
      const crashed = disk.fork()
      const after = yield* newHost(bucket, { disk: crashed, bootId: "next" })
      yield* Scenes.mark(after, d0)
      yield* after.write
      assert.strictEqual(after.takeAsked()[0], listing[0])
      assert.isFalse(after.has(d0))
      yield* Scope.close(scope, Exit.void)
      const ended = yield* newHost(bucket, { disk, bootId: "next" })
      yield* ended.write
      assert.deepStrictEqual(ended.takeAsked(), [])
    })
  )

  it.effect("are checked when the bucket was emptied and filled anew", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const host = yield* newHost(bucket)
      yield* host.write
      host.takeAsked()
      for (const key of bucket.keys()) bucket.delete(key, 0)
      yield* host.write
      assert.deepStrictEqual(host.takeAsked(), listing)
    })
  )

  it.effect("that a listing lacks stay when the server knows the object", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      yield* TestClock.adjust("1 hour")
      const server = { listing: "weak", decide: (_: string, key: string) => key.includes(d0) }
      const host = yield* newHost(bucket, { server })
      bucket.put(`store/.chunks/${d0.slice(0, 4)}/${d0}`, Buffer.from("x"), 3600_000)
      yield* Scenes.mark(host, d0)
      yield* host.write
      assert.isTrue(host.has(d0))
      assert.lengthOf(host.takeAsked(), 2)
    })
  )

  it.effect("whose chunk is being uploaded are looked at when that is done", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const disk = Scenes.newDisk(...digests)
      const locks = new MemoryFileLocks.MemoryLockTable(disk)
      const host = yield* Scenes.hostOn({ name: "b", disk, locks }, Scenes.connection(bucket))
      yield* Scenes.mark(host, d0)
      const uploader = yield* Effect.provide(
        DigestGuards.make(Scenes.layout),
        MemoryFileLocks.layer(locks, { process: "uploader" })
      )
      const upload = Effect.andThen(
        Effect.sleep("1 minute"),
        Effect.sync(() => Scenes.putChunk(bucket, d0))
      )
      const uploading = yield* Effect.forkChild(uploader.guard(d0)(upload))
      const writing = yield* Effect.forkChild(Effect.scoped(host.hosts.writing("lease-0")))
      yield* TestClock.adjust("2 minutes")
      yield* Effect.andThen(Fiber.join(uploading), Fiber.join(writing))
      assert.isTrue(host.has(d0))
    })
  )

  it.effect("stay all of them when the server cannot be asked, and nothing counts as checked", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const store = Scenes.connection(bucket)
      let isBad = true
      const head: ObjectStore["Service"]["head"] = (key) =>
        isBad
          ? Effect.fail(new ObjectStoreError({ operation: "head", key, reason: "AccessDenied" }))
          : store.head(key)
      const disk = Scenes.newDisk(...digests)
      const host = yield* Scenes.hostOn({ name: "b", disk }, { ...store, head })
      yield* Scenes.mark(host, d0)
      const write = Effect.scoped(host.hosts.writing("lease-0"))
      assert.strictEqual((yield* Effect.flip(write)).reason, "AccessDenied")
      assert.isTrue(host.has(d0))
      isBad = false
      yield* write
      assert.isFalse(host.has(d0))
    })
  )
})

describe("CacheId", () => {
  it.effect("is the folder's, until the folder is copied", () =>
    Effect.gen(function* () {
      const disk = Scenes.newDisk()
      const bucket = Scenes.newBucket()
      const [one, two] = [yield* newHost(bucket, { disk, name: "a" }), yield* newHost(bucket, { disk })]
      const id = yield* one.on(CacheId.obtain(Scenes.layout))
      assert.match(id, /^[0-9a-f]{32}$/)
      assert.strictEqual(yield* two.on(CacheId.obtain(Scenes.layout)), id)
      const copy = Scenes.newDisk()
      copy.makeDirectory("/new", 0o755, 0)
      copy.removeDirectory(Scenes.layout.chunks, 0)
      copy.makeDirectory(Scenes.layout.chunks, 0o750, 0)
      const other = yield* newHost(bucket, { disk: copy, name: "c" })
      const bytes = yield* one.files.readFile(Scenes.layout.cacheId, 1000)
      yield* fill(other, Scenes.layout.cacheId, Buffer.from(bytes).toString())
      assert.notStrictEqual(yield* other.on(CacheId.obtain(Scenes.layout)), id)
    })
  )

  it.effect("is made anew where something else is written", () =>
    Effect.gen(function* () {
      const disk = Scenes.newDisk()
      const host = yield* newHost(Scenes.newBucket(), { disk })
      for (const text of ["", "x", "0123", "x".repeat(5000)]) {
        yield* fill(host, Scenes.layout.cacheId, text)
        const id = yield* host.on(CacheId.obtain(Scenes.layout))
        assert.match(id, /^[0-9a-f]{32}$/)
        assert.strictEqual(yield* host.on(CacheId.obtain(Scenes.layout)), id)
      }
    })
  )
})
