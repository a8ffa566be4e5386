/** Rates are kept in every span of time, requests go in turn, and nothing waits longer than it must. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import fc from "fast-check"
import { type Rate, rateLimited, type RateLimits } from "../../../src/objectstore/decorators/rateLimited.ts"
import { TokenBucket } from "../../../src/objectstore/decorators/TokenBucket.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import type { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import { at, runThroughTime, type Scene, scene, type Seen, type Store, throughTime } from "./scene.ts"

interface Arrival {
  readonly atMillis: number
  readonly kind: "put" | "putIfAbsent" | "get" | "getRange" | "head" | "list"
  readonly sizeBytes: number
}

const arrival: fc.Arbitrary<Arrival> = fc.record({
  atMillis: fc.nat({ max: 3000 }),
  kind: fc.constantFrom("put", "putIfAbsent", "get", "getRange", "head", "list"),
  sizeBytes: fc.nat({ max: 3000 })
})

const rate = (max: number): fc.Arbitrary<Rate> =>
  fc
    .tuple(fc.integer({ min: 1, max }), fc.option(fc.integer({ min: 1, max }), { nil: undefined }))
    .map(([perSecond, burst]) => ({ perSecond, ...(burst === undefined ? {} : { burst }) }))

const limits: fc.Arbitrary<RateLimits> = fc.record(
  { puts: rate(50), requests: rate(100), bytesOut: rate(5000) },
  { requiredKeys: [] }
)

const ask = (
  store: Store,
  { kind, sizeBytes }: Arrival,
  name: string
): Effect.Effect<unknown, ObjectStoreError> => {
  const key = at(name)
  switch (kind) {
    case "put":
      return store.put(key, new Uint8Array(sizeBytes))
    case "putIfAbsent":
      return store.putIfAbsent(key, new Uint8Array(sizeBytes))
    case "get":
      return store.get(key, 9)
    case "getRange":
      return store.getRange(key, { offset: 0, lengthBytes: 1 })
    case "head":
      return store.head(key)
    case "list":
      return store.list({ prefix: ObjectKey.parsePrefix(`${name}/`) })
  }
}

/** All at their times, each under its number; answers what reached the store. */
const play = (inside: Scene, given: RateLimits, arrivals: ReadonlyArray<Arrival>) =>
  Effect.gen(function* () {
    const store = yield* rateLimited(inside.store, given)
    yield* Effect.forEach(
      arrivals,
      (one, index) => Effect.ignore(Effect.delay(ask(store, one, `${index}`), one.atMillis)),
      { concurrency: "unbounded", discard: true }
    )
    return inside.seen
  })

/** No span of time from one request to another holds more than the rate allows. */
const assertWithin = (seen: ReadonlyArray<Seen>, given: Rate | undefined, cost: (one: Seen) => number) => {
  if (given === undefined) return
  const { perSecond, burst = perSecond } = given
  const counted = seen.filter((one) => cost(one) > 0)
  const largest = Math.max(0, ...counted.map(cost))
  // One that is larger than the burst goes when the bucket is full.
  const atOnce = Math.max(1, burst, largest)
  for (const [begin, first] of counted.entries()) {
    let sum = 0
    for (const last of counted.slice(begin)) {
      sum += cost(last)
      const allowed = atOnce + ((last.atMillis - first.atMillis) / 1000) * perSecond
      assert.isAtMost(sum, allowed + 1e-3, `from ${first.atMillis} to ${last.atMillis} ms`)
    }
  }
}

const isPut = ({ operation }: Seen): boolean => operation === "put" || operation === "putIfAbsent"
const isRead = ({ operation }: Seen): boolean => operation === "get" || operation === "getRange"

const inTurn = (
  arrivals: ReadonlyArray<Arrival>,
  seen: ReadonlyArray<Seen>,
  which: (one: Seen) => boolean
) => {
  const numbers = seen.filter(which).map(({ key }) => Number.parseInt(key, 10))
  const expected = numbers.toSorted(
    (left, right) => arrivals[left]!.atMillis - arrivals[right]!.atMillis || left - right
  )
  assert.deepStrictEqual(numbers, expected)
}

