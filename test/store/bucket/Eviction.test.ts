/** Eviction: what it takes, what it spares, and what a crash or an interruption leaves. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { MemoryLockTable } from "../../../src/testing/MemoryFileLocks.ts"
import * as scene from "./cacheScene.ts"

const maxBytes = 64_000
const hour = 60 * 60 * 1000

describe("an eviction", () => {
  /** A folder with more than a bound of a third would leave. */
  const filled = (bound: number) =>
    Effect.gen(function* () {
      const folder = scene.newScene()
      const first = yield* scene.startProcess(folder, maxBytes)
      yield* scene.scan(first, scene.range(0, 50))
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
      assert.strictEqual((yield* files.stat(`${scene.pathOf(7)}.0.bad`)).sizeBytes, scene.chunkBytes)
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
      yield* process.cache.added(scene.chunkBytes)
      yield* TestClock.adjust("5 seconds")
      assert.isAtMost(scene.contentBytes(folder), 9000)
    })
  )
})
