/** What the cache folder keeps: its bound, its choice, and that nothing but content is ever lost. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as ChunkCache from "../../../src/store/bucket/ChunkCache.ts"
import { MemoryLockTable } from "../../../src/testing/MemoryFileLocks.ts"
import * as scene from "./cacheScene.ts"

const maxBytes = 64_000
const chunkBytes = 1000
/** What the bound may be passed by: a thirty-second part for each process, and a chunk in flight. */
const slackBytes = (processes: number) => processes * ((maxBytes * 2) / 64 + chunkBytes)

const hour = 60 * 60 * 1000

/** Stores chunks one a second, as a restore that fetches them. */
const scan = (process: scene.CacheProcess, numbers: ReadonlyArray<number>) =>
  Effect.forEach(
    numbers,
    (number) => Effect.andThen(process.store(number, chunkBytes), TestClock.adjust("1 second")),
    { discard: true }
  )

describe("the bound", () => {
  it.effect("is kept while chunks come, and what is left is as much as it says", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      let mostBytes = 0
      for (const number of scene.range(0, 300)) {
        yield* process.store(number, chunkBytes)
        yield* TestClock.adjust("1 second")
        mostBytes = Math.max(mostBytes, scene.contentBytes(folder))
        assert.isAtMost(mostBytes, maxBytes + slackBytes(1))
      }
      assert.isAtLeast(mostBytes, maxBytes * 0.9)
      assert.strictEqual(scene.contents(folder).size, 300)
      const outcome = yield* process.cache.trim
      assert.strictEqual(outcome.state, "trimmed")
      assert.isAtMost(scene.contentBytes(folder), maxBytes * 0.9)
      assert.isAtLeast(scene.contentBytes(folder), maxBytes * 0.9 - chunkBytes)
      assert.strictEqual(yield* scene.countedBytes(process), scene.contentBytes(folder))
      assert.deepStrictEqual(outcome.errors, [])
    })
  )

  it.effect("of 0 keeps nothing", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const before = yield* scene.startProcess(folder, maxBytes)
      yield* scan(before, scene.range(0, 10))
      yield* before.end
      const process = yield* scene.startProcess(folder, 0)
      assert.isFalse(process.cache.keepsContent)
      const outcome = yield* process.cache.trim
      assert.deepStrictEqual(outcome.evicted, { chunks: 10, bytes: 10 * chunkBytes })
      assert.strictEqual(scene.contentBytes(folder), 0)
      assert.strictEqual(scene.contents(folder).size, 10)
    })
  )

  it.effect("stops content from being stored until there is room", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      yield* scan(process, [0])
      const reached = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      // Somebody holds the guard of the oldest chunk, so that the eviction cannot end.
      const held = Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(release))
      const guard = yield* Effect.forkChild(process.guards.guard(scene.digestOf(0))(held))
      yield* Deferred.await(reached)
      yield* scan(process, scene.range(1, 120))
      assert.isFalse(process.cache.keepsContent)
      assert.isAtMost(scene.contentBytes(folder), maxBytes + slackBytes(1))
      assert.strictEqual(scene.contents(folder).get(scene.digestOf(119)), 0)
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(guard)
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(process.cache.keepsContent)
      yield* scan(process, [120])
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
      yield* scan(process, scene.range(0, 60))
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
      yield* scan(process, daily)
      yield* TestClock.adjust(24 * hour)
      for (const number of daily) assert.isTrue(yield* process.use(number))
      yield* TestClock.adjust(12 * hour)
      yield* scan(process, scene.range(1000, 1192))
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
      yield* scan(process, [0, 1])
      yield* TestClock.adjust("14 minutes")
      yield* process.use(0)
      yield* TestClock.adjust("5 minutes")
      yield* process.use(1)
      yield* scan(process, scene.range(10, 80))
      assert.deepStrictEqual(scene.kept(folder, [0, 1]), [1])
    })
  )

  it.effect("of chunks used again are the latest used, when they are more than four fifths", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      const old = scene.range(0, 60)
      yield* scan(process, old)
      yield* TestClock.adjust(24 * hour)
      // The first ten are used last.
      for (const number of [...old.slice(10), ...old.slice(0, 10)]) {
        yield* process.use(number)
        yield* TestClock.adjust("1 second")
      }
      yield* scan(process, scene.range(100, 140))
      const left = scene.kept(folder, old)
      assert.deepStrictEqual(left.slice(0, 10), old.slice(0, 10))
      assert.isAtMost(left.length * chunkBytes, maxBytes * 0.8)
      assert.isAtLeast(left.length * chunkBytes, maxBytes * 0.8 - 2 * chunkBytes)
      assert.notInclude(left, 10)
    })
  )
})

