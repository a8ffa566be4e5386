/** The ingest: cutting, hashing and handing over, with a store in memory. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { hash } from "node:crypto"
import * as ByteSource from "../../src/backup/ByteSource.ts"
import * as Ingest from "../../src/backup/Ingest.ts"
import { makeDynamicChunker } from "../../src/chunking/DynamicChunker.ts"
import { makeScanner } from "../../src/chunking/makeScanner.ts"
import { noise } from "./stores.ts"

const averageBytes = 4096
const hex = (digest: Uint8Array): string => Buffer.from(digest).toString("hex")

interface Options {
  readonly slotCount?: number
  readonly digest?: (data: Uint8Array) => Effect.Effect<Uint8Array>
  readonly isKnown?: (digest: string) => boolean
  readonly store?: (digest: string, letGo: Effect.Effect<void>) => Effect.Effect<void, string>
}

const digestNow = (data: Uint8Array) => Effect.sync(() => hash("sha256", data, "buffer"))

/** An ingest, what it announced and what it gave to the store. */
const makeIngest = (options: Options = {}) =>
  Effect.gen(function* () {
    const { digest = digestNow, isKnown = () => false, slotCount = 2, store = () => Effect.void } = options
    const announced: Array<{ readonly digest: string; readonly sizeBytes: number }> = []
    const stored = new Map<string, Buffer>()
    const scanner = makeScanner(Ingest.memoryBytes(averageBytes * 4, slotCount), { shared: true })
    const ingest = yield* Ingest.make<string>({
      scanner,
      chunker: makeDynamicChunker(scanner, averageBytes),
      slotCount,
      digest,
      announce: (digest, sizeBytes) => {
        announced.push({ digest: hex(digest), sizeBytes })
        return isKnown(hex(digest))
      },
      store: (digest, data, letGo) =>
        Effect.suspend(() => {
          const content = Buffer.from(data)
          return Effect.andThen(
            store(hex(digest), letGo),
            Effect.sync(() => void stored.set(hex(digest), content))
          )
        })
    })
    return { announced, ingest, stored }
  })

type Made = Effect.Success<ReturnType<typeof makeIngest>>

const contentOf = ({ announced, stored }: Made): Buffer =>
  Buffer.concat(announced.map(({ digest }) => stored.get(digest)!))

const large = noise("ingest", 1_500_000)

