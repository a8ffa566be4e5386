/**
 * Reading ahead: how much is under way, in which order, what is fetched at all, and what becomes of failures and of
 * readers that leave.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import type { ChunkIndex } from "../../src/format/ChunkIndex.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as FixedIndex from "../../src/format/FixedIndex.ts"
import * as Digest from "../../src/model/Digest.ts"
import { ChunkError } from "../../src/platform/ChunkCodec.ts"
import * as ArchiveReader from "../../src/restore/ArchiveReader.ts"
import { ChunkRoom } from "../../src/platform/ChunkRoom.ts"
import { windowBytes } from "../../src/restore/Prefetch.ts"
import type { ChunkStore } from "../../src/store/ChunkStore.ts"

const MIB = 1024 * 1024
const latencyMillis = 50
const identity = { uuid: new Uint8Array(16), ctime: 0 }

const digestOf = (data: Uint8Array): Uint8Array => createHash("sha256").update(data).digest()

const contentOf = (number: number, sizeBytes = 100): Uint8Array => new Uint8Array(sizeBytes).fill(number + 1)

const dynamicOf = (contents: ReadonlyArray<Uint8Array>): ChunkIndex => {
  const builder = new DynamicIndex.DynamicIndexBuilder()
  for (const content of contents) builder.add(builder.sizeBytes + content.length, digestOf(content))
  return DynamicIndex.decode(builder.finish(identity).bytes)
}

const fixedOf = (contents: ReadonlyArray<Uint8Array>, chunkSizeBytes: number): ChunkIndex => {
  const builder = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes })
  let end = 0
  for (const content of contents) {
    builder.add(end, content.length, digestOf(content))
    end += content.length
  }
  return FixedIndex.decode(builder.finish(identity).bytes)
}

interface Counts {
  readonly asked: Array<string>
  underWay: number
  underWayMax: number
  bytesUnderWay: number
  bytesUnderWayMax: number
  interrupted: number
}

/** A store far away: each chunk takes its time, however many are under way. */
const farStore = (
  contents: ReadonlyArray<Uint8Array>,
  options: { readonly parallelism?: number; readonly missing?: ReadonlyArray<number> } = {}
) => {
  const byDigest = new Map(contents.map((content) => [Digest.fromBytes(digestOf(content)), content] as const))
  for (const number of options.missing ?? []) {
    byDigest.delete(Digest.fromBytes(digestOf(contents[number] ?? new Uint8Array(0))))
  }
  const counts: Counts = {
    asked: [],
    underWay: 0,
    underWayMax: 0,
    bytesUnderWay: 0,
    bytesUnderWayMax: 0,
    interrupted: 0
  }
  const read: ChunkStore["Service"]["read"] = ({ digest, sizeBytes = 0 }, target) =>
    Effect.gen(function* () {
      counts.asked.push(digest)
      counts.underWay += 1
      counts.bytesUnderWay += sizeBytes
      counts.underWayMax = Math.max(counts.underWayMax, counts.underWay)
      counts.bytesUnderWayMax = Math.max(counts.bytesUnderWayMax, counts.bytesUnderWay)
      yield* Effect.sleep(latencyMillis)
      const content = byDigest.get(digest)
      if (content === undefined) return yield* new ChunkError({ digest, reason: "Missing", detail: "" })
      target?.set(content)
      return target?.subarray(0, content.length) ?? content
    }).pipe(
      Effect.onInterrupt(() => Effect.sync(() => void (counts.interrupted += 1))),
      Effect.ensuring(
        Effect.sync(() => {
          counts.underWay -= 1
          counts.bytesUnderWay -= sizeBytes
        })
      )
    )
  const chunks = {
    read,
    digest: (data: Uint8Array) => Effect.sync(() => digestOf(data)),
    parallelism: options.parallelism ?? 12
  } as unknown as ChunkStore["Service"]
  return { chunks, counts }
}