describe("any arrivals under any limits", () => {
  it("keep every rate in every span of time, and go first come, first served", async () => {
    await fc.assert(
      fc.asyncProperty(
        limits,
        fc.array(arrival, { minLength: 1, maxLength: 60 }),
        async (given, arrivals) => {
          const seen = await runThroughTime(play(scene(), given, arrivals))
          assert.lengthOf(seen, arrivals.length)
          assertWithin(seen, given.requests, () => 1)
          assertWithin(seen, given.puts, (one) => (isPut(one) ? 1 : 0))
          assertWithin(seen, given.bytesOut, ({ bytesOut }) => bytesOut)
          inTurn(arrivals, seen, isPut)
          inTurn(arrivals, seen, isRead)
          inTurn(arrivals, seen, (one) => !isPut(one) && !isRead(one))
        }
      ),
      { numRuns: 150 }
    )
  })

  it("wait no longer than one limit asks for", async () => {
    await fc.assert(
      fc.asyncProperty(rate(50), fc.integer({ min: 2, max: 60 }), async (requests, count) => {
        const arrivals = Array.from({ length: count }, () => ({
          atMillis: 0,
          kind: "head" as const,
          sizeBytes: 0
        }))
        const seen = await runThroughTime(play(scene(), { requests }, arrivals))
        const { perSecond, burst = perSecond } = requests
        const waiting = Math.max(0, count - Math.max(1, burst))
        const leastMillis = (waiting / perSecond) * 1000
        assert.isAtLeast(seen.at(-1)!.atMillis, leastMillis - 1e-3)
        // Waits are whole milliseconds, and a small burst cannot make up for the rest.
        assert.isAtMost(seen.at(-1)!.atMillis, leastMillis + waiting + 1e-3)
      }),
      { numRuns: 60 }
    )
  })
})

describe("a bucket", () => {
  const second = 1_000_000_000n

  it("holds a burst at most, though something is given back", () => {
    const bucket = new TokenBucket({ perSecond: 100 }, 0n)
    bucket.take(100, 0n)
    // Full again by itself, and nothing was used after all.
    bucket.give(100, second)
    bucket.take(100, second)
    assert.strictEqual(bucket.waitMillis(1, second), 10)
  })

  it("lets something larger than the burst go when it is full, and waits off the debt", () => {
    const bucket = new TokenBucket({ perSecond: 100, burst: 10 }, 0n)
    assert.strictEqual(bucket.waitMillis(1000, 0n), 0)
    bucket.take(1000, 0n)
    assert.strictEqual(bucket.waitMillis(1, 0n), 9910)
    assert.strictEqual(bucket.waitMillis(1000, 9n * second), 1000)
  })

  it("counts fractions of a token's time: fast rates are not rounded", () => {
    const bucket = new TokenBucket({ perSecond: 3e9, burst: 1 }, 0n)
    bucket.take(3e9 + 1, 0n)
    assert.strictEqual(bucket.waitMillis(1, 0n), 1001)
    assert.strictEqual(bucket.waitMillis(1, second + 1n), 0)
  })

  it("takes no notice of a time before the last one", () => {
    const bucket = new TokenBucket({ perSecond: 1 }, 5n * second)
    bucket.take(1, 5n * second)
    assert.strictEqual(bucket.waitMillis(1, 0n), 1000)
    assert.strictEqual(bucket.waitMillis(1, 6n * second), 0)
  })
})

