/** BucketChunks with many readers at once, and with a sweep beside them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { chunkOf, type SampleChunk, softData } from "../../platform/chunks.ts"
import {
  assertBytes,
  blobOf,
  failing,
  gate,
  type Host,
  type HostOptions,
  keyText,
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

describe("BucketChunks.read beside others", () => {
  scene("a sweep between the answer and the cache leaves no name behind (R8)", (host, bucket) =>
    Effect.gen(function* () {
      const { answer, open, reached } = yield* gate(["get"])
      host.server.answer = answer
      const reader = yield* Effect.forkChild(read(host))
      yield* reached
      yield* host.guards.guard(sample.digest)(
        Effect.sync(() => {
          host.disk.unlink(pathOf(sample), 0)
          bucket.delete(keyText(sample), 0)
        })
      )
      yield* open
      assertBytes(yield* Fiber.join(reader), sample.data)
      assert.deepStrictEqual(host.names(sample), [])
      assert.deepStrictEqual(host.cache.added, [])
    })
  )

  scene(
    "where nothing was known, the guard is held until the content is there",
    (host) =>
      Effect.gen(function* () {
        const { answer, open, reached } = yield* gate(["get"])
        host.server.answer = answer
        const reader = yield* Effect.forkChild(read(host))
        yield* reached
        const sweep = yield* Effect.forkChild(
          host.guards.guard(sample.digest)(Effect.sync(() => host.names(sample))),
          { startImmediately: true }
        )
        yield* Effect.sleep("10 millis")
        yield* open
        yield* Fiber.join(reader)
        assert.deepStrictEqual(yield* Fiber.join(sweep), [sample.digest])
      }),
    { local: "unknown" }
  )

  for (const local of ["marker", "unknown"] as const) {
    scene(
      `one request serves all, each with bytes of its own: ${local}`,
      (host) =>
        Effect.gen(function* () {
          const { answer, open, reached } = yield* gate(["get"])
          host.server.answer = answer
          const target = new Uint8Array(9000)
          const readers = [host.chunks.read(wanted(sample), target), ...[1, 2, 3].map(() => read(host))]
          const fibers = yield* Effect.forEach(readers, (reader) => Effect.forkChild(reader))
          yield* reached
          yield* Effect.sleep("5 millis")
          yield* open
          const all = yield* Effect.forEach(fibers, Fiber.join)
          assert.strictEqual(new Set(all.map(({ buffer }) => buffer)).size, 4)
          for (const data of all) assertBytes(data, sample.data)
          assert.deepStrictEqual(host.takeRequests(), ["get"])
        }),
      { local }
    )
  }

  scene("one that is interrupted leaves the others waiting", (host) =>
    Effect.gen(function* () {
      const { answer, interrupted, open, reached } = yield* gate(["get"])
      host.server.answer = answer
      const first = yield* Effect.forkChild(read(host))
      yield* reached
      const second = yield* Effect.forkChild(read(host), { startImmediately: true })
      yield* Effect.sleep("5 millis")
      yield* Fiber.interrupt(first)
      assert.strictEqual(interrupted(), 0)
      yield* open
      assertBytes(yield* Fiber.join(second), sample.data)
      assert.deepStrictEqual(host.takeRequests(), ["get"])
    })
  )

  scene("the last one takes the request along, and the next begins anew", (host) =>
    Effect.gen(function* () {
      const { answer, interrupted, reached } = yield* gate(["get"])
      host.server.answer = answer
      const fibers = [yield* Effect.forkChild(read(host)), yield* Effect.forkChild(read(host))]
      yield* reached
      yield* Effect.sleep("5 millis")
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
      assert.strictEqual(interrupted(), 1)
      host.server.answer = () => undefined
      assertBytes(yield* read(host), sample.data)
      assert.deepStrictEqual(host.takeRequests(), ["get", "get"])
    })
  )

  scene("a failure is that of all who waited, and of nobody after", (host) =>
    Effect.gen(function* () {
      host.server.answer = failing("Disconnected", ["get"])
      const results = yield* Effect.all([Effect.exit(read(host)), Effect.exit(read(host))], {
        concurrency: 2
      })
      assert.isTrue(results.every(Exit.isFailure))
      host.server.answer = () => undefined
      assertBytes(yield* read(host), sample.data)
    })
  )

  it.live("who still waits when the store is closed is interrupted, and so is who comes later", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      bucket.put(keyText(sample), blob, 0)
      const scope = yield* Scope.make()
      const host = yield* Scope.provide(openHost(bucket), scope)
      const { answer, reached } = yield* gate(["get"])
      host.server.answer = answer
      host.lay(sample.digest, empty)
      const reader = yield* Effect.forkChild(read(host))
      yield* reached
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(reader)))
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(read(host))))
      assert.deepStrictEqual(host.names(sample), [sample.digest])
    })
  )

  it.live("different chunks come at the same time", () =>
    Effect.gen(function* () {
      const chunks = [1, 2, 3].map((number) => chunkOf(softData(number)))
      const bucket = new MemoryBucket()
      for (const chunk of chunks) bucket.put(keyText(chunk), blobOf(chunk), 0)
      const host = yield* openHost(bucket, {}, chunks)
      const { answer, open } = yield* gate(["get"])
      host.server.answer = answer
      const reading = yield* Effect.forkChild(
        Effect.forEach(chunks, (chunk) => read(host, chunk), { concurrency: "unbounded" })
      )
      const asked: Array<string> = []
      while (asked.length < 3) {
        yield* Effect.sleep("1 millis")
        asked.push(...host.takeRequests())
      }
      assert.deepStrictEqual(asked, ["get", "get", "get"])
      yield* open
      yield* Fiber.join(reading)
    })
  )
})
