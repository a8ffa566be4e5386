/** What the cache folder keeps: its bound, its choice, and that nothing but content is ever lost. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as ChunkCache from "../../../src/store/bucket/ChunkCache.ts"
import * as scene from "./cacheScene.ts"

const maxBytes = 64_000
/** What the bound may be passed by: a thirty-second part for each process, and a chunk in flight. */
const slackBytes = (processes: number) => processes * ((maxBytes * 2) / 64 + scene.chunkBytes)

const hour = 60 * 60 * 1000

describe("the bound", () => {
  it.effect("is kept while chunks come, and what is left is as much as it says", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      let mostBytes = 0
      for (const number of scene.range(0, 300)) {
        yield* process.store(number, scene.chunkBytes)
        yield* TestClock.adjust("1 second")
        mostBytes = Math.max(mostBytes, scene.contentBytes(folder))
        assert.isAtMost(mostBytes, maxBytes + slackBytes(1))
      }
      assert.isAtLeast(mostBytes, maxBytes * 0.9)
      assert.strictEqual(scene.contents(folder).size, 300)
      const outcome = yield* process.cache.trim
      assert.strictEqual(outcome.state, "trimmed")
      assert.isAtMost(scene.contentBytes(folder), maxBytes * 0.9)
      assert.isAtLeast(scene.contentBytes(folder), maxBytes * 0.9 - scene.chunkBytes)
      assert.strictEqual(yield* scene.countedBytes(process), scene.contentBytes(folder))
      assert.deepStrictEqual(outcome.errors, [])
    })
  )

  it.effect("of 0 keeps nothing", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const before = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(before, scene.range(0, 10))
      yield* before.end
      const process = yield* scene.startProcess(folder, 0)
      assert.isFalse(process.cache.keepsContent)
      const outcome = yield* process.cache.trim
      assert.deepStrictEqual(outcome.evicted, { chunks: 10, bytes: 10 * scene.chunkBytes })
      assert.strictEqual(scene.contentBytes(folder), 0)
      assert.strictEqual(scene.contents(folder).size, 10)
      assert.deepStrictEqual((yield* process.cache.trim).found, { chunks: 0, bytes: 0 })
    })
  )

  it.effect("stops content from being stored until there is room", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(process, [0])
      const reached = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      // Somebody holds the guard of the oldest chunk, so that the eviction cannot end.
      const held = Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(release))
      const guard = yield* Effect.forkChild(process.guards.guard(scene.digestOf(0))(held))
      yield* Deferred.await(reached)
      yield* scene.scan(process, scene.range(1, 120))
      assert.isFalse(process.cache.keepsContent)
      assert.isAtMost(scene.contentBytes(folder), maxBytes + slackBytes(1))
      assert.strictEqual(scene.contents(folder).get(scene.digestOf(119)), 0)
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(guard)
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(process.cache.keepsContent)
      yield* scene.scan(process, [120])
      assert.deepStrictEqual(scene.kept(folder, [0, 120]), [120])
    })
  )

  it("leaves a margin when nobody has set it", () => {
    const gib = 1024 ** 3
    const of = ChunkCache.defaultMaxBytes
    assert.strictEqual(of({ totalBytes: 1000 * gib, availableBytes: 400 * gib }), 350 * gib)
    assert.strictEqual(of({ totalBytes: 10 * gib, availableBytes: 8 * gib }), 7 * gib)
    assert.strictEqual(of({ totalBytes: 10 * gib, availableBytes: gib }), gib / 2)
    assert.strictEqual(of({ totalBytes: 10 * gib, availableBytes: 0 }), 0)
    // What the cache holds already is its own, or each start would shrink it.
    assert.strictEqual(of({ totalBytes: 1000 * gib, availableBytes: 100 * gib }, 300 * gib), 350 * gib)
  })
})

describe("what stays", () => {
  it.effect("of chunks used once are the latest", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(process, scene.range(0, 60))
      const outcome = yield* process.cache.trim
      assert.deepStrictEqual(outcome.found, { chunks: 60, bytes: 60_000 })
      assert.deepStrictEqual(outcome.evicted, { chunks: 3, bytes: 3000 })
      assert.deepStrictEqual(scene.kept(folder, scene.range(0, 60)), scene.range(3, 60))
    })
  )

  it.effect("is what is used daily, when a restore reads three times the bound once", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      const daily = scene.range(0, 40)
      yield* scene.scan(process, daily)
      yield* TestClock.adjust(24 * hour)
      for (const number of daily) assert.isTrue(yield* process.use(number))
      yield* TestClock.adjust(12 * hour)
      yield* scene.scan(process, scene.range(1000, 1192))
      assert.deepStrictEqual(scene.kept(folder, daily), daily)
      // And of the restore there is what came last.
      const ofRestore = scene.kept(folder, scene.range(1000, 1192))
      assert.isAbove(ofRestore.length, 5)
      assert.isAbove(ofRestore[0] ?? 0, 1150)
    })
  )

  it.effect("is not decided by one restore that reads a chunk several times", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(process, [0, 1])
      yield* TestClock.adjust("14 minutes")
      yield* process.use(0)
      yield* TestClock.adjust("5 minutes")
      yield* process.use(1)
      yield* scene.scan(process, scene.range(10, 80))
      assert.deepStrictEqual(scene.kept(folder, [0, 1]), [1])
    })
  )

  it.effect("of chunks used again are the latest used, when they are more than four fifths", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      const old = scene.range(0, 60)
      yield* scene.scan(process, old)
      yield* TestClock.adjust(24 * hour)
      // The first ten are used last.
      for (const number of [...old.slice(10), ...old.slice(0, 10)]) {
        yield* process.use(number)
        yield* TestClock.adjust("1 second")
      }
      yield* scene.scan(process, scene.range(100, 140))
      const left = scene.kept(folder, old)
      assert.deepStrictEqual(left.slice(0, 10), old.slice(0, 10))
      assert.isAtMost(left.length * scene.chunkBytes, maxBytes * 0.8)
      assert.isAtLeast(left.length * scene.chunkBytes, maxBytes * 0.8 - 2 * scene.chunkBytes)
      assert.notInclude(left, 10)
    })
  )
})

