/** The chunks that readers share: one fetch for all, within the bytes there are, and nothing under way for nobody. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { TestClock } from "effect/testing"
import { ChunkError } from "../../../src/platform/ChunkCodec.ts"
import type { ReadError } from "../../../src/restore/ArchiveReader.ts"
import { copyOf } from "../../../src/vfs/content/ContentReader.ts"
import * as DecodedChunks from "../../../src/vfs/content/DecodedChunks.ts"
import type { SizedChunk } from "../../../src/vfs/content/Fetches.ts"
import {
  contentOf,
  contentsOf,
  digestOf,
  FarStore,
  keyNamed,
  latencyMillis,
  pageBytes,
  wantedOf
} from "./farStore.ts"

interface Step {
  readonly chunk: number
  readonly what: "get" | "hold" | "let go" | "interrupt" | "wait"
}

/** Does what the steps say; after each of them the bytes are counted, and in the end everybody has got his chunk. */
const withinBytes = (maxBytes: number, steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const contents = Array.from({ length: 31 }, (_, number) =>
      contentOf(number, pageBytes * (1 + (number % 4)) - number)
    )
    const store = new FarStore(contents)
    const decoded = yield* DecodedChunks.make(store.chunks, { maxBytes })
    const held: Array<DecodedChunks.HeldChunk> = []
    const letAllGo = () => held.splice(0).forEach((one) => one.letGo())
    const holder = { hasRead: true, stop: letAllGo }
    const reading: Array<{
      readonly content: Uint8Array
      readonly fiber: Fiber.Fiber<Uint8Array, ReadError>
    }> = []
    for (const { chunk, what } of steps) {
      const content = contents[chunk] ?? new Uint8Array(0)
      if (what === "get")
        reading.push({ content, fiber: yield* Effect.forkChild(get(decoded, wantedOf(content))) })
      if (what === "hold") {
        yield* decoded.readers.enter(holder)
        held.push(...[yield* decoded.hold(wantedOf(content))].filter((one) => one !== undefined))
      }
      if (what === "let go") held.shift()?.letGo()
      if (what === "interrupt")
        yield* Effect.forEach(reading.splice(chunk, 1), ({ fiber }) => Fiber.interrupt(fiber))
      yield* TestClock.adjust(what === "wait" ? latencyMillis : 1)
      const { keptBytes, underWayBytes } = decoded.sizes()
      assert.isAtMost(keptBytes + underWayBytes, maxBytes)
      assert.isAtMost(store.bytesUnderWay, underWayBytes)
    }
    letAllGo()
    for (let round = 0; round < steps.length; round++) yield* TestClock.adjust(latencyMillis)
    for (const { content, fiber } of reading) assert.deepStrictEqual(yield* Fiber.join(fiber), content)
    assert.strictEqual(decoded.sizes().underWayBytes, 0)
    assert.strictEqual(store.underWay, 0)
  })

/** Gets chunks one after the other, and counts the requests that took. */
/** A copy: what is lent may be gone the moment after. */
const get = (decoded: DecodedChunks.DecodedChunks, wanted: SizedChunk, isNewUse?: boolean) =>
  decoded.lend(wanted, copyOf, isNewUse)

const getAll = (store: FarStore, decoded: DecodedChunks.DecodedChunks, contents: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const before = store.asked.length
    for (const content of contents) {
      const got = yield* Effect.forkChild(get(decoded, wantedOf(content)))
      yield* TestClock.adjust(latencyMillis)
      assert.deepStrictEqual(yield* Fiber.join(got), content)
    }
    return store.asked.length - before
  })

