/** Whether chunks of a datastore in a bucket are there: what the folder does not know, the server is asked for. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Digest from "../../../src/model/Digest.ts"
import { around } from "../../../src/objectstore/decorators/ObjectRequest.ts"
import { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import * as BucketPresence from "../../../src/store/bucket/BucketPresence.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { chunkPath, layoutOf } from "../../../src/store/StoreLayout.ts"
import { MemoryBucket, MemoryDisk, MemoryObjectStore, MemoryPlatform } from "../../../src/testing.ts"

const layout = layoutOf("/cache")

const digestNumber = (number: number): Digest.Digest =>
  Digest.parse(number.toString(16).padStart(4, "0").padEnd(64, "0"))

const keyOf = (digest: Digest.Digest): string => `store/.chunks/${Digest.prefix(digest)}/${digest}`

class Scene {
  readonly bucket = new MemoryBucket()
  readonly disk = new MemoryDisk()
  readonly requests: Array<string> = []
  failing: string | undefined

  constructor() {
    this.disk.makeDirectory(layout.base, 0o755, 0)
    this.disk.makeDirectory(layout.chunks, 0o750, 0)
  }

  put(number: number, content = "some content"): void {
    this.bucket.put(keyOf(digestNumber(number)), Buffer.from(content), 0)
  }

  folder(number: number): void {
    this.disk.makeDirectory(`${layout.chunks}/${Digest.prefix(digestNumber(number))}`, 0o750, 0)
  }

  mark(number: number): void {
    this.disk.create(chunkPath(layout, digestNumber(number)), 0o644, 0)
  }

  /** The size of what the folder has of it; undefined for nothing. */
  local(number: number): number | undefined {
    const digest = digestNumber(number)
    const [, file] =
      this.disk.list(`${layout.chunks}/${Digest.prefix(digest)}`, 0).find(([name]) => name === digest) ?? []
    return file?.content.length
  }

  readonly findAbsent = (...numbers: ReadonlyArray<number>) => {
    const objects = around(MemoryObjectStore.make(this.bucket), ({ key, operation }, request) =>
      Effect.suspend(() => {
        this.requests.push(operation)
        return operation === this.failing
          ? Effect.fail(new ObjectStoreError({ operation, key, reason: "Unavailable" }))
          : request
      })
    )
    const bucket = StoreBucket.make({ objects, name: "store" })
    const rows = Buffer.concat(numbers.map((number) => Digest.toBytes(digestNumber(number))))
    return Effect.gen(function* () {
      const guards = yield* DigestGuards.DigestGuards
      const { findAbsent } = yield* BucketPresence.make(layout, bucket, guards)
      return yield* findAbsent(rows)
    }).pipe(
      Effect.provide(
        Layer.provideMerge(DigestGuards.layer(layout), MemoryPlatform.layer({ disk: this.disk }))
      )
    )
  }
}

describe("BucketPresence", () => {
  it.effect("believes the folder, and asks the server for what the folder does not know", () =>
    Effect.gen(function* () {
      const scene = new Scene()
      for (const number of [0, 1, 2, 3]) scene.folder(number)
      scene.mark(0)
      scene.put(1)
      scene.put(3, "")
      assert.deepStrictEqual(yield* scene.findAbsent(0, 1, 2, 3), [2, 3])
      assert.deepStrictEqual(scene.requests, ["head", "head", "head"])
    })
  )

  it.effect("makes a marker of what exists, so that nobody asks again, and of nothing else", () =>
    Effect.gen(function* () {
      const scene = new Scene()
      for (const number of [1, 2, 3]) scene.folder(number)
      scene.put(1)
      scene.put(3, "")
      yield* scene.findAbsent(1, 2, 3)
      assert.deepStrictEqual(
        [1, 2, 3].map((number) => scene.local(number)),
        [0, undefined, undefined]
      )
      scene.requests.length = 0
      assert.deepStrictEqual(yield* scene.findAbsent(1), [])
      assert.deepStrictEqual(scene.requests, [])
    })
  )

  it.effect("says nothing of a chunk when the server does not answer", () =>
    Effect.gen(function* () {
      const scene = new Scene()
      scene.folder(1)
      scene.failing = "head"
      const error = yield* Effect.flip(scene.findAbsent(1))
      assert.strictEqual(error._tag, "ObjectStoreError")
      assert.isUndefined(scene.local(1))
    })
  )

  it.effect("lists when it would have to ask for many, and asks for what the listing lacks", () =>
    Effect.gen(function* () {
      const scene = new Scene()
      const numbers = Array.from({ length: 5000 }, (_, number) => number)
      for (const number of numbers) if (number !== 7 && number !== 8) scene.put(number)
      scene.put(8, "")
      assert.deepStrictEqual(yield* scene.findAbsent(...numbers), [7, 8])
      assert.strictEqual(scene.requests.filter((operation) => operation === "list").length, 5)
      assert.strictEqual(scene.requests.filter((operation) => operation === "head").length, 2)
      assert.strictEqual(scene.requests.length, 7)
    })
  )
})
