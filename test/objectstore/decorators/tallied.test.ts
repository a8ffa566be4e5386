/** Counting one piece of work, and a store that changes nothing. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { Meter } from "../../../src/objectstore/decorators/metered.ts"
import { tallied, tally } from "../../../src/objectstore/decorators/tallied.ts"
import { unchanging } from "../../../src/objectstore/decorators/unchanging.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import { deleteOne } from "../../../src/objectstore/ObjectStore.ts"
import { MemoryBucket, MemoryObjectStore } from "../../../src/testing.ts"

const key = ObjectKey.parse("a/key")
const body = Buffer.from("seven b")

const scene = () => {
  const bucket = new MemoryBucket()
  return { bucket, store: tallied(MemoryObjectStore.make(bucket)) }
}

const countsOf = (meter: Meter) =>
  Effect.map(meter.usage, ({ bytesIn, bytesOut, operations }) => ({
    put: operations.put.requests,
    get: operations.get.requests,
    deleteMany: operations.deleteMany.requests,
    bytesIn,
    bytesOut,
    outcomes: operations.get.outcomes
  }))

describe("a tally", () => {
  it.effect("counts the work it was given to, with its fibers and finalizers, and nothing else", () =>
    Effect.gen(function* () {
      const { store } = scene()
      const meter = new Meter()
      const scope = yield* Scope.make()
      const work = Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.ignore(deleteOne(store, key)))
        yield* store.put(key, body)
        yield* Fiber.join(yield* Effect.forkScoped(store.get(key, 100)))
        yield* Effect.ignore(store.get(ObjectKey.parse("none"), 100))
      })
      yield* store.put(key, body)
      yield* tally(meter)(work).pipe(Scope.provide(scope))
      yield* store.get(key, 100)
      const before = { put: 1, get: 2, deleteMany: 0, bytesIn: 7, bytesOut: 7 }
      assert.deepStrictEqual(yield* countsOf(meter), { ...before, outcomes: { success: 1, NotFound: 1 } })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* countsOf(meter)).deleteMany, 1)
    })
  )

  it.effect("counts work within work for both", () =>
    Effect.gen(function* () {
      const { store } = scene()
      const [outer, inner] = [new Meter(), new Meter()]
      const put = store.put(key, body)
      yield* tally(outer)(Effect.andThen(put, tally(inner)(put)))
      assert.strictEqual((yield* countsOf(outer)).put, 2)
      assert.strictEqual((yield* countsOf(inner)).put, 1)
    })
  )
})

describe("an unchanging store", () => {
  it.effect("answers what is asked, and sends nothing that would change anything", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      bucket.put(key, body, 0)
      const store = unchanging(MemoryObjectStore.make(bucket))
      assert.deepStrictEqual(Buffer.from(yield* store.get(key, 100)), body)
      assert.strictEqual((yield* store.head(key)).sizeBytes, 7)
      assert.strictEqual((yield* store.list({ prefix: ObjectKey.parsePrefix("a/") })).objects.length, 1)
      const other = ObjectKey.parse("other")
      const changes = [
        Effect.asVoid(store.put(key, Buffer.from("x"))),
        Effect.asVoid(store.putIfAbsent(other, body)),
        Effect.asVoid(store.copy(key, other)),
        Effect.asVoid(store.deleteMany([key]))
      ]
      for (const change of changes) {
        const { message, retryable } = yield* Effect.flip(change)
        assert.include(message, "a plan, which changes nothing")
        assert.isFalse(retryable)
      }
      assert.deepStrictEqual(bucket.keys(), [key])
      assert.deepStrictEqual(Buffer.from(bucket.find(key)?.body ?? []), body)
    })
  )
})
