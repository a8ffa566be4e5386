/** BucketChunks on the machine: real files and locks, worker threads, a folder as a bucket, and the cache of production. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { Meter, metered } from "../../../src/objectstore/decorators/metered.ts"
import * as DirectoryObjectStore from "../../../src/objectstore/DirectoryObjectStore.ts"
import * as NodePlatform from "../../../src/platform/NodePlatform.ts"
import * as BucketChunks from "../../../src/store/bucket/BucketChunks.ts"
import * as ChunkCache from "../../../src/store/bucket/ChunkCache.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import * as ChunkPresence from "../../../src/store/ChunkPresence.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { chunkPath, type StoreLayout } from "../../../src/store/StoreLayout.ts"
import * as Digest from "../../../src/model/Digest.ts"
import { chunkOf, hardData, key, shared, softData } from "../../platform/chunks.ts"
import { scratchFolder } from "../../platform/scratch.ts"
import { namesBeside, newLayout } from "../stores.ts"

const platform = Layer.fresh(NodePlatform.layerWith({ threads: 2 }))
const sizeBytes = 1_500_000
const chunks = Array.from({ length: 8 }, (_, number) =>
  chunkOf(
    number % 2 === 0 ? hardData(number, sizeBytes) : softData(number, sizeBytes),
    number % 4 < 2 ? {} : { crypt: key }
  )
)
const wanted = ({ crypt, data, digest }: (typeof chunks)[number]) => ({
  digest,
  crypt,
  sizeBytes: data.length
})

const open = (layout: StoreLayout, folder: string, maxBytes: number) =>
  Effect.gen(function* () {
    const meter = new Meter()
    const objects = yield* metered(yield* DirectoryObjectStore.make(folder, { sync: false }), { meter })
    const guards = yield* DigestGuards.make(layout)
    const cache = yield* ChunkCache.make(layout, guards, { maxBytes })
    const bucket = StoreBucket.make({ objects, name: "store" })
    const store = yield* BucketChunks.make(layout, bucket, cache, { guards, syncLevel: "file" })
    return { store, cache, bucket, requests: Effect.map(meter.usage, (usage) => usage.requests) }
  })

const newBucket = Effect.tap(scratchFolder, DirectoryObjectStore.create)

const newCacheFolder = newLayout(...chunks.map(({ digest }) => digest))

describe("BucketChunks on the machine", () => {
  it.live("two hosts share what one has stored; each reads every chunk once from the bucket", () =>
    Effect.gen(function* () {
      const bucket = yield* newBucket
      const [first, second] = [yield* newCacheFolder, yield* newCacheFolder]
      const one = yield* open(first, bucket, 2 ** 30)
      yield* Effect.forEach(chunks, (chunk) => one.store.insert({ ...chunk, data: shared(chunk.data) }), {
        concurrency: 4
      })
      yield* Effect.forEach(chunks, (chunk) => one.store.insert(chunk))
      assert.strictEqual(yield* one.requests, chunks.length)
      const row = Buffer.concat(chunks.map(({ digest }) => Digest.toBytes(digest)))
      const presence = yield* ChunkPresence.make(first, { countsMarkers: true })
      assert.deepStrictEqual(yield* presence.findAbsent(row), [])

      const two = yield* open(second, bucket, 2 ** 30)
      for (let turn = 0; turn < 2; turn++) {
        const twice = [...chunks, ...chunks]
        yield* Effect.forEach(
          twice,
          (chunk, number) =>
            Effect.gen(function* () {
              const target = shared(new Uint8Array(sizeBytes + number))
              const data = yield* two.store.read(wanted(chunk), target)
              assert.isTrue(Buffer.from(chunk.data).equals(data))
            }),
          { concurrency: 16 }
        )
        assert.strictEqual(yield* two.requests, chunks.length)
      }
      for (const chunk of chunks) assert.strictEqual((yield* two.store.check(wanted(chunk))).state, "good")
    }).pipe(Effect.provide(platform))
  )

  it.live(
    "what is evicted is a marker, and is read from the bucket; a corrupt chunk is set aside and comes back",
    () =>
      Effect.gen(function* () {
        const bucket = yield* newBucket
        const layout = yield* newCacheFolder
        const { store, cache, bucket: inside, requests } = yield* open(layout, bucket, 3 * sizeBytes)
        yield* Effect.forEach(chunks, store.insert)
        yield* cache.trim
        const sizes = chunks.map(({ digest }) => fs.statSync(chunkPath(layout, digest)).size)
        assert.isBelow(
          sizes.reduce((sum, size) => sum + size, 0),
          3 * sizeBytes + 1
        )
        const evicted = chunks.find((_, number) => sizes[number] === 0)!
        const before = yield* requests
        assert.isTrue(Buffer.from(evicted.data).equals(yield* store.read(wanted(evicted))))
        assert.strictEqual(yield* requests, before + 1)

        const [victim] = chunks as [(typeof chunks)[number]]
        fs.writeFileSync(chunkPath(layout, victim.digest), "")
        const { digest } = victim
        const body = yield* store.readEncoded(digest)
        const objectKey = StoreBucket.keyOf(inside, { kind: "chunk", digest })
        yield* inside.objects.put(objectKey, body.subarray(0, 1000))
        assert.strictEqual((yield* store.check(wanted(victim))).state, "corrupt")
        assert.strictEqual(yield* store.condemn(wanted(victim)), `${victim.digest}.0.bad`)
        assert.deepStrictEqual(namesBeside(layout, victim.digest), [`${victim.digest}.0.bad`])
        assert.isFalse((yield* store.insert(victim)).duplicate)
        assert.isTrue(Buffer.from(victim.data).equals(yield* store.read(wanted(victim))))
      }).pipe(Effect.provide(platform))
  )
})
