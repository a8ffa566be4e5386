/** SingleFlight and what readers get of a shared chunk: who gets which memory, and who may leave when. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { createHash } from "node:crypto"
import * as Digest from "../../../src/model/Digest.ts"
import { ChunkError } from "../../../src/platform/ChunkCodec.ts"
import * as SharedChunk from "../../../src/store/bucket/SharedChunk.ts"
import * as SingleFlight from "../../../src/store/bucket/SingleFlight.ts"

const content = Buffer.from("what is in the chunk")
const digest = Digest.fromBytes(createHash("sha256").update(content).digest())
const corrupt = new ChunkError({ digest, reason: "Corrupt", detail: "too long" })

/** A store whose answer comes when the test lets it, and whose decoding takes until the test lets it end. */
const far = Effect.gen(function* () {
  const flights = yield* SingleFlight.make<SharedChunk.SharedChunk, ChunkError>()
  const answered = yield* Deferred.make<void>()
  const decoding = yield* Deferred.make<void>()
  const decoded = yield* Deferred.make<void>()
  const counts = { fetches: 0, ended: 0 }
  const read = (target?: Uint8Array, sizeBytes?: number) =>
    flights.share("chunk", {
      fetch: (borrow) =>
        Effect.gen(function* () {
          counts.fetches += 1
          yield* Deferred.await(answered)
          const lent = target !== undefined && borrow() ? target : undefined
          yield* Effect.gen(function* () {
            yield* Deferred.succeed(decoding, undefined)
            yield* Deferred.await(decoded)
            counts.ended += 1
          }).pipe(Effect.uninterruptible)
          if (lent === undefined) return { data: new Uint8Array(content), isLent: false }
          if (lent.length < content.length) return yield* corrupt
          lent.set(content)
          return { data: lent.subarray(0, content.length), isLent: true }
        }),
      receive: (shared, claim) =>
        SharedChunk.receive(shared, { digest, sizeBytes, crypt: undefined }, target, claim)
    })
  const answer = Deferred.succeed(answered, undefined)
  const finish = Effect.andThen(answer, Deferred.succeed(decoded, undefined))
  return { read, answer, decoding: Deferred.await(decoding), finish, counts }
})

/** Starts a reader, and lets it come as far as it can. */
const start = <A, E>(reading: Effect.Effect<A, E>) => Effect.forkChild(reading, { startImmediately: true })

describe("SingleFlight", () => {
  it.effect("one fetch serves all, each in memory of its own, the first one right where it wants it", () =>
    Effect.gen(function* () {
      const { counts, finish, read } = yield* far
      const targets = [new Uint8Array(64), new Uint8Array(64)]
      const readers = yield* Effect.forEach([...targets, undefined, undefined], (target) =>
        start(read(target))
      )
      yield* finish
      const found = yield* Effect.forEach(readers, Fiber.join)
      assert.strictEqual(counts.fetches, 1)
      for (const each of found) assert.deepStrictEqual(Buffer.from(each), content)
      assert.strictEqual(found[0]?.buffer, targets[0]?.buffer)
      assert.strictEqual(found[1]?.buffer, targets[1]?.buffer)
      assert.strictEqual(new Set(found.map(({ buffer }) => buffer)).size, 4)
    }).pipe(Effect.scoped)
  )

  it.effect("who has left before it is written keeps its memory as it is", () =>
    Effect.gen(function* () {
      const { counts, finish, read } = yield* far
      const target = new Uint8Array(64)
      const first = yield* start(read(target))
      const second = yield* start(read())
      yield* Fiber.interrupt(first)
      yield* finish
      assert.deepStrictEqual(Buffer.from(yield* Fiber.join(second)), content)
      assert.strictEqual(counts.fetches, 1)
      assert.isTrue(target.every((byte) => byte === 0))
    }).pipe(Effect.scoped)
  )

  for (const others of [0, 1]) {
    it.effect(`who has lent its memory leaves when nothing writes there any more; others: ${others}`, () =>
      Effect.gen(function* () {
        const { answer, counts, decoding, finish, read } = yield* far
        const first = yield* start(read(new Uint8Array(64)))
        const rest = yield* Effect.forEach(Array.from({ length: others }), () => start(read()))
        yield* answer
        yield* decoding
        const leaving = yield* start(Fiber.interrupt(first))
        yield* Effect.yieldNow
        assert.isUndefined(leaving.pollUnsafe())
        yield* finish
        yield* Fiber.join(leaving)
        assert.strictEqual(counts.ended, 1)
        for (const reader of rest) {
          const outcome = yield* Fiber.await(reader)
          assert.deepStrictEqual(Exit.isSuccess(outcome) && Buffer.from(outcome.value), content)
        }
      }).pipe(Effect.scoped)
    )
  }

  it.effect("a target that is too small, or a wrong length, is the failure of that reader alone", () =>
    Effect.gen(function* () {
      const { finish, read } = yield* far
      const small = yield* start(read(new Uint8Array(4)))
      const wrong = yield* start(read(undefined, 7))
      const good = yield* start(read(new Uint8Array(64), content.length))
      yield* finish
      assert.isTrue(Exit.isFailure(yield* Fiber.await(small)))
      const told = yield* Effect.flip(Fiber.join(wrong))
      assert.include(told.message, "its index says 7 bytes")
      assert.deepStrictEqual(Buffer.from(yield* Fiber.join(good)), content)
    }).pipe(Effect.scoped)
  )
})