/** Reads all, and says how long it took on the test's clock. */
const readAll = (chunks: ChunkStore["Service"], index: ChunkIndex) =>
  Effect.gen(function* () {
    const parts: Array<Buffer> = []
    const reading = yield* Effect.gen(function* () {
      const reader = yield* ArchiveReader.make(chunks, index, undefined)
      const stream = yield* reader.pieces()
      for (let piece = yield* stream.next; piece !== undefined; piece = yield* stream.next) {
        parts.push(Buffer.from(piece))
      }
    }).pipe(Effect.scoped, Effect.forkChild)
    let millis = 0
    for (; reading.pollUnsafe() === undefined; millis += latencyMillis) yield* TestClock.adjust(latencyMillis)
    const exit = yield* Fiber.await(reading)
    return { content: Buffer.concat(parts), exit, millis }
  })

describe("reading ahead", () => {
  it.effect("reads a store that is far away at least eight times as fast as one chunk after the other", () =>
    Effect.gen(function* () {
      const contents = Array.from({ length: 120 }, (_, number) => contentOf(number))
      const { chunks, counts } = farStore(contents)
      const { content, exit, millis } = yield* readAll(chunks, dynamicOf(contents))
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(content, Buffer.concat(contents))
      assert.isAtMost(millis, (contents.length * latencyMillis) / 8)
      assert.strictEqual(counts.underWayMax, 17)
      const order = contents.map((each) => Digest.fromBytes(digestOf(each)) as string)
      assert.deepStrictEqual(counts.asked, order)
    })
  )

  it.effect("has no more under way than its threads need where a store is near", () =>
    Effect.gen(function* () {
      const contents = Array.from({ length: 40 }, (_, number) => contentOf(number))
      const { chunks, counts } = farStore(contents, { parallelism: 2 })
      yield* readAll(chunks, dynamicOf(contents))
      assert.strictEqual(counts.underWayMax, 3)
    })
  )

  it.effect("bounds what is under way in bytes as well", () =>
    Effect.gen(function* () {
      const contents = Array.from({ length: 10 }, (_, number) => contentOf(number, 12 * MIB))
      const { chunks, counts } = farStore(contents)
      const { content } = yield* readAll(chunks, dynamicOf(contents))
      assert.isTrue(content.equals(Buffer.concat(contents)))
      assert.isAtMost(counts.bytesUnderWayMax, windowBytes)
      assert.strictEqual(counts.underWayMax, 5)
    })
  )

  it.effect("reads chunks that are larger than its memory should be, one after the other", () =>
    Effect.gen(function* () {
      const contents = [contentOf(0, windowBytes + 1), contentOf(1, windowBytes + 2)]
      const { chunks, counts } = farStore(contents)
      const { content } = yield* readAll(chunks, dynamicOf(contents))
      assert.isTrue(content.equals(Buffer.concat(contents)))
      assert.strictEqual(counts.underWayMax, 1)
    })
  )
})

describe("what is fetched", () => {
  it.effect("a chunk that comes again within the window is fetched once", () =>
    Effect.gen(function* () {
      const [first, second] = [contentOf(0), contentOf(1)]
      const contents = Array.from({ length: 300 }, (_, number) => (number % 3 === 0 ? second : first))
      const { chunks, counts } = farStore(contents)
      const { content, millis } = yield* readAll(chunks, dynamicOf(contents))
      assert.deepStrictEqual(content, Buffer.concat(contents))
      assert.strictEqual(counts.asked.length, 2)
      assert.strictEqual(millis, latencyMillis)
    })
  )

  it.effect("chunks of zeros are not fetched, and what lies behind them is", () =>
    Effect.gen(function* () {
      const zeros = new Uint8Array(4096)
      const contents = Array.from({ length: 130 }, (_, number) =>
        number % 10 === 9 ? contentOf(number, 4096) : zeros
      )
      const { chunks, counts } = farStore([...contents, contentOf(200, 7)])
      const { content, millis } = yield* readAll(chunks, fixedOf([...contents, contentOf(200, 7)], 4096))
      assert.isTrue(content.equals(Buffer.concat([...contents, contentOf(200, 7)])))
      assert.strictEqual(counts.asked.length, 14)
      assert.isAtMost(millis, 2 * latencyMillis)
    })
  )

  it.effect("what is left out is not fetched, and the rest comes right", () =>
    Effect.gen(function* () {
      const contents = Array.from({ length: 60 }, (_, number) => contentOf(number % 50))
      const { chunks, counts } = farStore(contents, { parallelism: 3 })
      const reader = yield* ArchiveReader.make(chunks, dynamicOf(contents), undefined)
      const stream = yield* reader.pieces(150)
      const reading = yield* Effect.forkChild(
        Effect.gen(function* () {
          const before = Buffer.from((yield* stream.next) ?? [])
          yield* stream.skip(5000)
          return { before, after: Buffer.from((yield* stream.next) ?? []) }
        })
      )
      yield* TestClock.adjust(10 * latencyMillis)
      const { after, before } = yield* Fiber.join(reading)
      assert.deepStrictEqual(before, Buffer.from(contentOf(1, 50)))
      assert.deepStrictEqual(after, Buffer.from(contentOf(2)))
      assert.isFalse(counts.asked.includes(Digest.fromBytes(digestOf(contentOf(30)))))
    })
  )
})