describe("the folder alone knows", () => {
  it.effect("after a restart how much there is and what is used", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const first = yield* scene.startProcess(folder, maxBytes)
      yield* scan(first, scene.range(0, 31))
      yield* TestClock.adjust(24 * hour)
      for (const number of scene.range(0, 31)) yield* first.use(number)
      yield* first.end
      assert.strictEqual(yield* scene.countedBytes(first), 31_000)
      const second = yield* scene.startProcess(folder, maxBytes)
      yield* scan(second, scene.range(100, 200))
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
      yield* scan(first, scene.range(0, 31))
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
        yield* scan(process, scene.range(0, 60))
        if (text === undefined) yield* process.files.unlink(scene.layout.cacheCount)
        else yield* process.files.replaceFile(scene.layout.cacheCount, [Buffer.from(text)])
        yield* scan(process, scene.range(60, 70))
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
        yield* scan(number % 2 === 0 ? one : two, [number])
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
      yield* scan(one, scene.range(0, 60))
      const release = yield* Deferred.make<void>()
      const guard = yield* Effect.forkChild(two.guards.guard(scene.digestOf(0))(Deferred.await(release)))
      yield* TestClock.adjust(0)
      const trimming = yield* Effect.forkChild(one.cache.trim)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* two.cache.trim).state, "busy")
      yield* scan(two, scene.range(100, 110))
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

describe("an eviction", () => {
  /** A folder with more than a bound of a third would leave. */
  const filled = (bound: number) =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const first = yield* scene.startProcess(folder, maxBytes)
      yield* scan(first, scene.range(0, 50))
      yield* first.end
      return { folder, process: yield* scene.startProcess(folder, bound) }
    })

  it.effect("leaves the content to those who have it open", () =>
    Effect.gen(function* () {
      const { folder, process } = yield* filled(10_000)
      const handle = yield* process.files.openRead(scene.pathOf(0))
      const half = new Uint8Array(500)
      yield* handle.readAt(0, half)
      yield* process.cache.trim
      assert.strictEqual(scene.contents(folder).get(scene.digestOf(0)), 0)
      assert.strictEqual(yield* handle.readAt(500, half), 500)
      assert.isTrue(half.every((byte) => byte === 1))
    }).pipe(Effect.scoped)
  )

  it.effect("spares what was used after it was chosen", () =>
    Effect.gen(function* () {
      const { folder, process } = yield* filled(10_000)
      yield* TestClock.adjust(hour)
      const chosen = yield* Deferred.make<void>()
      const guard = yield* Effect.forkChild(
        process.guards.guard(scene.digestOf(7))(
          Effect.andThen(Deferred.await(chosen), process.files.touch(scene.pathOf(7)))
        )
      )
      yield* TestClock.adjust(0)
      const trimming = yield* Effect.forkChild(process.cache.trim)
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.succeed(chosen, undefined)
      yield* Fiber.join(guard)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(trimming)
      assert.deepStrictEqual(scene.kept(folder, scene.range(5, 10)), [7])
    })
  )

  it.effect("takes a chunk that was condemned or removed meanwhile for what it is", () =>
    Effect.gen(function* () {
      const { folder, process } = yield* filled(10_000)
      const chosen = yield* Deferred.make<void>()
      const { guards, files } = process
      const condemn = files.rename(scene.pathOf(7), `${scene.pathOf(7)}.0.bad`)
      const guard = yield* Effect.forkChild(
        Effect.all(
          [
            guards.guard(scene.digestOf(7))(Effect.andThen(Deferred.await(chosen), condemn)),
            guards.guard(scene.digestOf(8))(
              Effect.andThen(Deferred.await(chosen), files.unlink(scene.pathOf(8)))
            )
          ],
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust(0)
      const trimming = yield* Effect.forkChild(process.cache.trim)
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.succeed(chosen, undefined)
      yield* Fiber.join(guard)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* Fiber.join(trimming)).errors, [])
      assert.isFalse(scene.contents(folder).has(scene.digestOf(7)))
      assert.isFalse(scene.contents(folder).has(scene.digestOf(8)))
      assert.strictEqual((yield* files.stat(`${scene.pathOf(7)}.0.bad`)).sizeBytes, chunkBytes)
    })
  )

  it.effect("touches nothing but chunks, and counts nothing else", () =>
    Effect.gen(function* () {
      const { process } = yield* filled(0)
      const { files } = process
      const foreign = [
        `${scene.pathOf(0)}.0.bad`,
        `${scene.pathOf(0)}.tmp_abcdef`,
        `${scene.pathOf(0)}.using`,
        `${scene.layout.chunks}/0000/notes`,
        // A digest in another digest's folder.
        `${scene.layout.chunks}/0001/${"0".repeat(64)}`
      ]
      for (const path of foreign) yield* files.createFile(path, Buffer.from("foreign"))
      yield* files.makeDirectory(`${scene.layout.chunks}/0002/${"0002".padEnd(64, "0")}`)
      const outcome = yield* process.cache.trim
      assert.strictEqual(outcome.found.chunks, 50)
      assert.strictEqual(outcome.evicted.chunks, 50)
      for (const path of foreign) assert.strictEqual((yield* files.stat(path)).sizeBytes, 7)
    })
  )

  it.effect("that is broken off has counted what it did", () =>
    Effect.gen(function* () {
      const { folder, process } = yield* filled(10_000)
      const guard = yield* Effect.forkChild(process.guards.guard(scene.digestOf(0))(Effect.never))
      yield* TestClock.adjust(0)
      const trimming = yield* Effect.forkChild(process.cache.trim)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(trimming)
      yield* Fiber.interrupt(guard)
      assert.isBelow(scene.contentBytes(folder), 50_000)
      assert.strictEqual(yield* scene.countedBytes(process), scene.contentBytes(folder))
      assert.strictEqual((yield* process.cache.trim).state, "trimmed")
    })
  )

  it.effect("that a crash ends at any system call has lost no name, and the next one goes on", () =>
    Effect.gen(function* () {
      const { folder: origin } = yield* filled(10_000)
      let crashes = 0
      for (let calls = 0; calls < 400; calls++) {
        const disk = origin.disk.fork()
        const folder = { disk, locks: new MemoryLockTable(disk) }
        const process = yield* scene.startProcess(folder, 10_000)
        yield* process.crash(calls)
        const trimming = yield* Effect.forkDetach(process.cache.trim)
        const ended = Effect.as(Fiber.join(trimming), "ended")
        if ((yield* Effect.raceFirst(ended, Effect.as(process.crashed, "crashed"))) === "ended") break
        crashes += 1
        assert.strictEqual(scene.contents(folder).size, 50)
        const next = yield* scene.startProcess(folder, 10_000, "next")
        assert.isAtLeast((yield* scene.countedBytes(next)) ?? 0, scene.contentBytes(folder))
        yield* next.cache.trim
        assert.deepStrictEqual(scene.kept(folder, scene.range(0, 50)), scene.range(41, 50))
        assert.strictEqual(yield* scene.countedBytes(next), scene.contentBytes(folder))
      }
      assert.isAbove(crashes, 100)
    })
  )

  it.effect("that cannot list or evict says so, and tries again later", () =>
    Effect.gen(function* () {
      const { folder, process } = yield* filled(10_000)
      folder.disk.isReadOnly = true
      assert.strictEqual((yield* Effect.flip(process.cache.trim)).reason, "ReadOnlyFileSystem")
      folder.disk.isReadOnly = false
      yield* process.cache.added(0)
      yield* process.cache.added(chunkBytes)
      yield* TestClock.adjust("5 seconds")
      assert.isAtMost(scene.contentBytes(folder), 9000)
    })
  )
})

describe("a use", () => {
  it.effect("of a folder that cannot be written to is no failure", () =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const process = yield* scene.startProcess(folder, maxBytes)
      yield* scan(process, [0])
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
      yield* scan(process, [0])
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
