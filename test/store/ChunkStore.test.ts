/** ChunkStore: every rule for inserting a chunk, and reading, touching and condemning. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as ChunkStore from "../../src/store/ChunkStore.ts"
import { chunkPath, type StoreLayout } from "../../src/store/StoreLayout.ts"
import { chunkOf, hardData, key, otherKey, softData } from "../platform/chunks.ts"
import type { Operation } from "./HookedFiles.ts"
import { hookedPlatform, namesBeside, newLayout, platform } from "./stores.ts"

const sample = chunkOf(softData(1))
const { digest } = sample

/** Something with the header of such a blob, of any size. */
const blobOf = (kind: DataBlob.BlobKind, sizeBytes: number, filler = 0): Uint8Array => {
  const blob = new Uint8Array(sizeBytes).fill(filler)
  new DataView(blob.buffer).setBigUint64(0, DataBlob.magics[kind], true)
  return blob
}

const inStore = (
  title: string,
  test: (
    store: ChunkStore.ChunkStore["Service"],
    layout: StoreLayout,
    path: string
  ) => Effect.Effect<void, unknown>
): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      const layout = yield* newLayout(digest)
      const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
      yield* test(store, layout, chunkPath(layout, digest))
      assert.isTrue(namesBeside(layout, digest).every((name) => !name.includes(".tmp_")))
    }).pipe(Effect.provide(platform))
  )

const longAgo = 1_000_000_000

const age = (path: string): void => fs.utimesSync(path, longAgo, longAgo)

/** Stores `present` by hand, inserts `coming`, and answers what is there then. */
const insertOver = (
  store: ChunkStore.ChunkStore["Service"],
  path: string,
  present: Uint8Array,
  coming: Uint8Array
) =>
  Effect.gen(function* () {
    fs.writeFileSync(path, present)
    age(path)
    const result = yield* Effect.result(store.insertEncoded(digest, coming))
    const { atimeMs, mtimeMs } = fs.lstatSync(path)
    return {
      outcome:
        result._tag === "Success"
          ? result.success.duplicate
            ? "kept"
            : "replaced"
          : result.failure._tag === "StoreError"
            ? result.failure.reason
            : result.failure.message,
      sizeBytes: fs.statSync(path).size,
      firstByte: fs.readFileSync(path)[20],
      isTouched: atimeMs > longAgo * 1000 && mtimeMs === longAgo * 1000
    }
  })

describe("ChunkStore inserts by the rules of Proxmox Backup Server", () => {
  inStore("1: what is there and is no regular file is an error", (store, _, path) =>
    Effect.gen(function* () {
      fs.mkdirSync(path)
      assert.strictEqual((yield* Effect.flip(store.insert(sample)))._tag, "StoreError")
      assert.include(
        (yield* Effect.flip(store.insertEncoded(digest, blobOf("zstd", 50)))).message,
        "regular file"
      )
      fs.rmdirSync(path)
      fs.symlinkSync("/nowhere", path)
      assert.include((yield* Effect.flip(store.insert(sample))).message, "regular file")
    })
  )

  inStore("2: the same encoded size is a duplicate: touched, not written", (store, _, path) =>
    Effect.gen(function* () {
      for (const kind of ["plain", "zstd", "encrypted", "encrypted-zstd"] as const) {
        const result = yield* insertOver(store, path, blobOf(kind, 100, 1), blobOf(kind, 100, 2))
        assert.deepStrictEqual(result, { outcome: "kept", sizeBytes: 100, firstByte: 1, isTouched: true })
      }
    })
  )

  inStore("3: an empty file is overwritten", (store, _, path) =>
    Effect.gen(function* () {
      for (const kind of ["plain", "encrypted"] as const) {
        const result = yield* insertOver(store, path, new Uint8Array(0), blobOf(kind, 100, 2))
        assert.deepStrictEqual(result, {
          outcome: "replaced",
          sizeBytes: 100,
          firstByte: 2,
          isTouched: false
        })
      }
      fs.writeFileSync(path, "")
      assert.isFalse((yield* store.insert(sample)).duplicate)
      assert.deepStrictEqual(
        Buffer.from(yield* store.read({ ...sample, sizeBytes: 5000 })),
        Buffer.from(sample.data)
      )
    })
  )

  inStore(
    "4: an encrypted chunk of another size is refused or a duplicate, never written",
    (store, _, path) =>
      Effect.gen(function* () {
        const outcomes = [
          ["plain", "encrypted", "Refused"],
          ["plain", "encrypted-zstd", "Refused"],
          ["zstd", "encrypted", "Refused"],
          ["encrypted", "encrypted", "Refused"],
          ["encrypted", "encrypted-zstd", "kept"],
          ["encrypted-zstd", "encrypted", "kept"],
          ["encrypted-zstd", "encrypted-zstd", "kept"]
        ] as const
        for (const [present, coming, outcome] of outcomes) {
          for (const sizeBytes of [90, 110]) {
            const result = yield* insertOver(
              store,
              path,
              blobOf(present, 100, 1),
              blobOf(coming, sizeBytes, 2)
            )
            const { isTouched, ...rest } = result
            const pair = `${coming} over ${present}`
            assert.deepStrictEqual(rest, { outcome, sizeBytes: 100, firstByte: 1 }, pair)
            if (outcome === "kept") assert.isTrue(isTouched, pair)
          }
        }
      })
  )

  inStore("5: of two unencrypted chunks the smaller stays", (store, _, path) =>
    Effect.gen(function* () {
      const kept = yield* insertOver(store, path, blobOf("zstd", 100, 1), blobOf("plain", 101, 2))
      assert.deepStrictEqual(kept, { outcome: "kept", sizeBytes: 100, firstByte: 1, isTouched: true })
      const replaced = yield* insertOver(store, path, blobOf("plain", 100, 1), blobOf("zstd", 99, 2))
      assert.deepStrictEqual(replaced, { outcome: "replaced", sizeBytes: 99, firstByte: 2, isTouched: false })
    })
  )

  for (const syncLevel of ["none", "filesystem", "file"] as const) {
    it.live(`6: written beside and renamed; sync level ${syncLevel}`, () => {
      const calls: Array<Operation> = []
      const before = (operation: Operation) => Effect.sync(() => void calls.push(operation))
      return Effect.gen(function* () {
        const layout = yield* newLayout(digest)
        const store = yield* ChunkStore.make(layout, { syncLevel })
        assert.isFalse((yield* store.insert(sample)).duplicate)
        const written = ["stat", "createFile", "stat", "rename"]
        assert.deepStrictEqual(calls, syncLevel === "file" ? [...written, "syncDirectory"] : written)
        assert.deepStrictEqual(namesBeside(layout, digest), [digest])
        assert.strictEqual(fs.statSync(chunkPath(layout, digest)).mode & 0o777, 0o644)
      }).pipe(Effect.provide(hookedPlatform({ before })))
    })
  }
})

