/** The decorators together: each sees what the order in `stack` lets it see; and the small ones by themselves. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { makeBudget } from "../../../src/objectstore/decorators/Budget.ts"
import * as faulty from "../../../src/objectstore/decorators/faulty.ts"
import * as logged from "../../../src/objectstore/decorators/logged.ts"
import { makeMeter, metered } from "../../../src/objectstore/decorators/metered.ts"
import * as stacked from "../../../src/objectstore/decorators/stack.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import { at, body, scene, type Store, throughTime } from "./scene.ts"

/** Runs with a logger that keeps the lines. */
const withLines = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return effect.pipe(
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "Debug"),
      Effect.map((answer) => ({ answer, lines }))
    )
  })

/** The numbers of one of our metrics, by its attributes. */
const metricOf = (id: string) =>
  Effect.map(Metric.snapshot, (all) =>
    Object.fromEntries(
      all
        .filter((one) => one.id === id)
        .map(({ attributes = {}, state }) => [
          Object.values(attributes).sort().join(" "),
          "count" in state ? Number(state.count) : Number.NaN
        ])
    )
  )

const freshMetrics = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

describe("stack", () => {
  it.effect("every attempt costs, waits, is counted and is logged", () =>
    Effect.gen(function* () {
      const inside = scene()
      const meter = yield* makeMeter
      const budget = yield* makeBudget({ putRequests: 4 })
      const server = yield* faulty.faulty(
        inside.store,
        faulty.rules([{ operations: ["put"], before: "Unavailable", delayMillis: 7, times: 3 }])
      )
      const store = yield* stacked.stack(server, {
        meter,
        budget,
        limits: { puts: { perSecond: 0.01, burst: 1 } }
      })
      const { lines } = yield* withLines(throughTime(store.put(at("a"), body("xyz"))))
      const { operations, bytesOut } = yield* meter.usage
      assert.deepStrictEqual(operations.put.outcomes, { Unavailable: 3, success: 1 })
      assert.strictEqual(bytesOut, 12)
      assert.strictEqual((yield* budget.used).putRequests, 4)
      // Four turns, 100 seconds apart, of which nothing shows in the server's time.
      assert.isAtLeast(inside.seen[0]!.atMillis, 300_000)
      assert.deepStrictEqual(lines, [
        ...[1, 2, 3].map(() => "put a: Unavailable, 3 bytes, 7 ms"),
        "put a: success, 3 bytes, 0 ms"
      ])
    })
  )

  it.effect("a budget ends the retries, and what is refused takes no turn", () =>
    Effect.gen(function* () {
      const meter = yield* makeMeter
      const budget = yield* makeBudget({ putRequests: 2 })
      const server = yield* faulty.faulty(scene().store, () => ({ after: "Disconnected" }))
      const store = yield* stacked.stack(server, { meter, budget, limits: { puts: { perSecond: 1 } } })
      const error = yield* throughTime(Effect.flip(store.put(at("a"), body("x"))))
      assert.strictEqual(error.reason, "BudgetExceeded")
      assert.strictEqual(error.attempts, 3)
      assert.isTrue(error.outcomeUnknown)
      assert.strictEqual((yield* meter.usage).requests, 2)
    })
  )

  it.effect("retries can be left out, and layers stack as functions do", () =>
    Effect.gen(function* () {
      const inside = scene()
      const server = Layer.succeed(ObjectStore, inside.store).pipe((store) =>
        Layer.provide(faulty.layer(faulty.rules([{ before: "Throttled" }])), store)
      )
      const attempt = ObjectStore.use((store) => Effect.result(store.put(at("a"), body("x"))))
      const without = yield* Effect.provide(attempt, Layer.provide(stacked.layer({ retries: false }), server))
      assert.strictEqual(without._tag, "Failure")
      const given = yield* throughTime(
        Effect.provide(attempt, Layer.provide(stacked.layer(), Layer.fresh(server)))
      )
      assert.strictEqual(given._tag, "Success")
    })
  )
})