describe("one fetch for all", () => {
  it.effect("many want a chunk at once, it is read once, and then no more", () =>
    Effect.gen(function* () {
      const content = contentOf(1)
      const store = new FarStore([content])
      const decoded = yield* DecodedChunks.make(store.chunks)
      const readers = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.forkChild(get(decoded, wantedOf(content)))
      )
      yield* TestClock.adjust(latencyMillis)
      const got = yield* Effect.forEach(readers, (reader) => Fiber.join(reader))
      got.push(yield* get(decoded, wantedOf(content)))
      assert.strictEqual(store.asked.length, 1)
      for (const data of got) assert.deepStrictEqual(data, got[0])
      assert.deepStrictEqual(got[0], content)
    })
  )

  it.effect("a failure reaches all who wait, and is not kept", () =>
    Effect.gen(function* () {
      const content = contentOf(1)
      const store = new FarStore([content])
      const decoded = yield* DecodedChunks.make(store.chunks)
      const failure = new ChunkError({ digest: digestOf(content), reason: "Corrupt", detail: "torn" })
      store.failures.set(digestOf(content), failure)
      const readers = yield* Effect.forEach([1, 2], () => Effect.forkChild(get(decoded, wantedOf(content))))
      yield* TestClock.adjust(latencyMillis)
      for (const reader of readers) assert.strictEqual(yield* Effect.flip(Fiber.join(reader)), failure)
      assert.deepStrictEqual(decoded.sizes(), { keptBytes: 0, underWayBytes: 0 })
      store.failures.clear()
      assert.strictEqual(yield* getAll(store, decoded, [content]), 1)
    })
  )

  it.effect("each who names another length is told, whoever came first", () =>
    Effect.gen(function* () {
      const content = contentOf(1)
      const store = new FarStore([content])
      const decoded = yield* DecodedChunks.make(store.chunks)
      const wrong = yield* Effect.forkChild(get(decoded, { ...wantedOf(content), sizeBytes: 99 }))
      const right = yield* Effect.forkChild(get(decoded, wantedOf(content)))
      yield* TestClock.adjust(latencyMillis)
      assert.deepStrictEqual(yield* Fiber.join(right), content)
      const told = yield* Effect.flip(Fiber.join(wrong))
      const late = yield* Effect.flip(get(decoded, { ...wantedOf(content), sizeBytes: 101 }))
      assert.include(told.message, "its index says 99 bytes, it holds 4096")
      assert.include(late.message, "its index says 101 bytes, it holds 4096")
      assert.strictEqual(store.asked.length, 2)
    })
  )

  it.effect("who has another key gets nothing of it", () =>
    Effect.gen(function* () {
      const content = contentOf(1)
      const store = new FarStore([content])
      const decoded = yield* DecodedChunks.make(store.chunks)
      const wanted = wantedOf(content)
      const keys = [undefined, keyNamed("aa:bb"), keyNamed("cc:dd")]
      const readers = yield* Effect.forEach(keys, (crypt) =>
        Effect.forkChild(get(decoded, { ...wanted, crypt }))
      )
      yield* TestClock.adjust(latencyMillis)
      yield* Effect.forEach(readers, (reader) => Fiber.join(reader))
      assert.strictEqual(store.asked.length, 3)
      yield* get(decoded, { ...wanted, crypt: keyNamed("aa:bb") })
      assert.strictEqual(store.asked.length, 3)
    })
  )
})

describe("those who leave", () => {
  it.effect("the last one takes the fetch along, others go on", () =>
    Effect.gen(function* () {
      const content = contentOf(1)
      const store = new FarStore([content])
      const decoded = yield* DecodedChunks.make(store.chunks)
      const [first, second] = [
        yield* Effect.forkChild(get(decoded, wantedOf(content))),
        yield* Effect.forkChild(get(decoded, wantedOf(content)))
      ]
      yield* TestClock.adjust(latencyMillis / 2)
      yield* Fiber.interrupt(first)
      assert.strictEqual(store.interrupted, 0)
      yield* Fiber.interrupt(second)
      assert.strictEqual(store.interrupted, 1)
      assert.strictEqual(store.underWay, 0)
      assert.deepStrictEqual(decoded.sizes(), { keptBytes: 0, underWayBytes: 0 })
      assert.strictEqual(yield* getAll(store, decoded, [content]), 1)
    })
  )

  it.effect("all that is under way ends with the scope", () =>
    Effect.gen(function* () {
      const contents = contentsOf(5)
      const store = new FarStore(contents)
      const scope = yield* Scope.make()
      const decoded = yield* Scope.provide(DecodedChunks.make(store.chunks), scope)
      const readers = yield* Effect.forEach(contents, (content) =>
        Effect.forkChild(get(decoded, wantedOf(content)))
      )
      yield* decoded.hold(wantedOf(contentOf(9)))
      yield* TestClock.adjust(1)
      assert.strictEqual(store.underWay, 6)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(store.underWay, 0)
      assert.strictEqual(store.interrupted, 6)
      for (const reader of readers) assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(reader)))
    })
  )
})

