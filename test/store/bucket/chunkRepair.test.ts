/** BucketChunks.check and condemn: the bucket is what counts, and no step on the way may lose anything. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { loseAll } from "../../../src/testing/MemoryDisk.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { chunkOf, hardData, key, otherKey } from "../../platform/chunks.ts"
import {
  assertBytes,
  blobOf,
  damaged,
  failing,
  type Host,
  type HostOptions,
  keyText,
  losing,
  objectOf,
  openHost,
  sample,
  wanted
} from "./chunkScene.ts"

const empty = new Uint8Array(0)
const blob = blobOf(sample)
const bad = damaged(blob)
const badKey = (number: number) => `${keyText(sample)}.${number}.bad`
const badName = (number: number) => `${sample.digest}.${number}.bad`

const scene = (
  title: string,
  test: (host: Host, bucket: MemoryBucket) => Effect.Effect<void, unknown, Scope.Scope>,
  options: HostOptions = {}
): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      yield* test(yield* openHost(bucket, options), bucket)
    })
  )

const state = (host: Host) => Effect.map(host.chunks.check(wanted(sample)), (verdict) => verdict.state)

describe("BucketChunks.check", () => {
  scene("judges the object, whatever the cache holds", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(keyText(sample), blob, 0)
      for (const content of [empty, blob, bad]) {
        host.lay(sample.digest, content)
        const verdict = yield* host.chunks.check(wanted(sample))
        assert.deepStrictEqual(verdict, {
          state: "good",
          kind: "zstd",
          encodedSizeBytes: blob.length,
          isProven: true
        })
        assert.deepStrictEqual(host.takeRequests(), ["get"])
        assertBytes(host.content(sample), content)
      }
      host.lay(sample.digest, blob)
      for (const body of [bad, blob.subarray(1), empty]) {
        bucket.put(keyText(sample), body, 0)
        assert.strictEqual(yield* state(host), "corrupt")
      }
      host.server.answer = failing("TooLarge", ["get"])
      assert.strictEqual(yield* state(host), "corrupt")
    })
  )

  scene("a missing object takes its marker along, so that the next backup stores it", (host) =>
    Effect.gen(function* () {
      host.lay(sample.digest, empty)
      assert.strictEqual(yield* state(host), "missing")
      assert.deepStrictEqual(host.names(sample), [])
      assert.isFalse((yield* host.chunks.insert(sample)).duplicate)
      assert.strictEqual(yield* state(host), "good")
    })
  )

  scene("a missing object comes back from good content of the cache, and never from bad", (host, bucket) =>
    Effect.gen(function* () {
      host.lay(sample.digest, blob)
      assert.strictEqual(yield* state(host), "good")
      assertBytes(objectOf(bucket, sample), blob)
      bucket.delete(keyText(sample), 0)
      host.lay(sample.digest, bad)
      assert.strictEqual(yield* state(host), "missing")
      assert.deepStrictEqual([host.names(sample), bucket.keys()], [[], []])
    })
  )

  scene("a missing object that somebody stores meanwhile keeps its marker", (host, bucket) =>
    Effect.gen(function* () {
      host.lay(sample.digest, empty)
      let isFirst = true
      host.server.answer = (_, run) => {
        if (!isFirst) return undefined
        isFirst = false
        return Effect.tapError(run, () => Effect.sync(() => void bucket.put(keyText(sample), blob, 0)))
      }
      assert.strictEqual(yield* state(host), "good")
      assertBytes(host.content(sample), empty)
    })
  )

  scene("a 404 that cannot be confirmed takes nothing away", (host) =>
    Effect.gen(function* () {
      host.lay(sample.digest, empty)
      host.server.answer = failing("Disconnected", ["head"])
      assert.strictEqual(yield* state(host), "missing")
      assertBytes(host.content(sample), empty)
    })
  )
})

describe("BucketChunks.condemn", () => {
  scene("leaves good chunks, missing ones, and those whose length an index has wrong", (host, bucket) =>
    Effect.gen(function* () {
      assert.isUndefined(yield* host.chunks.condemn(wanted(sample)))
      yield* host.chunks.insert(sample)
      host.lay(sample.digest, bad)
      assert.isUndefined(yield* host.chunks.condemn(wanted(sample)))
      assert.isUndefined(yield* host.chunks.condemn({ ...wanted(sample), sizeBytes: 4999 }))
      assert.deepStrictEqual(bucket.keys(), [keyText(sample)])
      assert.deepStrictEqual(host.names(sample), [sample.digest])
    })
  )

  for (const content of [empty, bad, undefined]) {
    const what = content === undefined ? "nothing" : content.length === 0 ? "a marker" : "bad content"
    scene(`sets the object aside, and what is local: ${what} (R6)`, (host, bucket) =>
      Effect.gen(function* () {
        bucket.put(keyText(sample), bad, 0)
        if (content !== undefined) host.lay(sample.digest, content)
        assert.strictEqual(yield* host.chunks.condemn(wanted(sample)), badName(0))
        assert.deepStrictEqual(bucket.keys(), [badKey(0)])
        assertBytes(bucket.find(badKey(0))?.body, bad)
        assert.deepStrictEqual(host.names(sample), content === undefined ? [] : [badName(0)])
        assert.isFalse((yield* host.chunks.insert(sample)).duplicate)
        assert.strictEqual(yield* state(host), "good")
      })
    )
  }

  scene("good content of the cache takes the place of a corrupt object", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(keyText(sample), bad, 0)
      host.lay(sample.digest, blob)
      assert.strictEqual(yield* host.chunks.condemn(wanted(sample)), badName(0))
      assertBytes(objectOf(bucket, sample), blob)
      assertBytes(bucket.find(badKey(0))?.body, bad)
      assert.deepStrictEqual(host.names(sample), [sample.digest])
      assert.strictEqual(yield* state(host), "good")
    })
  )

  scene("takes the first number that is free in both places, then the last again", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(badKey(0), bad, 0)
      host.lay(badName(1), empty)
      const names: Array<string | undefined> = []
      for (let turn = 0; turn < 10; turn++) {
        bucket.put(keyText(sample), bad, 0)
        names.push(yield* host.chunks.condemn(wanted(sample)))
      }
      assert.deepStrictEqual(names, [2, 3, 4, 5, 6, 7, 8, 9, 9, 9].map(badName))
    })
  )

  it.live("a wrong key condemns nothing, a right one what is not its own", () =>
    Effect.gen(function* () {
      const [one, other] = [chunkOf(hardData(1), { crypt: key }), chunkOf(hardData(2), { crypt: key })]
      const bucket = new MemoryBucket()
      const host = yield* openHost(bucket, {}, [one])
      bucket.put(keyText(one), blobOf(other), 0)
      for (const crypt of [undefined, otherKey]) {
        assert.isUndefined(yield* host.chunks.condemn({ ...wanted(one), crypt }))
      }
      assert.strictEqual(yield* host.chunks.condemn(wanted(one)), `${one.digest}.0.bad`)
    })
  )

  scene("trouble with reading condemns nothing (R12)", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(keyText(sample), bad, 0)
      host.lay(sample.digest, empty)
      for (const reason of ["Disconnected", "Truncated", "Throttled"] as const) {
        host.server.answer = failing(reason, ["get"])
        const error = yield* Effect.flip(host.chunks.condemn(wanted(sample)))
        assert.strictEqual(error.reason, reason)
        assert.deepStrictEqual([host.names(sample), bucket.keys()], [[sample.digest], [keyText(sample)]])
      }
    })
  )

  const operations = ["head", "get", "copy", "deleteMany"]
  scene("however far it gets, the name goes before the object, and its bytes stay", (host, bucket) =>
    Effect.gen(function* () {
      let isComplete = false
      for (let reached = 0; !isComplete; reached++) {
        for (const fault of [failing("Disconnected", operations), losing(operations)]) {
          for (const key of bucket.keys()) bucket.delete(key, 0)
          host.clear(sample)
          bucket.put(keyText(sample), bad, 0)
          host.lay(sample.digest, empty)
          let count = 0
          host.server.answer = (request, run) => (count++ === reached ? fault(request, run) : undefined)
          const result = yield* Effect.result(host.chunks.condemn(wanted(sample)))
          isComplete = result._tag === "Success"
          const isThere = objectOf(bucket, sample) !== undefined
          assert.isTrue(isThere || !host.names(sample).includes(sample.digest), `request ${reached}`)
          assert.isTrue(bucket.keys().some((name) => Buffer.from(bad).equals(bucket.find(name)!.body)))
          host.server.answer = () => undefined
          yield* host.chunks.condemn(wanted(sample))
          assert.isUndefined(objectOf(bucket, sample))
        }
      }
      assert.isAbove(host.takeRequests().length, 20)
    })
  )

  scene("no power loss brings the name back", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(keyText(sample), bad, 0)
      host.lay(sample.digest, empty)
      host.disk.syncAll()
      yield* host.chunks.condemn(wanted(sample))
      host.disk.losePower(loseAll)
      assert.isFalse(host.names(sample).includes(sample.digest))
    })
  )

  scene("an object that another host has replaced meanwhile stays", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(keyText(sample), bad, 0)
      host.server.answer = ({ operation }, run) =>
        operation === "copy"
          ? Effect.tap(run, () => Effect.sync(() => void bucket.put(keyText(sample), blob, 0)))
          : undefined
      yield* host.chunks.condemn(wanted(sample))
      assertBytes(objectOf(bucket, sample), blob)
    })
  )

  const told: Array<boolean> = []
  let isThere = (): boolean => false
  scene(
    "other hosts are told before the object goes, and only then",
    (host, bucket) =>
      Effect.gen(function* () {
        isThere = () => objectOf(bucket, sample) !== undefined
        yield* host.chunks.condemn(wanted(sample))
        bucket.put(keyText(sample), bad, 0)
        host.lay(sample.digest, blob)
        yield* host.chunks.condemn(wanted(sample))
        assert.deepStrictEqual(told, [])
        host.lay(sample.digest, empty)
        bucket.put(keyText(sample), bad, 0)
        yield* host.chunks.condemn(wanted(sample))
        assert.deepStrictEqual(told, [true])
      }),
    { condemning: Effect.sync(() => void told.push(isThere())) }
  )
})
