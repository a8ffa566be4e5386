/** Schedules in other people's property tests: fast-check and Effect's Arbitrary find and shrink the same race. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import fc from "fast-check"
import { Choices, holds, holdsEffect, inProcess, point, type Schedule, Schedules } from "../../src/testing.ts"
import { both, counterRace, walkers } from "./scenarios.ts"

const race = () => counterRace(["a", "b", "c"])

/** Two writes that belong together: only a fault in between parts them. */
const pair = () => {
  let writes = 0
  const write = Effect.gen(function* () {
    yield* point("first")
    writes += 1
    yield* point("second")
    writes += 1
  })
  return {
    program: both(write.pipe(inProcess("p")), point("other").pipe(inProcess("q"))),
    check: () => writes % 2 === 0 || `${writes} writes`
  }
}

describe("fast-check", () => {
  const lists = fc.array(fc.nat(7), { maxLength: 12 })

  it("finds and shrinks a race, and its report is our timeline", () => {
    const result = fc.check(fc.property(lists, holds(race)), { seed: 7, numRuns: 500 })
    assert.isTrue(result.failed)
    assert.deepStrictEqual(result.counterexample, [[0, 0, 1]])
    assert.match(String(result.errorInstance), /3 increments made 1\nschedule: .*\n0 {2}a {2}start/)
  })

  it("passes what holds", () => {
    fc.assert(
      fc.property(
        lists,
        holds(() => walkers(["a", "b"], 3))
      ),
      { numRuns: 100 }
    )
  })

  it("plays faults as well", () => {
    const faults = fc.array(fc.record({ step: fc.nat(12), fault: fc.constantFrom("kill", "interrupt") }), {
      maxLength: 2
    })
    const property = (schedule: Schedule) => holds(pair)(schedule)
    const result = fc.check(fc.property(fc.record({ choices: lists, faults }), property), {
      seed: 1,
      numRuns: 500
    })
    const [schedule] = result.counterexample ?? []
    assert.strictEqual(schedule?.faults.length, 1)
    assert.throws(() => holds(pair)(schedule!), /1 writes/)
  })
})

describe("effect's Arbitrary", () => {
  it.effect("finds and shrinks a race", () =>
    Effect.gen(function* () {
      const result = yield* Arbitrary.checkEffect(Arbitrary.schema(Choices), holdsEffect(race), {
        seed: 1,
        runs: 500
      })
      if (result._tag !== "Falsified") return assert.fail(result._tag)
      assert.isAtMost(result.shrunkInput.filter((choice) => choice !== 0).length, 1)
      assert.match(Arbitrary.formatCheckFailure(result) ?? "", /3 increments made 1/)
    })
  )

  it.effect("passes what holds", () =>
    Effect.gen(function* () {
      const holding = holdsEffect(() => walkers(["a", "b"], 3))
      const result = yield* Arbitrary.checkEffect(Arbitrary.schema(Choices), holding, { runs: 100 })
      assert.strictEqual(result._tag, "Passed")
    })
  )

  it.effect("plays faults as well", () =>
    Effect.gen(function* () {
      const result = yield* Arbitrary.checkEffect(Arbitrary.schema(Schedules), holdsEffect(pair), {
        seed: 3,
        runs: 3000
      })
      if (result._tag !== "Falsified") return assert.fail(result._tag)
      assert.strictEqual(result.shrunkInput.faults.length, 1)
      assert.throws(() => holds(pair)(result.shrunkInput), /1 writes/)
    })
  )

  it("schedules are plain data", () => {
    const decode = Schema.decodeUnknownSync(Schedules)
    const schedule = { choices: [0, 1], faults: [{ step: 2, fault: "kill" }] }
    assert.deepStrictEqual<unknown>(decode(schedule), schedule)
    assert.throws(() => decode({ choices: [-1], faults: [] }))
  })
})