describe("ChunkStore.insert", () => {
  inStore("stores every kind and answers the size of the file", (store, _, path) =>
    Effect.gen(function* () {
      const inserted = yield* store.insert(sample)
      assert.deepStrictEqual(inserted, { duplicate: false, encodedSizeBytes: fs.statSync(path).size })
      assert.isBelow(inserted.encodedSizeBytes, 200)
      age(path)
      const again = yield* store.insert(sample)
      assert.deepStrictEqual(again, { ...inserted, duplicate: true })
      assert.isAbove(fs.statSync(path).atimeMs, longAgo * 1000)
      assert.strictEqual(fs.statSync(path).mtimeMs, longAgo * 1000)
    })
  )

  it.live("what a power loss may have torn is proven before it is used again", () =>
    Effect.gen(function* () {
      const layout = yield* newLayout(digest)
      const doubts = [{ fileName: "x", fromSeconds: longAgo - 10, untilSeconds: longAgo + 10 }]
      const doubting = yield* ChunkStore.make(layout, { syncLevel: "none", doubts })
      const trusting = yield* ChunkStore.make(layout, { syncLevel: "none" })
      const path = chunkPath(layout, digest)
      yield* doubting.insert(sample)
      const whole = fs.readFileSync(path)
      age(path)
      assert.isTrue((yield* doubting.insert(sample)).duplicate)
      fs.truncateSync(path, whole.length - 1)
      assert.isTrue((yield* doubting.insert(sample)).duplicate, "written now, so not in doubt")
      age(path)
      assert.isTrue((yield* trusting.insert(sample)).duplicate)
      age(path)
      assert.isFalse((yield* doubting.insert(sample)).duplicate)
      assert.isTrue(fs.readFileSync(path).equals(whole))
      fs.truncateSync(path, whole.length - 1)
      age(path)
      assert.isFalse((yield* doubting.insertEncoded(digest, whole)).duplicate)
      assert.isTrue(fs.readFileSync(path).equals(whole))
    }).pipe(Effect.provide(platform))
  )

  it.live("a chunk that somebody removes while it is taken for a duplicate is stored anew", () => {
    let removes = true
    const before = (operation: Operation, path: string) =>
      Effect.sync(() => {
        if (operation === "touch" && removes) fs.unlinkSync(path)
        if (operation === "touch") removes = false
      })
    return Effect.gen(function* () {
      const layout = yield* newLayout(digest)
      const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
      yield* store.insert(sample)
      assert.isFalse((yield* store.insert(sample)).duplicate)
      assert.isFalse(removes)
      removes = true
      assert.isFalse((yield* store.insertEncoded(digest, yield* store.readEncoded(digest))).duplicate)
      assert.isFalse(removes)
      assert.deepStrictEqual(namesBeside(layout, digest), [digest])
    }).pipe(Effect.provide(hookedPlatform({ before })))
  })

  inStore("refuses encoded bytes that are no blob", (store) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(store.insertEncoded(digest, Buffer.from("nonsense")))
      assert.isTrue(error._tag === "StoreError" && error.reason === "Refused")
    })
  )

  it.live("encrypted chunks lie under the digest of their key and are read with it only", () =>
    Effect.gen(function* () {
      const data = hardData(5)
      const sealed = chunkOf(data, { crypt: key })
      const layout = yield* newLayout(sealed.digest)
      const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
      assert.isFalse((yield* store.insert(sealed)).duplicate)
      assert.isTrue((yield* store.insert(sealed)).duplicate)
      const wanted = { digest: sealed.digest, sizeBytes: 5000 }
      assert.deepStrictEqual(Buffer.from(yield* store.read({ ...wanted, crypt: key })), Buffer.from(data))
      const refused = yield* Effect.flip(store.read({ ...wanted, crypt: otherKey }))
      assert.isTrue(refused._tag === "ChunkError" && refused.reason === "KeyNeeded")
      assert.strictEqual(DataBlob.peekKind(yield* store.readEncoded(sealed.digest)), "encrypted")
    }).pipe(Effect.provide(platform))
  )
})

