/** What `df` shows of a tree: the file system that the store is on, and nothing of a bucket. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { statfsSync } from "node:fs"
import * as BucketReading from "../../src/datastore/BucketReading.ts"
import * as VfsLayer from "../../src/vfs/VfsLayer.ts"
import { copyFixtureStore, fixturesExist, removeStore, withStore } from "../restore/browseStore.ts"
import { serverOf, uploadStore } from "../store/bucket/bucketScene.ts"
import { platform } from "../store/stores.ts"

describe.skipIf(!fixturesExist)("the statistics of a tree", () => {
  let folder = ""
  beforeAll(() => {
    if (fixturesExist) folder = copyFixtureStore()
  })
  afterAll(() => removeStore(folder))

  const statistics = Effect.flatMap(VfsLayer.make(), (vfs) => vfs.statistics)

  it.live("are those of the file system that holds the store", () =>
    Effect.gen(function* () {
      const { availableBytes, longestNameBytes, totalBytes } = yield* withStore(folder)(statistics)
      const { blocks, bsize } = statfsSync(folder)
      assert.strictEqual(totalBytes, blocks * bsize)
      assert.isAbove(availableBytes, 0)
      assert.isAtMost(availableBytes, totalBytes)
      assert.strictEqual(longestNameBytes, 255)
    })
  )

  it.live("of a bucket say nothing", () =>
    Effect.gen(function* () {
      const { bucket } = yield* serverOf(uploadStore(folder))
      const reading = Layer.provideMerge(Layer.fresh(BucketReading.layer(bucket)), platform)
      const found = yield* Effect.provide(Effect.scoped(statistics), reading)
      assert.deepStrictEqual(found, { totalBytes: 0, availableBytes: 0, longestNameBytes: 255 })
    })
  )
})
