/**
 * Any sequence of storing, using, evicting, condemning, crashing and damaging, by two processes on one folder: the bound
 * is kept at every moment, no name is lost, and a trim in the end counts exactly. And the same cache on a real folder.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import { closeSync, openSync, readSync } from "node:fs"
import type * as Digest from "../../../src/model/Digest.ts"
import { digestOf } from "../../../src/platform/chunkContent.ts"
import { Files } from "../../../src/platform/Files.ts"
import * as CacheCount from "../../../src/store/bucket/CacheCount.ts"
import * as ChunkCache from "../../../src/store/bucket/ChunkCache.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { chunkPath } from "../../../src/store/StoreLayout.ts"
import { newLayout, platform } from "../stores.ts"
import * as scene from "./cacheScene.ts"

const maxBytes = 64_000
const chunkMaxBytes = 2000
const chunkNumberMax = 150

/** The processes that may have stored since the last exact count: two that live, and the dead before them. */
const slackBytes = 4 * ((maxBytes * 2) / 64 + chunkMaxBytes)

type Step =
  | { readonly kind: "store" | "use" | "condemn"; readonly by: number; readonly number: number }
  | { readonly kind: "trim" | "end" | "crash"; readonly by: number }
  | { readonly kind: "wait"; readonly seconds: number }
  | { readonly kind: "damage"; readonly text: string }

const by = fc.nat(1)
const number = fc.nat(chunkNumberMax)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ kind: fc.constant("store" as const), by, number }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constantFrom("use" as const, "condemn" as const), by, number })
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("trim" as const, "end" as const, "crash" as const), by })
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      seconds: fc.oneof(fc.nat(5), fc.nat(200_000))
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("damage" as const), text: fc.constantFrom("", "{") })
  }
)

const sizeOf = (chunk: number): number => 1 + ((chunk * 7919) % chunkMaxBytes)

/** Lets time pass for whoever waits for a lock. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 millis")
    return yield* Fiber.join(fiber)
  })

const runSteps = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const folder = scene.newScene()
    let started = 0
    const start = () => scene.startProcess(folder, maxBytes, `process ${started++}`)
    const processes = [yield* start(), yield* start()] as const
    const names = new Set<Digest.Digest>()
    let [left, right] = processes
    const replace = (position: number, process: scene.CacheProcess) => {
      if (position === 0) left = process
      else right = process
    }
    const carryOut = (next: Step) =>
      Effect.gen(function* () {
        if (next.kind === "wait") return yield* TestClock.adjust(next.seconds * 1000)
        if (next.kind === "damage") return folder.disk.put(scene.layout.cacheCount, Buffer.from(next.text))
        const process = next.by === 0 ? left : right
        switch (next.kind) {
          case "store":
            yield* process.store(next.number, sizeOf(next.number))
            return void names.add(scene.digestOf(next.number))
          case "use":
            return void (yield* process.use(next.number))
          case "condemn":
            if (!names.delete(scene.digestOf(next.number))) return
            return yield* process.guards.guard(scene.digestOf(next.number))(
              process.files.rename(scene.pathOf(next.number), `${scene.pathOf(next.number)}.0.bad`)
            )
          case "trim":
            return void (yield* Effect.forkDetach(process.cache.trim))
          case "end":
            yield* process.end
            return replace(next.by, yield* start())
          case "crash":
            yield* process.crash()
            return replace(next.by, yield* start())
        }
      })
    for (const next of steps) {
      if (next.kind === "damage" && (yield* scene.countedBytes(left)) === undefined) continue
      yield* inTime(carryOut(next))
      assert.isAtMost(scene.contentBytes(folder), maxBytes + slackBytes)
      assert.deepStrictEqual([...scene.contents(folder).keys()].toSorted(), [...names].toSorted())
    }
    yield* TestClock.adjust("1 hour")
    const outcome = yield* inTime(left.cache.trim)
    assert.deepStrictEqual(outcome.errors, [])
    assert.strictEqual(yield* scene.countedBytes(left), scene.contentBytes(folder))
    assert.isAtMost(scene.contentBytes(folder), maxBytes * 0.9)
  })

describe("a cache folder", () => {
  it("keeps its bound and all its names, whatever happens", () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 250, size: "max" }), (steps) =>
        Effect.runPromise(runSteps(steps).pipe(Effect.provide(TestClock.layer())))
      ),
      { numRuns: 40 }
    ))
})

describe("on a real file system", () => {
  const bound = 400_000
  const sizeBytes = 10_000
  const digests = Array.from({ length: 60 }, (_, index) => digestOf(Buffer.from(`${index}`), undefined))

  it.live("a folder is filled, trimmed and read on", () =>
    Effect.gen(function* () {
      const layout = yield* newLayout(...digests)
      const files = yield* Files
      const content = new Uint8Array(sizeBytes).fill(7)
      const process = <A, E, R>(work: (cache: ChunkCache.ChunkCache) => Effect.Effect<A, E, R>) =>
        Effect.scoped(
          Effect.gen(function* () {
            const guards = yield* DigestGuards.make(layout)
            return yield* work(yield* ChunkCache.make(layout, guards, { maxBytes: bound }))
          })
        )
      const bytesNow = Effect.map(
        Effect.forEach(digests, (digest) => files.stat(chunkPath(layout, digest))),
        (stats) => stats.reduce((sum, stat) => sum + stat.sizeBytes, 0)
      )

      yield* process((cache) =>
        Effect.gen(function* () {
          for (const digest of digests) {
            yield* files.replaceFile(chunkPath(layout, digest), cache.keepsContent ? [content] : [])
            if (cache.keepsContent) yield* cache.added(sizeBytes)
          }
          yield* cache.trim
        })
      )
      assert.isAtMost(yield* bytesNow, bound * 0.9)
      assert.isAtLeast(yield* bytesNow, bound * 0.7)
      assert.strictEqual((yield* CacheCount.read(files, layout))?.bytes, yield* bytesNow)

      const [kept = digests[0]] = yield* Effect.filter(digests, (digest) =>
        Effect.map(files.stat(chunkPath(layout, digest)), (stat) => stat.sizeBytes > 0)
      )
      if (kept === undefined) return assert.fail("nothing is kept")
      const descriptor = openSync(chunkPath(layout, kept), "r")
      const outcome = yield* Effect.scoped(
        Effect.gen(function* () {
          const guards = yield* DigestGuards.make(layout)
          return yield* (yield* ChunkCache.make(layout, guards, { maxBytes: 0 })).trim
        })
      )
      assert.strictEqual(outcome.evicted.bytes, outcome.found.bytes)
      assert.strictEqual(yield* bytesNow, 0)
      const read = new Uint8Array(sizeBytes)
      assert.strictEqual(readSync(descriptor, read, 0, sizeBytes, 0), sizeBytes)
      assert.deepStrictEqual(read, content)
      closeSync(descriptor)
      assert.isAbove(yield* ChunkCache.defaultBound(layout), 0)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(platform)))
  )
})
