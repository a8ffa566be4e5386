/** The tree of a datastore that is read straight from its bucket: as from a folder, with few requests. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as BucketReading from "../../src/datastore/BucketReading.ts"
import type * as Datastore from "../../src/datastore/Datastore.ts"
import * as VfsLayer from "../../src/vfs/VfsLayer.ts"
import { copyFixtureStore, fixturesExist, removeStore, withStore } from "../restore/browseStore.ts"
import { serverOf, storeName, uploadStore } from "../store/bucket/bucketScene.ts"
import { platform } from "../store/stores.ts"
import { describeTree, find, namesIn } from "./trees.ts"

const split = "host/v2-plain/2024-01-01T00:00:00Z"

describe.skipIf(!fixturesExist)("a datastore in a bucket", () => {
  let folder = ""
  beforeAll(() => {
    if (fixturesExist) folder = copyFixtureStore()
  })
  afterAll(() => removeStore(folder))

  type Server = Effect.Success<ReturnType<typeof serverOf>>

  /** Runs with a bucket open that holds the same as the folder. */
  const inBucket = <A, E>(
    use: (server: Server) => Effect.Effect<A, E, Datastore.Datastore | Scope.Scope>,
    freshSeconds = 30
  ) =>
    Effect.flatMap(serverOf(uploadStore(folder)), (server) => {
      const reading = Layer.fresh(BucketReading.layer(server.bucket, { freshSeconds }))
      return Effect.provide(Effect.scoped(use(server)), Layer.provideMerge(reading, platform))
    })

  it.live("shows what it shows in a folder", () =>
    Effect.gen(function* () {
      const local = yield* Effect.gen(function* () {
        const vfs = yield* VfsLayer.make()
        return yield* describeTree(vfs, yield* find(vfs, split))
      }).pipe(withStore(folder))
      const remote = yield* inBucket(() =>
        Effect.gen(function* () {
          const vfs = yield* VfsLayer.make()
          return yield* describeTree(vfs, yield* find(vfs, split))
        })
      )
      assert.isAbove(local.length, 100)
      assert.deepStrictEqual(remote, local)
    })
  )

  it.live("is listed with few requests, and not again", () =>
    inBucket((server) =>
      Effect.gen(function* () {
        const count = Effect.map(server.requests, (requests) =>
          Object.values(requests).reduce((sum, each) => sum + each, 0)
        )
        yield* count
        const vfs = yield* VfsLayer.make()
        yield* count
        assert.isAbove((yield* namesIn(vfs, `${split}/root.pxar`)).length, 10)
        assert.isAtMost(yield* count, 8)
        yield* namesIn(vfs, `${split}/root.pxar/acl`)
        yield* namesIn(vfs, `${split}/root.pxar`)
        assert.strictEqual(yield* count, 0)
      })
    )
  )

  it.effect("tells of a snapshot that somebody removed that it is gone", () =>
    inBucket(
      (server) =>
        Effect.gen(function* () {
          const vfs = yield* VfsLayer.make()
          const snapshot = yield* find(vfs, split)
          const archive = yield* find(vfs, `${split}/root.pxar`)
          const { entries } = yield* vfs.list(archive.inode)
          const file = entries.find(
            ({ attributes }) => attributes.kind === "file" && attributes.sizeBytes > 0
          )
          for (const key of server.memory.keys()) {
            if (key.includes("v2-plain/2024")) server.memory.delete(key, 0)
            if (key.includes("/.chunks/")) server.memory.delete(key, 0)
          }
          yield* TestClock.adjust("6 minutes")
          const reasons = yield* Effect.forEach(
            [
              vfs.attributes(snapshot.inode),
              vfs.list(archive.inode),
              vfs.read(file?.attributes.inode ?? 0n, 0, 10),
              find(vfs, split)
            ],
            (effect: Effect.Effect<unknown, { readonly reason: string }>) =>
              Effect.map(Effect.flip(effect), ({ reason }) => reason)
          )
          assert.deepStrictEqual(reasons, ["Gone", "Gone", "Gone", "NotFound"])
          assert.isTrue(server.memory.keys().some((key) => key.startsWith(storeName)))
        }),
      0
    )
  )
})
