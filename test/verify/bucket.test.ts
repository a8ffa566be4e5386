/** Verify of a store in a bucket: by listing it and in full, with every kind of damage. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as UploadRecords from "../../src/store/bucket/UploadRecords.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import {
  backUp,
  badKeys,
  base,
  change,
  chunkGets,
  few,
  fileKey,
  filePath,
  flipped,
  keyOfText,
  largeWorld,
  one,
  recordedState,
  smallWorld,
  two,
  verify,
  zero
} from "./bucketScene.ts"

const listed = { depth: "listed" } as const

describe("Verify by listing", () => {
  it.live("a healthy store: one request for a thousand objects, and none for any single one", () =>
    Effect.gen(function* () {
      const world = yield* largeWorld
      const found = yield* verify(world, listed)
      assert.deepStrictEqual(found.states, { one: "ok", two: "ok", small: "ok" })
      const objects = world.bucket.keys().length
      assert.isAtMost(found.counts.list, Math.ceil(objects / 1000) + 1)
      assert.deepStrictEqual({ ...found.counts, list: 0 }, { list: 0, get: 0, head: 0, put: 0 })
      assert.deepInclude(found.summary.listing, {
        present: 2300,
        withoutRecord: 0,
        suspect: 0,
        absent: 0,
        notListed: 0
      })
      assert.strictEqual(found.summary.statistics.chunks, 0)
      assert.strictEqual(found.plan.expected?.chunks, 2300)
      assert.strictEqual(found.plan.expected?.reads, 0)
      assert.deepInclude(found.plan.expected?.cost?.costs, { list: 4, get: 0, put: 0 })
      assert.isAtMost(found.counts.list, found.plan.expected?.cost?.costs.list ?? 0)
      // Nobody has read it: that is no verification to rely on later.
      assert.isUndefined(yield* recordedState(world, "one"))
    })
  )

  it.live("a small snapshot in a large store takes no more requests than it has objects", () =>
    Effect.gen(function* () {
      const world = yield* largeWorld
      const found = yield* verify(world, { ...listed, group: BackupGroup.make("host", "small") })
      assert.deepStrictEqual(found.states, { small: "ok" })
      assert.strictEqual(found.summary.listing?.present, 3)
      assert.isAtMost(found.requests.filter((request) => request === "list store/.chunks/").length, 3)
      assert.strictEqual(found.counts.get, 0)
    })
  )

  const damages: ReadonlyArray<readonly [string, (body: Uint8Array) => Uint8Array]> = [
    ["truncated", (body) => body.slice(0, -1)],
    ["emptied", () => new Uint8Array(0)],
    ["replaced by one of the same size", flipped],
    ["replaced by another chunk", () => DataBlob.encode(Buffer.from("something else"), { compress: false })]
  ]
  for (const [name, damage] of damages) {
    it.live(`an object that was ${name} is suspect, read, and condemned`, () =>
      Effect.gen(function* () {
        const world = yield* smallWorld
        change(world, keyOfText(one), damage)
        const found = yield* verify(world, listed)
        assert.deepStrictEqual(found.states, { all: "failed", even: "ok" })
        assert.strictEqual(found.summary.listing?.suspect, 1)
        assert.strictEqual(found.summary.statistics.chunks, 1)
        assert.strictEqual(found.summary.statistics.corrupt, 1)
        assert.include(found.errors.join(), "is corrupt")
        assert.deepStrictEqual(badKeys(world), [`${keyOfText(one)}.0.bad`])
        assert.isUndefined(world.bucket.find(keyOfText(one)))
        assert.strictEqual(yield* recordedState(world, "all"), "failed")
        assert.isUndefined(yield* recordedState(world, "even"))
        // A new backup heals it.
        yield* backUp(world, "again", few)
        assert.strictEqual((yield* verify(world, listed)).states["all"], "ok")
        assert.strictEqual(yield* recordedState(world, "all"), "failed")
      })
    )
  }

  it.live("a good object that another host has put there is read once, and then known", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      change(world, keyOfText(zero), (body) => body)
      const longer = DataBlob.encode(Buffer.from(two), { compress: true })
      change(world, keyOfText(two), () => longer)
      const found = yield* verify(world, listed)
      assert.deepStrictEqual(found.states, { all: "ok", even: "ok" })
      assert.strictEqual(found.summary.listing?.suspect, 2)
      assert.strictEqual(chunkGets(found), 2)
      const again = yield* verify(world, listed)
      assert.strictEqual(again.summary.listing?.suspect, 0)
      assert.strictEqual(again.counts.get + again.counts.head, 0)
    })
  )

  it.live("a chunk that is not there fails whoever names it, after it was asked for", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      world.bucket.delete(keyOfText(one), 0)
      const found = yield* verify(world, listed)
      assert.deepStrictEqual(found.states, { all: "failed", even: "ok" })
      assert.strictEqual(found.summary.listing?.absent, 1)
      assert.strictEqual(found.summary.statistics.missing, 1)
      assert.isTrue(found.requests.some((request) => request === `get ${keyOfText(one)}`))
    })
  )

  it.live("a listing that lags behind fails nothing", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      const server = { listing: "weak", decide: (_: string, key: string) => key === keyOfText(one) } as const
      const found = yield* verify(world, listed, { server })
      assert.deepStrictEqual(found.states, { all: "ok", even: "ok" })
      assert.strictEqual(found.summary.listing?.absent, 1)
      assert.strictEqual(chunkGets(found), 1)
    })
  )

  it.live("chunks that others have uploaded are looked for, and counted", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      const folder = UploadRecords.folderOf(layoutOf(base))
      for (const [name] of world.disk.list(folder, 0)) world.disk.unlink(`${folder}/${name}`, 0)
      change(world, keyOfText(one), flipped)
      const found = yield* verify(world, listed)
      assert.deepStrictEqual(found.states, { all: "ok", even: "ok" })
      assert.strictEqual(found.summary.listing?.withoutRecord, 12)
      assert.strictEqual(found.counts.get, 0)
      world.bucket.delete(keyOfText(two), 0)
      const missing = yield* verify(world, listed)
      assert.deepStrictEqual(missing.states, { all: "failed", even: "failed" })
    })
  )

  it.live("files of snapshots are found in the listing as well; what is not is asked for", () =>
    Effect.gen(function* () {
      for (const name of ["texts.didx", "note.conf.blob", "index.json.blob"]) {
        const gone = yield* smallWorld
        gone.bucket.delete(fileKey("all", name), 0)
        const missing = yield* verify(gone, listed)
        assert.deepStrictEqual(missing.states, { all: "failed", even: "ok" }, name)
        assert.deepStrictEqual(
          missing.requests.find((request) => request.startsWith("get ")),
          `get ${fileKey("all", name)}`
        )
        const short = yield* smallWorld
        change(short, fileKey("all", name), (body) =>
          name === "index.json.blob" ? new Uint8Array(0) : body.slice(0, -1)
        )
        assert.deepStrictEqual((yield* verify(short, listed)).states, { all: "failed", even: "ok" }, name)
      }
    })
  )
})

describe("Verify of a bucket in full", () => {
  it.live("reads every chunk and every file once, and records that", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      const found = yield* verify(world)
      assert.deepStrictEqual(found.states, { all: "ok", even: "ok" })
      assert.strictEqual(chunkGets(found), 12)
      // Chunks, files, and the manifests once more when the result goes into them.
      assert.deepStrictEqual(found.counts, { list: 0, get: 12 + 6 + 2, head: 0, put: 2 })
      assert.deepInclude(found.plan.expected?.cost?.costs, { list: 0, get: 20, put: 2 })
      assert.strictEqual(yield* recordedState(world, "all"), "ok")
    })
  )

  it.live("a damaged object fails although the cache folder's file is good", () =>
    Effect.gen(function* () {
      for (const name of ["texts.didx", "note.conf.blob", "index.json.blob"]) {
        const world = yield* smallWorld
        change(world, fileKey("all", name), flipped)
        const found = yield* verify(world)
        assert.deepStrictEqual(found.states, { all: "failed", even: "ok" }, name)
      }
    })
  )

  it.live(
    "a damaged file in the cache folder is told and fails nothing; the chunks are those of the object",
    () =>
      Effect.gen(function* () {
        for (const name of ["texts.didx", "note.conf.blob"]) {
          for (const depth of ["full", "listed"] as const) {
            const world = yield* smallWorld
            const path = filePath("all", name)
            world.disk.put(path, flipped(world.disk.stat(path).content))
            change(world, keyOfText(one), flipped)
            const found = yield* verify(world, { depth })
            assert.strictEqual(found.states["all"], "failed")
            assert.match(found.errors.join(), /in the cache folder: .*s3-refresh/)
            assert.include(found.errors.join(), "is corrupt")
            world.disk.put(path, flipped(world.disk.stat(path).content))
            yield* backUp(world, "again", few)
            world.disk.put(path, flipped(world.disk.stat(path).content))
            assert.strictEqual((yield* verify(world, { depth })).states["all"], "unproven")
          }
        }
      })
  )
})