describe("the folder alone knows", () => {
  it.effect("after a restart how much there is and what is used", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const first = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(first, scene.range(0, 31))
      yield* TestClock.adjust(24 * hour)
      for (const number of scene.range(0, 31)) yield* first.use(number)
      yield* first.end
      assert.strictEqual(yield* scene.countedBytes(first), 31_000)
      const second = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(second, scene.range(100, 200))
      assert.deepStrictEqual(scene.kept(folder, scene.range(0, 31)), scene.range(0, 31))
      assert.isAtMost(scene.contentBytes(folder), maxBytes + slackBytes(1))
      yield* second.end
      assert.strictEqual(yield* scene.countedBytes(second), scene.contentBytes(folder))
    })
  )

  it.effect("after a crash never less than what is there", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const first = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(first, scene.range(0, 31))
      yield* first.crash()
      const second = yield* scene.startProcess(folder, maxBytes, "two")
      assert.isAtLeast((yield* scene.countedBytes(second)) ?? 0, 31_000)
      yield* second.cache.trim
      assert.strictEqual(yield* scene.countedBytes(second), 31_000)
    })
  )

  for (const [damage, text] of [
    ["empty", ""],
    ["cut short", `{"bytes":5`],
    ["negative", `{"bytes":-5,"epoch":"a"}`],
    ["not a number", `{"bytes":"5","epoch":"a"}`],
    ["without its epoch", `{"bytes":5}`],
    ["far too long", " ".repeat(5000)],
    ["gone", undefined]
  ] as const) {
    it.effect(`when the count is ${damage}, by listing`, () =>
      Effect.gen(function* () {
        const folder = scene.newScene()
        const process = yield* scene.startProcess(folder, maxBytes)
        yield* scene.scan(process, scene.range(0, 60))
        if (text === undefined) yield* process.files.unlink(scene.layout.cacheCount)
        else yield* process.files.replaceFile(scene.layout.cacheCount, [Buffer.from(text)])
        yield* scene.scan(process, scene.range(60, 70))
        assert.isAtMost(scene.contentBytes(folder), maxBytes + slackBytes(1))
        yield* process.end
        assert.strictEqual(yield* scene.countedBytes(process), scene.contentBytes(folder))
        assert.strictEqual(scene.contents(folder).size, 70)
      })
    )
  }
})

describe("two processes", () => {
  it.effect("share one bound and one count", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const one = yield* scene.startProcess(folder, maxBytes, "one")
      const two = yield* scene.startProcess(folder, maxBytes, "two")
      for (const number of scene.range(0, 200)) {
        yield* scene.scan(number % 2 === 0 ? one : two, [number])
        assert.isAtMost(scene.contentBytes(folder), maxBytes + slackBytes(2))
      }
      assert.isAtLeast(scene.contentBytes(folder), maxBytes * 0.8)
      yield* one.end
      yield* two.end
      // What one had taken room for when the other counted may be counted twice, but is not forgotten.
      const counted = (yield* scene.countedBytes(one)) ?? 0
      assert.isAtLeast(counted, scene.contentBytes(folder))
      assert.isAtMost(counted, scene.contentBytes(folder) + slackBytes(2))
    })
  )

  it.effect("evict one at a time, and the other learns that there is room", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const one = yield* scene.startProcess(folder, maxBytes, "one")
      const two = yield* scene.startProcess(folder, maxBytes, "two")
      yield* scene.scan(one, scene.range(0, 60))
      const release = yield* Deferred.make<void>()
      const guard = yield* Effect.forkChild(two.guards.guard(scene.digestOf(0))(Deferred.await(release)))
      yield* TestClock.adjust(0)
      const trimming = yield* Effect.forkChild(one.cache.trim)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* two.cache.trim).state, "busy")
      yield* scene.scan(two, scene.range(100, 110))
      assert.isFalse(two.cache.keepsContent)
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(guard)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(trimming)).evicted.chunks > 0, true)
      assert.isTrue(two.cache.keepsContent)
      assert.strictEqual((yield* two.cache.trim).state, "trimmed")
    })
  )
})

describe("a use", () => {
  it.effect("of a folder that cannot be written to is no failure", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(process, [0])
      yield* TestClock.adjust(2 * hour)
      folder.disk.isReadOnly = true
      assert.isTrue(yield* process.use(0))
      folder.disk.isReadOnly = false
      const { atimeSeconds, mtimeSeconds } = yield* process.files.stat(scene.pathOf(0))
      assert.strictEqual(atimeSeconds, mtimeSeconds)
    })
  )

  it.effect("moves the access time once an hour", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(process, [0])
      yield* TestClock.adjust(2 * hour)
      yield* process.use(0)
      const first = yield* process.files.stat(scene.pathOf(0))
      yield* TestClock.adjust(hour - 1000)
      yield* process.use(0)
      assert.strictEqual((yield* process.files.stat(scene.pathOf(0))).atimeSeconds, first.atimeSeconds)
      yield* TestClock.adjust(1000)
      yield* process.use(0)
      assert.strictEqual((yield* process.files.stat(scene.pathOf(0))).atimeSeconds, first.atimeSeconds + 3600)
    })
  )
})
