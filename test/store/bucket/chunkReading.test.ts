/** BucketChunks as readers see it: cache folder or bucket, one request for all, and what is kept of what was read. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ChunkError } from "../../../src/platform/ChunkCodec.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { chunkOf, hardData, key, otherKey, type SampleChunk, shared } from "../../platform/chunks.ts"
import {
  assertBytes,
  blobOf,
  damaged,
  failing,
  type Host,
  type HostOptions,
  keyText,
  objectOf,
  openHost,
  pathOf,
  sample,
  wanted
} from "./chunkScene.ts"

const empty = new Uint8Array(0)
const blob = blobOf(sample)

type LocalState = "marker" | "unknown"

/** A host on a bucket that holds the sample, of which the folder knows or not. */
const scene = (
  title: string,
  test: (host: Host, bucket: MemoryBucket) => Effect.Effect<void, unknown, Scope.Scope>,
  options: HostOptions & { readonly local?: LocalState } = {}
): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      bucket.put(keyText(sample), blob, 0)
      const host = yield* openHost(bucket, options)
      if (options.local !== "unknown") host.lay(sample.digest, empty)
      yield* test(host, bucket)
      assert.isTrue(host.names(sample).every((name) => !name.includes(".tmp_")))
    })
  )

const read = (host: Host, chunk: SampleChunk = sample) => host.chunks.read(wanted(chunk))

const reasonOf = (host: Host, chunk: Parameters<Host["chunks"]["read"]>[0]) =>
  Effect.map(Effect.flip(host.chunks.read(chunk)), (error) => `${error._tag} ${error.reason}`)

describe("BucketChunks.read", () => {
  for (const local of ["marker", "unknown"] as const) {
    scene(
      `fetches by one request and keeps what it got: ${local}`,
      (host) =>
        Effect.gen(function* () {
          host.lay(`${sample.digest}.using`, empty)
          assertBytes(yield* read(host), sample.data)
          assert.deepStrictEqual(host.takeRequests(), ["get"])
          assertBytes(host.content(sample), blob)
          assert.deepStrictEqual(host.names(sample), [sample.digest])
          assert.deepStrictEqual([host.cache.added, host.cache.used], [[blob.length], []])
          assertBytes(yield* read(host), sample.data)
          assert.deepStrictEqual(host.takeRequests(), [])
          assert.deepStrictEqual(host.cache.used, [sample.digest])
          assert.strictEqual(host.cache.added.length, 1)
        }),
      { local }
    )

    for (const [why, options] of [
      ["a session that passes the cache by", { cache: "bypass" }],
      ["a cache that keeps nothing now", { keepsContent: false }],
      ["a disk that is full", { capacityBytes: 10 }]
    ] as const) {
      scene(
        `${why} reads all the same, and keeps nothing: ${local}`,
        (host) =>
          Effect.gen(function* () {
            const before = host.names(sample)
            for (let turn = 0; turn < 2; turn++) {
              assertBytes(yield* read(host), sample.data)
              assert.deepStrictEqual(host.takeRequests(), ["get"])
            }
            assert.deepStrictEqual(host.names(sample), before)
            assert.deepStrictEqual(host.cache.added, [])
          }),
        { ...options, local }
      )
    }

    scene(
      `a read-only folder is as good: ${local}`,
      (host) =>
        Effect.gen(function* () {
          host.disk.isReadOnly = true
          assertBytes(yield* read(host), sample.data)
          assert.deepStrictEqual(host.takeRequests(), ["get"])
        }),
      { local }
    )
  }

  scene("reads into the target, whatever its memory, and proves the length that is wanted", (host) =>
    Effect.gen(function* () {
      for (const memory of [shared(new Uint8Array(9000)), new Uint8Array(9000)]) {
        host.lay(sample.digest, empty)
        // From the bucket, then from the cache.
        for (const expected of [["get"], []]) {
          memory.fill(0)
          const data = yield* host.chunks.read(wanted(sample), memory.subarray(1000, 8000))
          assert.deepStrictEqual([data.buffer, data.byteOffset], [memory.buffer, 1000])
          assertBytes(data, sample.data)
          assert.deepStrictEqual(host.takeRequests(), expected)
        }
      }
      for (const content of [empty, blob]) {
        host.lay(sample.digest, content)
        const short = { ...wanted(sample), sizeBytes: 4999 }
        assert.strictEqual(yield* reasonOf(host, short), "ChunkError Corrupt")
        assertBytes(host.content(sample), blob)
        assertBytes(yield* host.chunks.read({ ...short, sizeBytes: undefined }), sample.data)
      }
      host.lay(sample.digest, empty)
      const small = yield* Effect.flip(host.chunks.read(wanted(sample), new Uint8Array(4999)))
      assert.instanceOf(small, ChunkError)
    })
  )

  it.live("encrypted chunks are kept as they are, and read with their key only", () =>
    Effect.gen(function* () {
      const sealed = chunkOf(hardData(1), { crypt: key })
      const bucket = new MemoryBucket()
      bucket.put(keyText(sealed), blobOf(sealed), 0)
      const host = yield* openHost(bucket, {}, [sealed])
      for (const crypt of [undefined, otherKey]) {
        assert.strictEqual(yield* reasonOf(host, { ...wanted(sealed), crypt }), "ChunkError KeyNeeded")
        assert.isUndefined(host.content(sealed))
      }
      assertBytes(yield* read(host, sealed), sealed.data)
      const kept = host.content(sealed)
      assertBytes(kept, objectOf(bucket, sealed))
      host.takeRequests()
      const noKey = { ...wanted(sealed), crypt: undefined }
      assert.strictEqual(yield* reasonOf(host, noKey), "ChunkError KeyNeeded")
      assert.deepStrictEqual(host.takeRequests(), [])
    })
  )

  scene(
    "readEncoded answers the blob from the cache, or from the bucket when that is no good",
    (host, bucket) =>
      Effect.gen(function* () {
        for (const [content, requests] of [
          [empty, ["get"]],
          [blob, []],
          [damaged(blob), ["get"]]
        ] as const) {
          host.lay(sample.digest, content)
          assertBytes(yield* host.chunks.readEncoded(sample.digest), blob)
          assert.deepStrictEqual(host.takeRequests(), [...requests])
        }
        bucket.delete(keyText(sample), 0)
        host.lay(sample.digest, empty)
        const error = yield* Effect.flip(host.chunks.readEncoded(sample.digest))
        assert.strictEqual(error.reason, "NotFound")
      })
  )
})