describe("turns", () => {
  it.effect("reads do not wait for a limit on writes", () =>
    Effect.gen(function* () {
      const inside = scene()
      const arrivals = (["put", "put", "put", "head", "get"] as const).map((kind) => ({
        atMillis: 0,
        kind,
        sizeBytes: 1
      }))
      yield* throughTime(
        play(
          inside,
          { puts: { perSecond: 0.1, burst: 1 }, requests: { perSecond: 100 }, bytesIn: { perSecond: 100 } },
          arrivals
        )
      )
      assert.deepStrictEqual(
        inside.seen.map(({ operation, atMillis }) => [operation, atMillis]),
        [
          ["put", 0],
          ["head", 0],
          ["get", 0],
          ["put", 10_000],
          ["put", 20_000]
        ]
      )
    })
  )

  it.effect("reads, writes and others take turns at the limit they share, however long their lines are", () =>
    Effect.gen(function* () {
      const kinds = (["head", "get", "put"] as const).flatMap((kind, index) =>
        Array.from({ length: [20, 5, 3][index] ?? 0 }, () => kind)
      )
      const inside = scene()
      const arrivals = kinds.map((kind) => ({ atMillis: 0, kind, sizeBytes: 1 }))
      yield* throughTime(play(inside, { requests: { perSecond: 1, burst: 1 } }, arrivals))
      const operations = inside.seen.map(({ operation }) => operation)
      const turn = ["head", "get", "put"]
      // The first one went at once, before the others came.
      assert.deepStrictEqual(operations.slice(0, 14), [
        "head",
        ...turn,
        ...turn,
        ...turn,
        "head",
        "get",
        "head",
        "get"
      ])
    })
  )

  it.effect("who is interrupted leaves the line and has taken nothing", () =>
    Effect.gen(function* () {
      const inside = scene()
      const store = yield* rateLimited(inside.store, { puts: { perSecond: 1 } })
      const put = (name: string) => store.put(at(name), new Uint8Array(1))
      yield* put("first")
      const waiting = yield* Effect.forEach(Array.from({ length: 50 }), () =>
        Effect.forkChild(put("cancelled"))
      )
      yield* TestClock.adjust("100 millis")
      const last = yield* Effect.forkChild(put("last"))
      yield* Effect.forEach(waiting, Fiber.interrupt, { concurrency: "unbounded" })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(last)
      assert.deepStrictEqual(
        inside.seen.map(({ key, atMillis }) => [key, atMillis]),
        [
          ["first", 0],
          ["last", 1000]
        ]
      )
    })
  )

  it.effect("an empty batch of deletions asks for nothing", () =>
    Effect.gen(function* () {
      const store = yield* rateLimited(scene().store, { requests: { perSecond: 0.001 } })
      yield* store.head(at("a")).pipe(Effect.ignore)
      assert.deepStrictEqual(yield* store.deleteMany([]), { deleted: [], failed: [] })
    })
  )
})

describe("bytes that come in", () => {
  const sizeBytes = 100_000

  /** When each of so many reads began. */
  const read = (count: number, perSecond: number, one: (store: Store) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function* () {
      const inside = scene()
      inside.bucket.put("a", new Uint8Array(sizeBytes), 0)
      const store = yield* rateLimited(inside.store, { bytesIn: { perSecond } })
      yield* throughTime(
        Effect.forEach(Array.from({ length: count }), () => Effect.ignore(one(store)), {
          concurrency: 8,
          discard: true
        })
      )
      return inside.seen.map(({ atMillis }) => atMillis)
    })

  it.effect("ranges keep to the rate exactly", () =>
    Effect.gen(function* () {
      const begins = yield* read(11, sizeBytes, (store) =>
        store.getRange(at("a"), { offset: 0, lengthBytes: sizeBytes })
      )
      assert.deepStrictEqual(
        begins,
        Array.from({ length: 11 }, (_, index) => index * 1000)
      )
    })
  )

  it.effect("objects whose size nobody knows keep to it over time", () =>
    Effect.gen(function* () {
      const begins = yield* read(101, sizeBytes, (store) => store.get(at("a"), 16 * 1024 * 1024))
      // The first guess is ten times too high and is given back; the mean soon fits.
      assert.approximately(begins.at(-1)!, 100_000, 3000)
      assert.isTrue(begins.every((millis, index) => index <= millis / 1000 + 8))
    })
  )

  it.effect("the end of an object is shorter than the range, and costs what it is", () =>
    Effect.gen(function* () {
      const begins = yield* read(11, sizeBytes, (store) =>
        store.getRange(at("a"), { offset: sizeBytes / 2, lengthBytes: sizeBytes })
      )
      assert.approximately(begins.at(-1)!, 5000, 1000)
    })
  )

  it.effect("a refusal costs nothing", () =>
    Effect.gen(function* () {
      const begins = yield* read(100, sizeBytes, (store) =>
        store.getRange(at("none"), { offset: 0, lengthBytes: sizeBytes })
      )
      assert.strictEqual(begins.at(-1), 0)
    })
  )
})

it.effect("a rate of nothing is refused", () =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(rateLimited(scene().store, { puts: { perSecond: 0 } }))
    assert.include(String(exit), "above 0")
  })
)
