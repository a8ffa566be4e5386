/** BucketChunks: how a chunk comes into being in a bucket, what is said of it locally, and what a failure leaves. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { retrying } from "../../../src/objectstore/decorators/retrying.ts"
import { present } from "../../../src/objectstore/ObjectStore.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { chunkOf, key, otherKey, type SampleChunk, softData } from "../../platform/chunks.ts"
import {
  assertBytes,
  blobOf,
  failing,
  gate,
  type Host,
  type HostOptions,
  keyText,
  losing,
  newDisk,
  objectOf,
  openHost,
  pathOf,
  sample,
  wanted
} from "./chunkScene.ts"

const empty = new Uint8Array(0)

const scene = (
  title: string,
  test: (host: Host, bucket: MemoryBucket) => Effect.Effect<void, unknown, Scope.Scope>,
  options: HostOptions = {}
): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const host = yield* openHost(bucket, options)
      yield* test(host, bucket)
      assert.isTrue(host.names(sample).every((name) => !name.includes(".tmp_")))
    })
  )

describe("BucketChunks.insert", () => {
  scene("stores a new chunk by one request, keeps its content, and notes it", (host, bucket) =>
    Effect.gen(function* () {
      host.lay(`${sample.digest}.using`, empty)
      const inserted = yield* host.chunks.insert(sample)
      assert.deepStrictEqual(host.takeRequests(), ["putIfAbsent"])
      assert.deepStrictEqual(inserted, { duplicate: false, encodedSizeBytes: blobOf(sample).length })
      assertBytes(objectOf(bucket, sample), blobOf(sample))
      assertBytes(host.content(sample), blobOf(sample))
      assert.deepStrictEqual(host.names(sample), [sample.digest])
      assert.deepStrictEqual(host.cache.added, [inserted.encodedSizeBytes])
      assert.deepStrictEqual(host.recorded, [bucket.find(keyText(sample))?.etag])
    })
  )

  for (const cache of ["use", "bypass"] as const) {
    it.live(`makes the chunk's folder where the cache folder lacks it (cache: ${cache})`, () =>
      Effect.gen(function* () {
        const bucket = new MemoryBucket()
        const host = yield* openHost(bucket, { disk: newDisk([]), cache })
        yield* host.chunks.insert(sample)
        assertBytes(objectOf(bucket, sample), blobOf(sample))
        assert.deepStrictEqual(host.names(sample), [sample.digest])
        assertBytes(host.content(sample), cache === "use" ? blobOf(sample) : empty)
      })
    )
  }

  it.live(
    "lets go of what may wait for the server; at most twelve requests and sixteen chunks at a time",
    () =>
      Effect.gen(function* () {
        const all = Array.from({ length: 20 }, (_, number) => chunkOf(softData(number + 1)))
        const bucket = new MemoryBucket()
        const host = yield* openHost(bucket, {}, all)
        const putting = yield* gate(["putIfAbsent"])
        host.server.answer = putting.answer
        let lettingGo = 0
        const letGo = Effect.sync(() => void (lettingGo += 1))
        const insert = (chunk: SampleChunk) => host.chunks.insert({ ...chunk, letGo })
        const inserting = yield* Effect.forkChild(Effect.forEach(all, insert, { concurrency: "unbounded" }))
        yield* Effect.sleep(200)
        assert.strictEqual(host.takeRequests().length, 12)
        assert.strictEqual(lettingGo, 16)
        yield* putting.open
        yield* Fiber.join(inserting)
        assert.strictEqual(lettingGo, 20)
        for (const chunk of all) assertBytes(objectOf(bucket, chunk), blobOf(chunk))
      }).pipe(Effect.scoped)
  )

  scene("what is there locally, content or marker, is a duplicate: touched, and no request", (host) =>
    Effect.gen(function* () {
      yield* host.chunks.insert(sample)
      for (const content of [blobOf(sample), empty]) {
        host.lay(sample.digest, content)
        host.disk.setTimes(pathOf(sample), 1000)
        host.takeRequests()
        const expected = { duplicate: true, encodedSizeBytes: content.length }
        assert.deepStrictEqual(yield* host.chunks.insert(sample), expected)
        host.disk.setTimes(pathOf(sample), 1000)
        assert.deepStrictEqual(yield* host.chunks.insertEncoded(sample.digest, blobOf(sample)), expected)
        assert.isAbove(host.disk.stat(pathOf(sample)).atimeMillis, 1_000_000)
        assert.deepStrictEqual(host.takeRequests(), [])
        assertBytes(host.content(sample), content)
      }
      assert.strictEqual(host.cache.added.length, 1)
    })
  )

  scene("a wish alone is not a chunk (R8)", (host) =>
    Effect.gen(function* () {
      host.lay(`${sample.digest}.using`, empty)
      assert.isFalse(yield* host.chunks.touch(sample.digest))
      assert.isFalse((yield* host.chunks.insert(sample)).duplicate)
    })
  )

  for (const [why, options] of [
    ["a session that passes the cache by (R4)", { cache: "bypass" }],
    ["a cache that keeps nothing now", { keepsContent: false }],
    ["a disk that is full", { capacityBytes: 10 }]
  ] as const) {
    scene(
      `${why} leaves a marker`,
      (host, bucket) =>
        Effect.gen(function* () {
          assert.isFalse((yield* host.chunks.insert(sample)).duplicate)
          assertBytes(objectOf(bucket, sample), blobOf(sample))
          assertBytes(host.content(sample), empty)
          assert.deepStrictEqual(host.cache.added, [])
          assert.strictEqual(host.recorded.length, 1)
          host.takeRequests()
          assert.isTrue((yield* host.chunks.insert(sample)).duplicate)
          assert.deepStrictEqual(host.takeRequests(), [])
        }),
      options
    )
  }

  scene("refuses what is no blob, and what lies in the chunk's place and is no file", (host) =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(host.chunks.insertEncoded(sample.digest, Buffer.from("nonsense")))
      assert.isTrue(refused._tag === "StoreError" && refused.reason === "Refused")
      host.disk.makeSymlink("/nowhere", pathOf(sample))
      const error = yield* Effect.flip(host.chunks.insert(sample))
      assert.isTrue(error._tag === "StoreError" && error.reason === "Damaged")
      assert.deepStrictEqual(host.takeRequests(), [])
    })
  )

  scene("two at once upload once", (host) =>
    Effect.gen(function* () {
      const results = yield* Effect.all([host.chunks.insert(sample), host.chunks.insert(sample)], {
        concurrency: 2
      })
      assert.deepStrictEqual(results.map(({ duplicate }) => duplicate).toSorted(), [false, true])
      assert.deepStrictEqual(host.takeRequests(), ["putIfAbsent"])
    })
  )

  scene(
    "the guard is held from the request until the file is there, and is of one digest (R3, R21)",
    (host) =>
      Effect.gen(function* () {
        const { answer, open, reached } = yield* gate(["putIfAbsent"])
        host.server.answer = answer
        const fiber = yield* Effect.forkChild(host.chunks.insert(sample))
        yield* reached
        const seen: Array<string> = []
        const sweep = yield* Effect.forkChild(
          host.guards.guard(sample.digest)(
            Effect.sync(() => void seen.push(host.content(sample) === undefined ? "unmarked" : "marked"))
          ),
          { startImmediately: true }
        )
        const other = chunkOf(softData(2))
        yield* host.guards.guard(other.digest)(Effect.sync(() => void seen.push("another digest")))
        yield* Effect.sleep("20 millis")
        assert.deepStrictEqual(seen, ["another digest"])
        yield* open
        yield* Fiber.join(fiber)
        yield* Fiber.join(sweep)
        assert.deepStrictEqual(seen, ["another digest", "marked"])
      })
  )
})

describe("BucketChunks.insert, when something is there already", () => {
  it.live("another host's chunk is a duplicate, and is kept like an own one", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const [one, two] = [yield* openHost(bucket), yield* openHost(bucket, { name: "two" })]
      yield* one.chunks.insert(sample)
      const inserted = yield* two.chunks.insert(sample)
      assert.deepStrictEqual(inserted, { duplicate: true, encodedSizeBytes: blobOf(sample).length })
      assert.deepStrictEqual(two.takeRequests(), ["putIfAbsent", "head"])
      assertBytes(two.content(sample), blobOf(sample))
      assert.deepStrictEqual(two.recorded, [])
    })
  )

  const plain = { ...sample, compress: false }
  const sealed = chunkOf(softData(1), { crypt: key })
  const sealedPlain = { ...sealed, compress: false }
  const strange = chunkOf(softData(7), { crypt: otherKey })
  const ask = ["putIfAbsent", "head"]
  type Row = readonly [
    what: string,
    present: Uint8Array,
    coming: SampleChunk,
    outcome: "kept" | "replaced",
    more: ReadonlyArray<string>
  ]
  const rows: ReadonlyArray<Row> = [
    ["empty", empty, sample, "replaced", ["put"]],
    ["empty, encrypted", empty, sealed, "replaced", ["put"]],
    ["larger", blobOf(plain), sample, "replaced", ["put"]],
    ["smaller and good", blobOf(sample), plain, "kept", ["get"]],
    ["smaller and torn", blobOf(plain).subarray(0, 4000), plain, "replaced", ["get", "put"]],
    ["of the same key, in another form", blobOf(sealed), sealedPlain, "kept", ["get"]],
    ["of the same key, larger", blobOf(sealedPlain), sealed, "kept", ["get"]],
    ["of another key", blobOf(strange), sealedPlain, "replaced", ["get", "put"]],
    ["not encrypted, under the digest of a key", blobOf(sample), sealed, "replaced", ["get", "put"]],
    ["encrypted, under the digest of plain content", blobOf(strange), plain, "replaced", ["get", "put"]]
  ]
  for (const [what, there, coming, outcome, more] of rows) {
    it.live(`an object of another size that is ${what} is ${outcome}`, () =>
      Effect.gen(function* () {
        const bucket = new MemoryBucket()
        const host = yield* openHost(bucket, {}, [coming])
        bucket.put(keyText(coming), there, 0)
        const inserted = yield* host.chunks.insert(coming)
        assert.deepStrictEqual(host.takeRequests(), [...ask, ...more])
        const isKept = outcome === "kept"
        const size = (objectOf(bucket, coming) ?? empty).length
        assert.strictEqual(size, isKept ? there.length : blobOf(coming).length)
        assert.deepStrictEqual(inserted, { duplicate: isKept, encodedSizeBytes: size })
        // What the object is not is never kept as its content.
        assert.strictEqual(host.content(coming)?.length, isKept ? 0 : size)
        assert.strictEqual(host.recorded.length, isKept ? 0 : 1)
        assertBytes(yield* host.chunks.read(wanted(coming)), coming.data)
      })
    )
  }

  scene("encoded blobs whose key nobody here has stay as they are", (host, bucket) =>
    Effect.gen(function* () {
      const there = blobOf({ ...sample, crypt: key, compress: false })
      bucket.put(keyText(sample), there, 0)
      const inserted = yield* host.chunks.insertEncoded(sample.digest, blobOf({ ...sample, crypt: key }))
      assert.deepStrictEqual(inserted, { duplicate: true, encodedSizeBytes: there.length })
      assertBytes(host.content(sample), empty)
    })
  )

  scene(
    "what was there and is deleted before it is looked at is stored",
    (host, bucket) =>
      Effect.gen(function* () {
        assert.isFalse((yield* host.chunks.insert(sample)).duplicate)
        assert.deepStrictEqual(host.takeRequests(), ["head", "put"])
        assertBytes(objectOf(bucket, sample), blobOf(sample))
      }),
    { decorate: (objects) => Effect.succeed({ ...objects, putIfAbsent: () => Effect.succeed(present) }) }
  )
})

describe("BucketChunks.insert under trouble", () => {
  const assertNothing = (host: Host) => assert.deepStrictEqual(host.names(sample), [])

  for (const [reason, operations] of [
    ["Throttled", ["putIfAbsent"]],
    ["Unreachable", ["putIfAbsent"]],
    ["AccessDenied", ["putIfAbsent"]],
    ["NotImplemented", ["putIfAbsent"]],
    ["Disconnected", ["putIfAbsent", "put"]],
    ["Unavailable", ["putIfAbsent", "put"]],
    ["Conflict", ["putIfAbsent", "put"]]
  ] as const) {
    scene(`${reason} fails typed, and leaves nothing that says present (R5)`, (host) =>
      Effect.gen(function* () {
        host.server.answer = failing(reason, ["putIfAbsent", "put", "head"])
        const error = yield* Effect.flip(host.chunks.insert(sample))
        assert.isTrue(error._tag === "ObjectStoreError" && error.reason === reason)
        assert.deepStrictEqual(host.takeRequests(), [...operations])
        assertNothing(host)
        assert.deepStrictEqual([host.cache.added, host.recorded], [[], []])
        host.server.answer = () => undefined
        assert.isFalse((yield* host.chunks.insert(sample)).duplicate)
      })
    )
  }

  scene("of two at once, the second does not count on the first one that failed (R5)", (host, bucket) =>
    Effect.gen(function* () {
      let failures = 1
      const fail = failing("AccessDenied", ["putIfAbsent"])
      host.server.answer = (request, run) => (failures-- > 0 ? fail(request, run) : undefined)
      const results = yield* Effect.all(
        [Effect.result(host.chunks.insert(sample)), Effect.result(host.chunks.insert(sample))],
        { concurrency: 2 }
      )
      assert.deepStrictEqual(results.map(({ _tag }) => _tag).toSorted(), ["Failure", "Success"])
      assertBytes(objectOf(bucket, sample), blobOf(sample))
      assertBytes(host.content(sample), blobOf(sample))
    })
  )

  for (const [what, answer] of [
    ["an answer that is lost", losing(["putIfAbsent"])],
    ["a request that is lost", failing("Disconnected", ["putIfAbsent"])],
    ["conflicts that do not end", failing("Conflict", ["putIfAbsent"])]
  ] as const) {
    scene(`${what} is followed by an unconditional request (R28)`, (host, bucket) =>
      Effect.gen(function* () {
        host.server.answer = answer
        assert.isFalse((yield* host.chunks.insert(sample)).duplicate)
        assert.deepStrictEqual(host.takeRequests(), ["putIfAbsent", "put"])
        assertBytes(objectOf(bucket, sample), blobOf(sample))
        assertBytes(host.content(sample), blobOf(sample))
        assert.deepStrictEqual(host.recorded, [bucket.find(keyText(sample))?.etag])
      })
    )
  }

  scene("an object that nobody could look at is not counted on", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(keyText(sample), blobOf(sample), 0)
      host.server.answer = failing("Unavailable", ["head"])
      const error = yield* Effect.flip(host.chunks.insert(sample))
      assert.isTrue(error._tag === "ObjectStoreError" && error.reason === "Unavailable")
      assertNothing(host)
    })
  )

  scene(
    "with retries, a lost answer is found to be our own",
    (host) =>
      Effect.gen(function* () {
        let losses = 1
        const lose = losing(["putIfAbsent"])
        host.server.answer = (request, run) => (losses-- > 0 ? lose(request, run) : undefined)
        assert.isFalse((yield* host.chunks.insert(sample)).duplicate)
        assert.deepStrictEqual(host.takeRequests(), ["putIfAbsent", "putIfAbsent", "head", "get"])
        assert.strictEqual(host.recorded.length, 1)
      }),
    { decorate: (objects) => retrying(objects, { baseMillis: 1 }) }
  )

  scene("interrupted on the way, nothing local says present, and the guard is free", (host) =>
    Effect.gen(function* () {
      const { answer, reached } = yield* gate(["putIfAbsent"])
      host.server.answer = answer
      const fiber = yield* Effect.forkChild(host.chunks.insert(sample))
      yield* reached
      yield* Fiber.interrupt(fiber)
      assertNothing(host)
      host.server.answer = () => undefined
      assert.isTrue((yield* host.chunks.insert(sample)).duplicate, "it has reached the bucket")
      assertBytes(host.content(sample), blobOf(sample))
    })
  )

  scene("a folder that takes not even a marker fails the upload: it would not be seen (R3)", (host) =>
    Effect.gen(function* () {
      yield* host.guards.guard(sample.digest)(Effect.void)
      host.disk.isReadOnly = true
      const error = yield* Effect.flip(host.chunks.insert(sample))
      assert.isTrue(error._tag === "FilesError" && error.reason === "ReadOnlyFileSystem")
    })
  )
})

describe("BucketChunks.touch, stat, discard", () => {
  scene("go by what is local", (host, bucket) =>
    Effect.gen(function* () {
      bucket.put(keyText(sample), blobOf(sample), 0)
      assert.isFalse(yield* host.chunks.touch(sample.digest))
      assert.strictEqual((yield* Effect.flip(host.chunks.stat(sample.digest))).reason, "NotFound")
      const gone = yield* host.chunks.discard(sample.digest, sample.digest, () => true)
      assert.strictEqual(gone.state, "gone")
      host.lay(sample.digest, empty)
      host.disk.setTimes(pathOf(sample), 1000)
      assert.isTrue(yield* host.chunks.touch(sample.digest))
      assert.isAbove((yield* host.chunks.stat(sample.digest)).atimeSeconds, 1000)
      const kept = yield* host.chunks.discard(sample.digest, sample.digest, () => false)
      assert.strictEqual(kept.state, "kept")
      const removed = yield* host.chunks.discard(sample.digest, sample.digest, () => true)
      assert.deepStrictEqual(removed, { state: "removed", sizeBytes: 0 })
      assert.deepStrictEqual(host.names(sample), [])
      assert.deepStrictEqual(host.takeRequests(), [])
      assert.isDefined(objectOf(bucket, sample))
    })
  )
})
