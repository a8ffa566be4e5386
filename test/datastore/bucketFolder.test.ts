/** A directory backed up into a bucket, with a cache folder on the disk: listed, restored, verified, forgotten. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as ForgetGroup from "../../src/prune/ForgetGroup.ts"
import * as Listing from "../../src/restore/Listing.ts"
import * as FolderMark from "../../src/store/bucket/FolderMark.ts"
import * as Generation from "../../src/store/bucket/Generation.ts"
import * as StoreBucket from "../../src/store/bucket/StoreBucket.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import { assertVerified, backUp, differences, group, newStore, sampleTree } from "../backup/stores.ts"
import { platform } from "../store/stores.ts"

const bucketOf = (memory: MemoryBucket) =>
  StoreBucket.make({ objects: MemoryObjectStore.make(memory), name: "store" })

/** A cache folder as `granary init` makes it. */
const newCache = (memory: MemoryBucket) =>
  Effect.tap(newStore, (path) =>
    Effect.gen(function* () {
      const bucket = bucketOf(memory)
      yield* Generation.remember(layoutOf(path), yield* Generation.ensure(bucket))
      yield* FolderMark.claim(layoutOf(path), bucket, "ready")
    }).pipe(Effect.provide(platform))
  )

const inBucket =
  (
    path: string,
    memory: MemoryBucket,
    options: Pick<Datastore.DatastoreOptions, "cache" | "maxCacheBytes"> = {}
  ) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) => {
    const bucket = bucketOf(memory)
    return Effect.provide(
      Effect.scoped(effect),
      Layer.provideMerge(Layer.fresh(Datastore.layer({ path, bucket, ...options })), platform)
    )
  }

/** Files of snapshots and groups in the folder, with their content. */
const filesOf = (folder: string): ReadonlyArray<readonly [string, string]> =>
  readdirSync(folder)
    .filter((top) => !top.startsWith("."))
    .flatMap((top) =>
      readdirSync(join(folder, top), { recursive: true, encoding: "utf8" }).map((name) => join(top, name))
    )
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => [name, readFileSync(join(folder, name), "latin1")] as const)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))

const objectsOf = (memory: MemoryBucket): ReadonlyArray<readonly [string, string]> =>
  memory
    .keys()
    .filter((key) => key.startsWith("store/.cnt/"))
    .map((key) => {
      const body = memory.find(key)?.body ?? new Uint8Array(0)
      return [key.slice("store/.cnt/".length), Buffer.from(body).toString("latin1")] as const
    })

/** What the folder keeps of each chunk in the bucket, in bytes. */
const keptBytes = (path: string, memory: MemoryBucket): ReadonlyArray<number> =>
  memory
    .keys()
    .filter((key) => key.startsWith("store/.chunks/"))
    .map((key) => statSync(join(path, key.slice("store/".length))).size)

describe("a directory in a bucket", () => {
  for (const cache of ["use", "bypass"] as const) {
    it.live(`is backed up, listed, restored and verified (cache: ${cache})`, () =>
      Effect.gen(function* () {
        const memory = new MemoryBucket()
        const path = yield* newCache(memory)
        const root = yield* sampleTree
        const inStore = inBucket(path, memory, { cache })
        const { summary } = yield* backUp(root).pipe(inStore)
        assert.deepStrictEqual(objectsOf(memory), filesOf(path))
        const kept = keptBytes(path, memory)
        assert.isNotEmpty(kept)
        for (const bytes of kept) assert.strictEqual(bytes > 0, cache === "use")
        const [listed] = yield* Stream.runCollect(Listing.snapshots(Namespace.root)).pipe(inStore)
        assert.strictEqual(listed?.state, "finished")
        assert.deepStrictEqual(yield* differences(summary.snapshot, root).pipe(inStore), [])
        yield* assertVerified().pipe(inStore)
        assert.deepStrictEqual(objectsOf(memory), filesOf(path))
        yield* ForgetGroup.forgetGroup(Namespace.root, group).pipe(inStore)
        assert.deepStrictEqual(objectsOf(memory), [])
        assert.deepStrictEqual(filesOf(path), [])
      })
    )
  }

  it.live("is restored by a folder that has lost the content of its chunks", () =>
    Effect.gen(function* () {
      const memory = new MemoryBucket()
      const path = yield* newCache(memory)
      const root = yield* sampleTree
      const { summary } = yield* backUp(root).pipe(inBucket(path, memory, { maxCacheBytes: 0 }))
      assert.deepStrictEqual([...new Set(keptBytes(path, memory))], [0])
      const found = yield* differences(summary.snapshot, root).pipe(inBucket(path, memory))
      assert.deepStrictEqual(found, [])
    })
  )
})