describe("failures and readers that leave", () => {
  it.effect("a failure comes at the place of its own chunk", () =>
    Effect.gen(function* () {
      const contents = Array.from({ length: 20 }, (_, number) => contentOf(number))
      const { chunks, counts } = farStore(contents, { missing: [5] })
      const { content, exit } = yield* readAll(chunks, dynamicOf(contents))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(content, Buffer.concat(contents.slice(0, 5)))
      assert.strictEqual(counts.underWay, 0)
    })
  )

  it.effect("nothing goes on for a reader that was interrupted", () =>
    Effect.gen(function* () {
      const contents = Array.from({ length: 20 }, (_, number) => contentOf(number))
      const { chunks, counts } = farStore(contents)
      const scope = yield* Scope.make()
      const reader = yield* ArchiveReader.make(chunks, dynamicOf(contents), undefined)
      const stream = yield* Scope.provide(reader.pieces(), scope)
      const reading = yield* Effect.forkChild(stream.next)
      yield* TestClock.adjust(latencyMillis / 2)
      yield* Fiber.interrupt(reading)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(counts.underWay, 0)
      assert.strictEqual(counts.interrupted, 17)
      yield* TestClock.adjust(100 * latencyMillis)
      assert.strictEqual(counts.asked.length, 17)
    })
  )
})

describe("the room for chunks", () => {
  const overlaps = (left: Uint8Array, right: Uint8Array): boolean =>
    left.byteOffset < right.byteOffset + right.length && right.byteOffset < left.byteOffset + left.length

  it("never gives the same memory to two, and refuses nothing that fits into an empty room", () => {
    const step = fc.record({
      sizeBytes: fc.integer({ min: 1, max: 40_000 }),
      keepsShare: fc.constantFrom(1, 1, 0.5, 0.1, 0),
      leaves: fc.nat(8)
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const room = new ChunkRoom(40_000)
        const taken: Array<Uint8Array> = []
        for (const { keepsShare, leaves, sizeBytes } of steps) {
          const part = room.take(sizeBytes)
          if (part !== undefined) {
            assert.strictEqual(part.length, sizeBytes)
            assert.isFalse(taken.some((other) => overlaps(other, part)))
            const left = keepsShare === 1 ? part : room.shrink(part, Math.floor(sizeBytes * keepsShare))
            assert.strictEqual(left.byteOffset, part.byteOffset)
            taken.push(left)
          } else assert.isAbove(taken.length, 0)
          for (const left of taken.splice(leaves)) room.giveBack(left)
        }
      })
    )
  })

  it("what is behind the beginning of a part can be taken by others when it was given back", () => {
    const room = new ChunkRoom(4 * 4096)
    const part = room.take(4 * 4096) ?? assert.fail("no room")
    assert.isUndefined(room.take(1))
    const left = room.shrink(part, 4097)
    assert.strictEqual(left.length, 4097)
    assert.strictEqual(room.take(2 * 4096)?.byteOffset, left.byteOffset + 2 * 4096)
    assert.isUndefined(room.take(1))
    assert.throws(() => room.giveBack(part), /already/)
    room.giveBack(left)
    assert.isDefined(room.take(2 * 4096))
  })

  it("a part is given back once", () => {
    const room = new ChunkRoom(4096)
    const part = room.take(10) ?? assert.fail("no room")
    assert.isUndefined(room.take(10))
    room.giveBack(part)
    assert.throws(() => room.giveBack(part), /already/)
  })
})
