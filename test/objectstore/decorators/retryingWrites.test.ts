/** Writing what is not there, with retries: whose object it is that is found there, and how often the body is sent. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Fault, type Plan, rules } from "../../../src/objectstore/decorators/faulty.ts"
import { planned } from "./planned.ts"
import { at, body, scene, type Scene, throughTime } from "./scene.ts"

describe("putIfAbsent whose answer was lost", () => {
  /** The first attempt is carried out, then `meanwhile` happens, then the second is made. */
  const lost = (
    meanwhile: (scene: Scene) => void,
    more: (...asked: [...Parameters<Plan>, Scene]) => Fault | undefined = () => undefined
  ) =>
    Effect.gen(function* () {
      const inside = scene()
      const { attempts, store } = yield* planned((request, number) => {
        if (number === 2) meanwhile(inside)
        return number === 1 ? { after: "Disconnected" } : more(request, number, inside)
      }, inside)
      const outcome = yield* throughTime(Effect.result(store.putIfAbsent(at("a"), body("ours"))))
      return { inside, outcome, operations: attempts.map(({ operation }) => operation) }
    })

  it.effect("is created when the bytes there are ours", () =>
    Effect.gen(function* () {
      const { inside, outcome, operations } = yield* lost(() => {})
      assert.deepInclude(outcome, { success: { outcome: "created", etag: inside.bucket.find("a")!.etag } })
      assert.deepStrictEqual(operations, ["putIfAbsent", "putIfAbsent", "head", "get"])
    })
  )

  it.effect("is present when they are another's, of any length", () =>
    Effect.gen(function* () {
      for (const text of ["them", "their longer one", "", "our"]) {
        const { outcome, inside } = yield* lost(({ bucket }) => void bucket.put("a", body(text), 0))
        assert.deepInclude(outcome, { success: { outcome: "present" } }, text)
        assert.deepStrictEqual(Buffer.from(inside.bucket.find("a")!.body).toString(), text)
      }
    })
  )

  it.effect("is written anew when it was deleted before it could be compared", () =>
    Effect.gen(function* () {
      const { outcome, inside, operations } = yield* lost(
        () => {},
        ({ operation }, number, { bucket }) => {
          if (operation === "get" && number === 4) bucket.delete("a", 0)
          return undefined
        }
      )
      assert.deepInclude(outcome, { success: { outcome: "created", etag: inside.bucket.find("a")!.etag } })
      assert.isDefined(inside.bucket.find("a"))
      assert.deepStrictEqual(operations, ["putIfAbsent", "putIfAbsent", "head", "get", "putIfAbsent"])
    })
  )

  it.effect("has an unknown outcome when it cannot be compared", () =>
    Effect.gen(function* () {
      const { outcome } = yield* lost(
        () => {},
        ({ operation }) => (operation === "get" ? { before: "AccessDenied" } : undefined)
      )
      if (outcome._tag !== "Failure") return assert.fail("it should have failed")
      assert.strictEqual(outcome.failure.operation, "putIfAbsent")
      assert.strictEqual(outcome.failure.reason, "AccessDenied")
      assert.isTrue(outcome.failure.outcomeUnknown)
    })
  )

  it.effect(
    "is compared by requests that are tried again by themselves: the body goes out no third time",
    () =>
      Effect.gen(function* () {
        for (const failing of ["head", "get"] as const) {
          const { outcome, inside, operations } = yield* lost(
            () => {},
            ({ operation }, number) =>
              operation === failing && number < 7 ? { before: "Unavailable" } : undefined
          )
          assert.deepInclude(outcome, {
            success: { outcome: "created", etag: inside.bucket.find("a")!.etag }
          })
          const puts = operations.filter((operation) => operation === "putIfAbsent")
          assert.lengthOf(puts, 2, failing)
          assert.lengthOf(
            inside.seen.filter(({ operation }) => operation === "putIfAbsent"),
            2
          )
        }
      })
  )

  it.effect("counts the attempts of the request that failed in the end, and not their product", () =>
    Effect.gen(function* () {
      const { outcome, operations } = yield* lost(
        () => {},
        ({ operation }) => (operation === "head" ? { before: "Throttled" } : undefined)
      )
      if (outcome._tag !== "Failure") return assert.fail("it should have failed")
      assert.deepStrictEqual(operations, ["putIfAbsent", "putIfAbsent", ...Array(10).fill("head")])
      const { attempts, operation, reason, outcomeUnknown } = outcome.failure
      assert.deepStrictEqual(
        [attempts, operation, reason, outcomeUnknown],
        [10, "putIfAbsent", "Throttled", true]
      )
    })
  )

  it.effect("is given up after ten writings of an object that others delete each time", () =>
    Effect.gen(function* () {
      const { outcome, operations } = yield* lost(
        () => {},
        ({ operation }, _, { bucket }) => {
          if (operation === "head") bucket.delete("a", 0)
          return operation === "putIfAbsent" && bucket.find("a") === undefined
            ? { after: "Disconnected" }
            : undefined
        }
      )
      if (outcome._tag !== "Failure") return assert.fail("it should have failed")
      assert.lengthOf(
        operations.filter((operation) => operation === "putIfAbsent"),
        10
      )
      const { attempts, reason, outcomeUnknown } = outcome.failure
      assert.deepStrictEqual([attempts, reason, outcomeUnknown], [10, "Conflict", true])
    })
  )

  it.effect("without a lost answer nothing is read: present is present", () =>
    Effect.gen(function* () {
      const inside = scene()
      inside.bucket.put("a", body("ours"), 0)
      const { attempts, store } = yield* planned(rules([{ before: "Throttled" }]), inside)
      assert.strictEqual((yield* throughTime(store.putIfAbsent(at("a"), body("ours")))).outcome, "present")
      assert.lengthOf(attempts, 2)
    })
  )
})
