/** When requests are tried again, how long is waited, and what is told in the end. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { type Fault, type Plan, rules } from "../../../src/objectstore/decorators/faulty.ts"
import { retrying } from "../../../src/objectstore/decorators/retrying.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import { pages } from "../../../src/objectstore/ObjectStore.ts"
import { ObjectStoreError, type ObjectStoreReason } from "../../../src/objectstore/ObjectStoreError.ts"
import { planned } from "./planned.ts"
import { at, body, scene, type Seen, throughTime } from "./scene.ts"

const always =
  (fault: Fault): Plan =>
  () =>
    fault

const waitsOf = (attempts: ReadonlyArray<Seen>): ReadonlyArray<number> =>
  attempts.slice(1).map(({ atMillis }, index) => atMillis - (attempts[index]?.atMillis ?? 0))

describe("waiting", () => {
  it.effect("grows up to the cap, and is any part of that", () =>
    Effect.gen(function* () {
      const options = { baseMillis: 100, factor: 2, capMillis: 1000, attemptsMax: 8 }
      const longest = [100, 200, 400, 800, 1000, 1000, 1000]
      const shares: Array<number> = []
      for (let seed = 0; seed < 40; seed++) {
        const { attempts, store } = yield* planned(always({ before: "Unavailable" }), scene(), options)
        yield* Random.withSeed(throughTime(Effect.flip(store.head(at("a")))), `seed ${seed}`)
        const waits = waitsOf(attempts)
        assert.lengthOf(waits, longest.length)
        waits.forEach((wait, index) => {
          assert.isAtMost(wait, longest[index]!)
          shares.push(wait / longest[index]!)
        })
      }
      // Full jitter: the whole span is used, evenly.
      assert.isBelow(Math.min(...shares), 0.1)
      assert.isAbove(Math.max(...shares), 0.9)
      assert.approximately(shares.reduce((sum, share) => sum + share, 0) / shares.length, 0.5, 0.1)
    })
  )

  it.effect("takes as long as the server asks for, beyond the cap too", () =>
    Effect.gen(function* () {
      const plan = rules([{ before: "Throttled", retryAfterSeconds: 30, times: 2 }])
      const { attempts, store } = yield* planned(plan, scene(), { capMillis: 1000 })
      yield* throughTime(store.put(at("a"), body("x")))
      const waits = waitsOf(attempts)
      assert.lengthOf(waits, 2)
      for (const wait of waits) {
        assert.isAtLeast(wait, 30_000)
        assert.isAtMost(wait, 31_000)
      }
    })
  )

  it.effect("ends after ten attempts, and the error says so", () =>
    Effect.gen(function* () {
      const { attempts, store } = yield* planned(always({ before: "Throttled" }))
      const error = yield* throughTime(Effect.flip(store.get(at("a"), 9)))
      assert.lengthOf(attempts, 10)
      assert.strictEqual(error.attempts, 10)
      assert.include(error.message, "10 attempts")
      assert.strictEqual(error.reason, "Throttled")
    })
  )

  it.effect("never goes beyond the time limit: what the server asks for may be too much", () =>
    Effect.gen(function* () {
      const plan = always({ before: "Throttled", retryAfterSeconds: 50 })
      const { attempts, store } = yield* planned(plan, scene(), { timeLimitMillis: 130_000 })
      const [error, endMillis] = yield* throughTime(
        Effect.zip(Effect.flip(store.head(at("a"))), Clock.currentTimeMillis)
      )
      assert.lengthOf(attempts, 3)
      assert.isAtMost(endMillis, 110_000)
      assert.strictEqual(error.retryAfterSeconds, 50)
    })
  )

  it.effect("counts the time of the attempts themselves", () =>
    Effect.gen(function* () {
      const plan = always({ delayMillis: 60_000, before: "Disconnected" })
      const { attempts, store } = yield* planned(plan, scene(), { timeLimitMillis: 150_000 })
      yield* throughTime(Effect.flip(store.head(at("a"))))
      assert.lengthOf(attempts, 3)
    })
  )
})

describe("what is tried again", () => {
  const passing: ReadonlyArray<ObjectStoreReason> = [
    "Conflict",
    "Throttled",
    "Unavailable",
    "Disconnected",
    "Unreachable",
    "Truncated"
  ]
  const final: ReadonlyArray<ObjectStoreReason> = [
    "NotFound",
    "NoBucket",
    "NotImplemented",
    "AccessDenied",
    "InvalidRange",
    "TooLarge",
    "NoSpace",
    "BudgetExceeded",
    "Rejected"
  ]

  it.effect.each(passing)("%s", (reason) =>
    Effect.gen(function* () {
      const { attempts, store } = yield* planned(rules([{ before: reason, times: 3 }]))
      yield* throughTime(store.put(at("a"), body("x")))
      assert.lengthOf(attempts, 4)
    })
  )

  it.effect.each(final)("not %s", (reason) =>
    Effect.gen(function* () {
      const { attempts, store } = yield* planned(rules([{ before: reason, times: 3 }]))
      const error = yield* throughTime(Effect.flip(store.put(at("a"), body("x"))))
      assert.lengthOf(attempts, 1)
      assert.strictEqual(error.reason, reason)
      assert.isUndefined(error.attempts)
    })
  )

  it.effect("a page of a listing alone", () =>
    Effect.gen(function* () {
      const inside = scene({ pageSizeMax: 2 })
      for (const name of ["a", "b", "c", "d", "e"]) inside.bucket.put(name, body("x"), 0)
      const { attempts, store } = yield* planned(
        rules([{ before: "Unavailable", from: 2, times: 2 }]),
        inside
      )
      const all = yield* throughTime(Stream.runCollect(pages(store, ObjectKey.everything)))
      assert.deepStrictEqual(
        all.map(({ objects }) => objects.length),
        [2, 2, 1]
      )
      assert.lengthOf(attempts, 3 + 2)
    })
  )
})

describe("a failure after an unknown outcome", () => {
  it.effect("is unknown itself, whatever came last", () =>
    Effect.gen(function* () {
      for (const before of ["AccessDenied", "BudgetExceeded", "Throttled"] as const) {
        const inside = scene()
        const plan = rules([{ after: "Disconnected" }, { before, from: 2, times: 99 }])
        const { store } = yield* planned(plan, inside)
        const error = yield* throughTime(Effect.flip(store.put(at("a"), body("x"))))
        assert.strictEqual(error.reason, before)
        assert.isTrue(error.outcomeUnknown)
        assert.isDefined(inside.bucket.find("a"))
      }
    })
  )

  it.effect("is known when no attempt could have happened, and for what only reads", () =>
    Effect.gen(function* () {
      const plan = () => rules([{ before: "Throttled" }, { before: "AccessDenied", from: 2 }])
      const put = yield* planned(plan())
      assert.isFalse((yield* throughTime(Effect.flip(put.store.put(at("a"), body("x"))))).outcomeUnknown)
      const read = yield* planned(rules([{ after: "Disconnected" }, { before: "AccessDenied", from: 2 }]))
      assert.isFalse(
        (yield* throughTime(Effect.flip(read.store.list({ prefix: ObjectKey.everything })))).outcomeUnknown
      )
    })
  )
})

describe("a batch of deletions", () => {
  const keys = ["a", "b", "c", "d"].map(at)

  it.effect("asks again for the keys that failed, and only for those", () =>
    Effect.gen(function* () {
      const failing = new Map([
        ["b", 1],
        ["d", 2]
      ])
      const inside = scene({
        faults: ["failed deletion"],
        decide: (_, key) => {
          const left = failing.get(key) ?? 0
          failing.set(key, left - 1)
          return left > 0
        }
      })
      for (const key of keys) inside.bucket.put(key, body("x"), 0)
      const store = yield* retrying(inside.store)
      const report = yield* throughTime(store.deleteMany([...keys, at("a")]))
      assert.deepStrictEqual(report.failed, [])
      assert.deepStrictEqual([...report.deleted].sort(), keys)
      assert.deepStrictEqual(
        inside.seen.map(({ keysCount }) => keysCount),
        [4, 2, 1]
      )
      assert.isEmpty(inside.bucket.keys())
    })
  )

  it.effect("reports what is left in the end, with the attempts and what may have happened", () =>
    Effect.gen(function* () {
      const inside = scene({ faults: ["failed deletion"], decide: (_, key) => key === "c" })
      const store = yield* retrying(inside.store, { attemptsMax: 4 })
      const report = yield* throughTime(store.deleteMany(keys))
      assert.deepStrictEqual(report.deleted, ["a", "b", "d"].map(at))
      assert.deepStrictEqual(
        report.failed.map(({ key, error }) => [key, error.key, error.attempts, error.outcomeUnknown]),
        [["c", "c", 4, true]]
      )
    })
  )

  it.effect("is refused as a whole only if nothing was ever answered", () =>
    Effect.gen(function* () {
      const never = yield* planned(always({ before: "Throttled" }))
      assert.strictEqual((yield* throughTime(Effect.flip(never.store.deleteMany(keys)))).attempts, 10)
      const inside = scene({ faults: ["failed deletion"], decide: (_, key) => key === "c" })
      const { store } = yield* planned(rules([{ before: "AccessDenied", from: 2 }]), inside)
      const report = yield* throughTime(store.deleteMany(keys))
      assert.lengthOf(report.deleted, 3)
      assert.deepStrictEqual(
        report.failed.map(({ key, error }) => [key, error.key]),
        [["c", "c"]]
      )
    })
  )

  /** Answers one request after the other: a reason for the whole, or reasons for keys. */
  const answering = (
    answers: ReadonlyArray<ObjectStoreReason | Readonly<Record<string, ObjectStoreReason>>>
  ) => {
    let asked = 0
    const failure = (key: string, reason: ObjectStoreReason) =>
      new ObjectStoreError({ operation: "deleteMany", key, reason })
    const deleteMany = (wanted: ReadonlyArray<ObjectKey.ObjectKey>) =>
      Effect.suspend(() => {
        const answer = answers[asked++] ?? {}
        if (typeof answer === "string") return Effect.fail(failure("", answer))
        const deleted = wanted.filter((key) => answer[key] === undefined)
        const failed = wanted.flatMap((key) => {
          const reason = answer[key]
          return reason === undefined ? [] : [{ key, error: failure(key, reason) }]
        })
        return Effect.succeed({ deleted, failed })
      })
    return Effect.gen(function* () {
      const store = yield* retrying({ ...scene().store, deleteMany })
      const { deleted, failed } = yield* throughTime(store.deleteMany(keys))
      return {
        asked,
        deleted: deleted.join(""),
        failed: failed.map(({ key, error }) => [key, error.reason, error.outcomeUnknown])
      }
    })
  }

  it.effect("leaves a key alone that is refused for good, while others are tried again", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* answering([{ b: "AccessDenied" }]), {
        asked: 1,
        deleted: "acd",
        failed: [["b", "AccessDenied", false]]
      })
      assert.deepStrictEqual(yield* answering([{ a: "Throttled", b: "AccessDenied" }, { a: "Throttled" }]), {
        asked: 3,
        deleted: "cda",
        failed: [["b", "AccessDenied", false]]
      })
    })
  )

  it.effect("knows of each key whether an earlier attempt may have deleted it", () =>
    Effect.gen(function* () {
      // Of the whole batch nobody knows, then two are refused.
      assert.deepStrictEqual(yield* answering(["Disconnected", { b: "AccessDenied", d: "NoBucket" }]), {
        asked: 2,
        deleted: "ac",
        failed: [
          ["b", "AccessDenied", true],
          ["d", "NoBucket", true]
        ]
      })
      // Only of b: c was surely not deleted.
      const answers = [
        { b: "Unavailable", c: "Throttled" },
        { b: "AccessDenied", c: "AccessDenied" }
      ] as const
      assert.deepStrictEqual((yield* answering(answers)).failed, [
        ["b", "AccessDenied", true],
        ["c", "AccessDenied", false]
      ])
    })
  )

  it.effect("more than a batch is refused at once", () =>
    Effect.gen(function* () {
      const { attempts, store } = yield* planned(() => undefined)
      const many = Array.from({ length: 1001 }, (_, index) => at(`${index}`))
      assert.strictEqual((yield* Effect.flip(store.deleteMany(many))).reason, "Rejected")
      assert.lengthOf(attempts, 1)
    })
  )
})

it.effect("an interrupted request is not tried again", () =>
  Effect.gen(function* () {
    const { attempts, store } = yield* planned(always({ delayMillis: 1000, before: "Throttled" }))
    yield* throughTime(Effect.timeoutOption(store.head(at("a")), "500 millis"))
    assert.lengthOf(attempts, 1)
  })
)