describe("BucketChunks.read under trouble", () => {
  for (const [what, content] of [
    ["damaged", damaged(blob)],
    ["cut short", blob.subarray(0, 20)],
    ["full of zeros, as after a power loss", new Uint8Array(blob.length)]
  ] as const) {
    scene(
      `content of the cache that is ${what} is fetched again, and the object left alone`,
      (host, bucket) =>
        Effect.gen(function* () {
          host.lay(sample.digest, content)
          assertBytes(yield* read(host), sample.data)
          assert.deepStrictEqual(host.takeRequests(), ["get"])
          assertBytes(host.content(sample), blob)
          assert.deepStrictEqual(host.names(sample), [sample.digest])
          assert.deepStrictEqual(bucket.keys(), [keyText(sample)])
        })
    )
  }

  scene("corrupt content becomes a marker where nothing is kept", (host) =>
    Effect.gen(function* () {
      host.lay(sample.digest, damaged(blob))
      host.cache.keepsContent = false
      assertBytes(yield* read(host), sample.data)
      assertBytes(host.content(sample), empty)
    })
  )

  let evict = (): void => undefined
  scene(
    "content that is evicted right before it is read is fetched (R14)",
    (host) =>
      Effect.gen(function* () {
        host.lay(sample.digest, blob)
        evict = () => host.lay(sample.digest, empty)
        assertBytes(yield* read(host), sample.data)
        assert.deepStrictEqual(host.takeRequests(), ["get"])
        evict = () => undefined
      }),
    {
      point: (label) => Effect.sync(() => (label === `readFile ${pathOf(sample)}` ? evict() : undefined))
    }
  )

  scene("what lies in the chunk's place and is no file is passed by, and left there", (host) =>
    Effect.gen(function* () {
      host.disk.unlink(pathOf(sample), 0)
      host.disk.makeDirectory(pathOf(sample), 0o755, 0)
      assertBytes(yield* read(host), sample.data)
      assert.strictEqual(host.disk.stat(pathOf(sample)).kind, "directory")
    })
  )

  scene("a corrupt object is Corrupt, and never kept", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(keyText(sample), damaged(blob), 0)
      assert.strictEqual(yield* reasonOf(host, wanted(sample)), "ChunkError Corrupt")
      assertBytes(host.content(sample), empty)
      assertBytes(objectOf(bucket, sample), damaged(blob))
    })
  )

  for (const reason of ["Disconnected", "Throttled", "AccessDenied", "NoBucket", "Truncated"] as const) {
    scene(`${reason} says nothing about the chunk (R12)`, (host) =>
      Effect.gen(function* () {
        host.server.answer = failing(reason, ["get"])
        assert.strictEqual(yield* reasonOf(host, wanted(sample)), `ObjectStoreError ${reason}`)
        assert.strictEqual((yield* host.chunks.check(wanted(sample))).state, "unreadable")
        assertBytes(host.content(sample), empty)
        host.server.answer = () => undefined
        assertBytes(yield* read(host), sample.data)
      })
    )
  }

  for (const local of ["marker", "unknown"] as const) {
    scene(
      `what the server does not have is Missing, and nothing local says otherwise: ${local}`,
      (host, bucket) =>
        Effect.gen(function* () {
          bucket.delete(keyText(sample), 0)
          assert.strictEqual(yield* reasonOf(host, wanted(sample)), "ChunkError Missing")
          assert.deepStrictEqual(host.names(sample), [])
        }),
      { local }
    )
  }
})