describe("ChunkStore.touch, stat and readEncoded", () => {
  inStore("touch tells whether the chunk is there", (store, _, path) =>
    Effect.gen(function* () {
      assert.isFalse(yield* store.touch(digest))
      yield* store.insert(sample)
      age(path)
      assert.isTrue(yield* store.touch(digest))
      const stat = yield* store.stat(digest)
      assert.isAbove(stat.atimeSeconds, longAgo)
      assert.strictEqual(stat.mtimeSeconds, longAgo)
    })
  )

  inStore("what is missing is NotFound", (store) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(store.stat(digest))).reason, "NotFound")
      assert.strictEqual((yield* Effect.flip(store.readEncoded(digest))).reason, "NotFound")
      const error = yield* Effect.flip(store.read({ digest, sizeBytes: undefined, crypt: undefined }))
      assert.isTrue(error._tag === "ChunkError" && error.reason === "Missing")
    })
  )
})

describe("ChunkStore.condemn", () => {
  const wanted = { digest, sizeBytes: 5000, crypt: undefined }

  inStore("leaves a good chunk, and what is missing", (store, layout) =>
    Effect.gen(function* () {
      assert.isUndefined(yield* store.condemn(wanted))
      yield* store.insert(sample)
      assert.isUndefined(yield* store.condemn(wanted))
      assert.deepStrictEqual(namesBeside(layout, digest), [digest])
    })
  )

  inStore("leaves a good chunk whose length an index has wrong", (store, layout) =>
    Effect.gen(function* () {
      yield* store.insert(sample)
      const short = { ...wanted, sizeBytes: 4999 }
      assert.strictEqual((yield* store.check(short)).state, "corrupt")
      assert.isUndefined(yield* store.condemn(short))
      assert.deepStrictEqual(namesBeside(layout, digest), [digest])
    })
  )

  inStore(
    "takes the first free number from 0 to 9, then the last again; an upload heals",
    (store, layout, path) =>
      Effect.gen(function* () {
        const names: Array<string | undefined> = []
        for (let turn = 0; turn < 12; turn++) {
          fs.writeFileSync(path, `bad ${turn}`)
          names.push(yield* store.condemn(wanted))
          assert.isFalse((yield* store.insert(sample)).duplicate)
          assert.strictEqual((yield* store.check(wanted)).state, "good")
        }
        const numbers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9]
        assert.deepStrictEqual(
          names,
          numbers.map((number) => `${digest}.${number}.bad`)
        )
        assert.strictEqual(namesBeside(layout, digest).length, 11)
        assert.strictEqual(fs.readFileSync(`${path}.9.bad`, "utf8"), "bad 11")
      })
  )

  it.live("a wrong key condemns nothing, a right one what is not its own", () =>
    Effect.gen(function* () {
      const [one, other] = [chunkOf(hardData(1), { crypt: key }), chunkOf(hardData(2), { crypt: key })]
      const layout = yield* newLayout(one.digest, other.digest)
      const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
      yield* store.insert(one)
      yield* store.insert(other)
      const swapped = (crypt: typeof key | undefined) =>
        store.condemn({ digest: one.digest, sizeBytes: 5000, crypt })
      fs.copyFileSync(chunkPath(layout, other.digest), chunkPath(layout, one.digest))
      assert.isUndefined(yield* swapped(undefined))
      assert.isUndefined(yield* swapped(otherKey))
      assert.strictEqual(yield* swapped(key), `${one.digest}.0.bad`)
    }).pipe(Effect.provide(platform))
  )
})