describe("Ingest", () => {
  it.effect("stores the input in chunks that are named by their content", () =>
    Effect.gen(function* () {
      const made = yield* makeIngest()
      yield* made.ingest.write(large)
      yield* made.ingest.end
      assert.isAbove(made.announced.length, 50)
      assert.strictEqual(Buffer.compare(contentOf(made), large), 0)
      for (const { digest, sizeBytes } of made.announced) {
        assert.isAtMost(sizeBytes, averageBytes * 4)
        assert.strictEqual(made.stored.get(digest)?.length, sizeBytes)
        assert.strictEqual(hash("sha256", made.stored.get(digest)!), digest)
      }
    })
  )

  it.effect(
    "a store that lets go of chunks early has more under way than there are slots, and all is stored",
    () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        let underWay = 0
        const far = (_: string, letGo: Effect.Effect<void>) =>
          Effect.gen(function* () {
            underWay += 1
            yield* letGo
            yield* letGo
            yield* Deferred.await(gate)
          })
        const made = yield* makeIngest({ store: far, slotCount: 2 })
        yield* made.ingest.write(large)
        assert.isAbove(underWay, 20)
        const ending = yield* Effect.forkChild(made.ingest.end)
        for (let turn = 0; turn < 100; turn++) yield* Effect.yieldNow
        assert.isUndefined(ending.pollUnsafe())
        assert.strictEqual(made.stored.size, 0)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(ending)
        assert.strictEqual(Buffer.compare(contentOf(made), large), 0)
        for (const [digest, content] of made.stored) assert.strictEqual(hash("sha256", content), digest)
      })
  )

  it.effect("cuts the same however the input comes", () =>
    Effect.gen(function* () {
      const whole = yield* makeIngest()
      yield* whole.ingest.write(large)
      yield* whole.ingest.end
      const lengths = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 20 })
      for (const sample of fc.sample(lengths, 20)) {
        const made = yield* makeIngest()
        for (let position = 0, turn = 0; position < large.length; turn++) {
          const piece = large.subarray(position, position + sample[turn % sample.length]!)
          made.ingest.space().set(piece)
          yield* made.ingest.commit(piece.length)
          position += piece.length
        }
        yield* made.ingest.end
        assert.deepStrictEqual(made.announced, whole.announced)
      }
    })
  )

  it.effect("announces in the order of the input, whichever chunk is hashed first", () =>
    Effect.gen(function* () {
      const whole = yield* makeIngest()
      yield* whole.ingest.write(large)
      yield* whole.ingest.end
      let calls = 0
      const digest = (data: Uint8Array) =>
        Effect.gen(function* () {
          const turns = [5, 0, 3, 1][calls++ % 4]!
          for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
          return yield* digestNow(data)
        })
      const made = yield* makeIngest({ digest, slotCount: 4 })
      yield* made.ingest.write(large)
      yield* made.ingest.end
      assert.deepStrictEqual(made.announced, whole.announced)
      assert.strictEqual(Buffer.compare(contentOf(made), large), 0)
    })
  )

  it.effect("has announced everything when a chunk was ended", () =>
    Effect.gen(function* () {
      const digest = (data: Uint8Array) => Effect.andThen(Effect.yieldNow, digestNow(data))
      const made = yield* makeIngest({ digest, slotCount: 4 })
      yield* made.ingest.write(large.subarray(0, 700_000))
      yield* made.ingest.endChunk
      const total = made.announced.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      assert.strictEqual(total, 700_000)
    })
  )

  it.effect("announces known chunks and does not store them", () =>
    Effect.gen(function* () {
      const made = yield* makeIngest({ isKnown: (digest) => digest < "8" })
      yield* made.ingest.write(large)
      yield* made.ingest.end
      const total = made.announced.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      assert.strictEqual(total, large.length)
      assert.isTrue([...made.stored.keys()].every((digest) => digest >= "8"))
      const unknown = made.announced.filter(({ digest }) => digest >= "8").length
      assert.strictEqual(made.stored.size, unknown)
      assert.isAbove(made.announced.length, unknown)
    })
  )

  it.effect("ends a chunk wherever it is told to, and never an empty one", () =>
    Effect.gen(function* () {
      const made = yield* makeIngest()
      yield* made.ingest.endChunk
      yield* made.ingest.write(large.subarray(0, 10))
      yield* made.ingest.endChunk
      yield* made.ingest.endChunk
      yield* made.ingest.write(large.subarray(10, 100_000))
      yield* made.ingest.endChunk
      const before = made.announced.length
      yield* made.ingest.write(large.subarray(100_000, 100_001))
      yield* made.ingest.end
      assert.strictEqual(made.announced[0]?.sizeBytes, 10)
      assert.strictEqual(made.announced.length, before + 1)
      assert.strictEqual(Buffer.compare(contentOf(made), large.subarray(0, 100_001)), 0)
      // A chunk begun anew is cut as if nothing had been before it.
      const fresh = yield* makeIngest()
      yield* fresh.ingest.write(large.subarray(10, 100_000))
      yield* fresh.ingest.endChunk
      assert.deepStrictEqual(made.announced.slice(1, before), fresh.announced)
    })
  )

  it.effect("has nothing of nothing", () =>
    Effect.gen(function* () {
      const made = yield* makeIngest()
      yield* made.ingest.write(new Uint8Array())
      yield* made.ingest.end
      assert.deepStrictEqual(made.announced, [])
    })
  )

  it.effect("runs no further ahead of the store than its slots, and ends when all is stored", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      let started = 0
      const store = () =>
        Effect.andThen(
          Effect.sync(() => void started++),
          Deferred.await(gate)
        )
      const made = yield* makeIngest({ slotCount: 3, store })
      const writing = yield* Effect.forkChild(Effect.andThen(made.ingest.write(large), made.ingest.end))
      for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
      assert.isAtMost(started, 3)
      assert.strictEqual(made.stored.size, 0)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(writing)
      assert.strictEqual(Buffer.compare(contentOf(made), large), 0)
    })
  )

  it.effect("stops at the first chunk that cannot be stored", () =>
    Effect.gen(function* () {
      let calls = 0
      const store = () => (++calls === 5 ? Effect.fail("disk full") : Effect.void)
      const made = yield* makeIngest({ store })
      const exit = yield* Effect.exit(Effect.andThen(made.ingest.write(large), made.ingest.end))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
      assert.strictEqual(yield* Effect.flip(exit), "disk full")
      assert.isBelow(made.stored.size, made.announced.length)
    })
  )

  it.effect("drains a source and tells of every block between reading and cutting", () =>
    Effect.gen(function* () {
      const made = yield* makeIngest()
      const steps: Array<string> = []
      const source = yield* ByteSource.fromStream(
        Stream.fromIterable([large.subarray(0, 5), new Uint8Array(), large.subarray(5, 20_000)])
      )
      yield* Ingest.drain(source, made.ingest, {
        beforeCut: () => void steps.push(`read, ${made.announced.length} cut`),
        afterBlock: (count) => Effect.sync(() => void steps.push(`took ${count}`))
      })
      yield* made.ingest.end
      assert.deepStrictEqual(steps, ["read, 0 cut", "took 5", "read, 0 cut", "took 19995"])
      assert.strictEqual(Buffer.compare(contentOf(made), large.subarray(0, 20_000)), 0)
    })
  )
})