describe("within its bytes", () => {
  it.effect("what is here and under way stays within, whatever is wanted, held and left", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 4, max: 24 }),
          fc.array(
            fc.record({
              chunk: fc.nat({ max: 30 }),
              what: fc.constantFrom<Step["what"]>("get", "get", "get", "hold", "let go", "interrupt", "wait")
            }),
            { minLength: 20, maxLength: 120 }
          ),
          (pages, steps) =>
            Effect.runPromise(
              Effect.scoped(withinBytes(pages * pageBytes, steps)).pipe(Effect.provide(TestClock.layer()))
            )
        ),
        { numRuns: 60 }
      )
    )
  )

  it.effect("who finds no room waits until somebody has come", () =>
    Effect.gen(function* () {
      const contents = contentsOf(7)
      const store = new FarStore(contents)
      const decoded = yield* DecodedChunks.make(store.chunks, { maxBytes: 3 * pageBytes })
      const readers = yield* Effect.forEach(contents, (content) =>
        Effect.forkChild(get(decoded, wantedOf(content)))
      )
      for (const asked of [3, 6, 7]) {
        yield* TestClock.adjust(latencyMillis - 1)
        assert.strictEqual(store.asked.length, asked)
        yield* TestClock.adjust(1)
      }
      for (const [number, reader] of readers.entries()) {
        assert.deepStrictEqual(yield* Fiber.join(reader), contents[number])
      }
      assert.strictEqual(store.underWayMax, 3)
    })
  )

  it.effect("who waits for room and leaves takes nobody's place", () =>
    Effect.gen(function* () {
      const contents = contentsOf(3)
      const store = new FarStore(contents)
      const decoded = yield* DecodedChunks.make(store.chunks, { maxBytes: pageBytes })
      const [first, second, third] = yield* Effect.forEach(contents, (content) =>
        Effect.forkChild(get(decoded, wantedOf(content)))
      )
      yield* TestClock.adjust(1)
      if (first === undefined || second === undefined || third === undefined) return assert.fail("three")
      yield* Fiber.interrupt(second)
      yield* TestClock.adjust(2 * latencyMillis)
      assert.deepStrictEqual(yield* Fiber.join(third), contents[2])
      assert.deepStrictEqual(store.asked, [wantedOf(contentOf(0)).digest, wantedOf(contentOf(2)).digest])
    })
  )

  it.effect("a chunk larger than all the room is handed out, and not kept", () =>
    Effect.gen(function* () {
      const contents = [contentOf(0), contentOf(1, 5 * pageBytes), contentOf(2)]
      const store = new FarStore(contents)
      const decoded = yield* DecodedChunks.make(store.chunks, { maxBytes: 2 * pageBytes })
      assert.strictEqual(yield* getAll(store, decoded, contents), 3)
      assert.isAtMost(decoded.sizes().keptBytes, 2 * pageBytes)
      assert.strictEqual(yield* getAll(store, decoded, [contentOf(1, 5 * pageBytes)]), 1)
    })
  )

  it.effect("an index that claims far too much pushes nothing out", () =>
    Effect.gen(function* () {
      const store = new FarStore(contentsOf(3))
      const decoded = yield* DecodedChunks.make(store.chunks)
      yield* getAll(store, decoded, contentsOf(2))
      const reader = yield* Effect.forkChild(get(decoded, { ...wantedOf(contentOf(2)), sizeBytes: 2 ** 50 }))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(decoded.sizes(), { keptBytes: 2 * pageBytes, underWayBytes: 0 })
      yield* TestClock.adjust(latencyMillis)
      assert.include((yield* Effect.flip(Fiber.join(reader))).message, "it holds 4096")
      assert.strictEqual(yield* getAll(store, decoded, contentsOf(2)), 0)
    })
  )
})

describe("what stays", () => {
  it.effect("what was used again and again outlives a long archive that is read once", () =>
    Effect.gen(function* () {
      const favourites = contentsOf(4)
      const passing = Array.from({ length: 100 }, (_, number) => contentOf(100 + number))
      const store = new FarStore([...favourites, ...passing])
      const decoded = yield* DecodedChunks.make(store.chunks, { maxBytes: 10 * pageBytes })
      yield* getAll(store, decoded, [...favourites, ...favourites])
      assert.strictEqual(yield* getAll(store, decoded, passing), 100)
      assert.strictEqual(yield* getAll(store, decoded, favourites), 0)
    })
  )

  it.effect("a use that goes on makes nothing a favourite", () =>
    Effect.gen(function* () {
      const contents = contentsOf(40)
      const store = new FarStore(contents)
      const decoded = yield* DecodedChunks.make(store.chunks, { maxBytes: 10 * pageBytes })
      yield* getAll(store, decoded, [contentOf(0)])
      for (let again = 0; again < 10; again++) yield* get(decoded, wantedOf(contentOf(0)), false)
      yield* getAll(store, decoded, contents.slice(1))
      assert.strictEqual(yield* getAll(store, decoded, [contentOf(0)]), 1)
    })
  )

  it.effect("favourites that nobody wants any more make way for new ones", () =>
    Effect.gen(function* () {
      const [former, present] = [
        contentsOf(5),
        Array.from({ length: 5 }, (_, number) => contentOf(50 + number))
      ]
      const store = new FarStore([...former, ...present])
      const decoded = yield* DecodedChunks.make(store.chunks, { maxBytes: 6 * pageBytes })
      yield* getAll(store, decoded, [...former, ...former])
      yield* getAll(store, decoded, [...present, ...present, ...present, ...present])
      assert.isAtMost(yield* getAll(store, decoded, present), 2)
    })
  )

  it.effect("what is held for somebody stays until he lets go", () =>
    Effect.gen(function* () {
      const contents = contentsOf(40)
      const store = new FarStore(contents)
      const decoded = yield* DecodedChunks.make(store.chunks, { maxBytes: 10 * pageBytes })
      const held = yield* decoded.hold(wantedOf(contentOf(0)))
      yield* TestClock.adjust(latencyMillis)
      yield* getAll(store, decoded, contents.slice(1))
      assert.strictEqual(yield* getAll(store, decoded, [contentOf(0)]), 0)
      held?.letGo()
      yield* getAll(store, decoded, contents.slice(1))
      assert.strictEqual(yield* getAll(store, decoded, [contentOf(0)]), 1)
    })
  )
})