describe("metered", () => {
  const useAll = (store: Store) =>
    Effect.gen(function* () {
      yield* store.put(at("a"), body("12345"))
      yield* store.putIfAbsent(at("a"), body("123"))
      yield* store.get(at("a"), 9)
      yield* store.getRange(at("a"), { offset: 1, lengthBytes: 99 })
      yield* Effect.flip(store.get(at("none"), 9))
      yield* store.head(at("a"))
      yield* store.list({ prefix: ObjectKey.everything })
      yield* store.copy(at("a"), at("b"))
      yield* store.deleteMany([at("a"), at("b")])
      yield* store.deleteMany([])
    })

  it.effect("counts requests, bytes and outcomes of each operation, as Effect's metrics do", () =>
    Effect.gen(function* () {
      const meter = yield* makeMeter
      yield* useAll(yield* metered(scene().store, { meter }))
      const usage = yield* meter.usage
      assert.deepStrictEqual(
        [usage.requests, usage.bytesIn, usage.bytesOut, usage.operations.get, usage.operations.putIfAbsent],
        [
          9,
          9,
          8,
          { requests: 2, bytesIn: 5, bytesOut: 0, outcomes: { success: 1, NotFound: 1 } },
          { requests: 1, bytesIn: 0, bytesOut: 3, outcomes: { success: 1 } }
        ]
      )
      assert.deepStrictEqual(yield* metricOf("granary_s3_requests_total"), {
        "put success": 1,
        "putIfAbsent success": 1,
        "get success": 1,
        "getRange success": 1,
        "NotFound get": 1,
        "head success": 1,
        "list success": 1,
        "copy success": 1,
        "deleteMany success": 1
      })
      assert.deepStrictEqual(yield* metricOf("granary_s3_bytes_total"), {
        "out put": 5,
        "out putIfAbsent": 3,
        "get in": 5,
        "getRange in": 4
      })
    }).pipe(freshMetrics)
  )

  it.effect("counts what is under way, what was interrupted and what fell over", () =>
    Effect.gen(function* () {
      const meter = yield* makeMeter
      const slow = yield* faulty.faulty(scene().store, () => ({ delayMillis: 1000 }))
      const store = yield* metered(slow, { meter })
      const fiber = yield* Effect.forkChild(store.put(at("a"), body("12345")))
      yield* TestClock.adjust("10 millis")
      const during = yield* meter.usage
      assert.deepStrictEqual([during.requests, during.bytesOut, during.operations.put.outcomes], [1, 5, {}])
      yield* Fiber.interrupt(fiber)
      // What was read before does not change any more.
      assert.deepStrictEqual(during.operations.put.outcomes, {})
      const broken = yield* metered({ ...slow, head: () => Effect.die("broken") }, { meter })
      yield* Effect.exit(broken.head(at("a")))
      const { operations } = yield* meter.usage
      assert.deepStrictEqual(operations.put.outcomes, { interrupted: 1 })
      assert.deepStrictEqual(operations.head.outcomes, { defect: 1 })
    }).pipe(freshMetrics)
  )
})

describe("logged", () => {
  it.effect("one line a request, without bodies and without the server's words", () =>
    Effect.gen(function* () {
      const secret = "AKIASECRET"
      const inside = scene().store
      const refuse = Effect.fail(
        new ObjectStoreError({
          operation: "head",
          key: "a",
          reason: "AccessDenied",
          detail: secret,
          httpStatus: 403
        })
      )
      const store = yield* logged.logged({ ...inside, head: () => refuse })
      const { lines } = yield* withLines(
        Effect.gen(function* () {
          yield* store.put(at("a/b"), body(secret))
          yield* store.get(at("a/b"), 99)
          yield* Effect.flip(store.head(at("a")))
          yield* store.list({ prefix: ObjectKey.everything })
          yield* store.deleteMany([at("a"), at("b")])
        })
      )
      assert.deepStrictEqual(lines, [
        "put a/b: success, 10 bytes, 0 ms",
        "get a/b: success, 10 bytes, 0 ms",
        "head a: AccessDenied, 0 bytes, 0 ms",
        "list the bucket: success, 0 bytes, 0 ms",
        "deleteMany 2 keys: success, 0 bytes, 0 ms"
      ])
    })
  )

  it.effect("says nothing unless debug lines are wanted", () =>
    Effect.gen(function* () {
      const store = yield* logged.logged(scene().store)
      const { lines } = yield* withLines(
        Effect.provideService(store.put(at("a"), body("x")), References.MinimumLogLevel, "Info")
      )
      assert.isEmpty(lines)
    })
  )
})

describe("faulty", () => {
  const reason = (effect: Effect.Effect<unknown, ObjectStoreError>) =>
    Effect.match(effect, { onFailure: (error) => error.reason, onSuccess: () => "success" as const })

  it.effect("picks requests by number, operation and key", () =>
    Effect.gen(function* () {
      const plan = faulty.rules([
        { operations: ["put"], key: /^b/, from: 2, times: 2, before: "Throttled", retryAfterSeconds: 3 },
        { operations: ["head"], before: "AccessDenied" }
      ])
      const store = yield* faulty.faulty(scene().store, plan)
      const put = (name: string) => reason(store.put(at(name), body("x")))
      assert.deepStrictEqual(
        [yield* put("b"), yield* put("a"), yield* put("b1"), yield* put("b2"), yield* put("b3")],
        ["success", "success", "Throttled", "Throttled", "success"]
      )
      assert.deepStrictEqual(
        [yield* reason(store.head(at("a"))), yield* reason(store.head(at("a")))],
        ["AccessDenied", "success"]
      )
    })
  )

  it.effect("before nothing happened, after it did, and a cut body is no body", () =>
    Effect.gen(function* () {
      const inside = scene()
      const plan = faulty.rules([
        { key: /before/, before: "Disconnected" },
        { key: /after/, after: "Unavailable" },
        { key: /cut/, truncated: true, times: 9 }
      ])
      const store = yield* faulty.faulty(inside.store, plan)
      assert.strictEqual(yield* reason(store.put(at("before"), body("x"))), "Disconnected")
      assert.isUndefined(inside.bucket.find("before"))
      assert.strictEqual(yield* reason(store.put(at("after"), body("x"))), "Unavailable")
      assert.isDefined(inside.bucket.find("after"))
      assert.strictEqual(yield* reason(store.put(at("cut"), body("x"))), "success")
      assert.strictEqual(yield* reason(store.get(at("cut"), 9)), "Truncated")
      assert.strictEqual(yield* reason(store.getRange(at("cut"), { offset: 0, lengthBytes: 1 })), "Truncated")
    })
  )
})
