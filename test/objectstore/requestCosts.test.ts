/** What requests are counted as, what they come to in money, and what is no price table. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { Meter } from "../../src/objectstore/decorators/metered.ts"
import * as PriceTable from "../../src/objectstore/PriceTable.ts"
import * as RequestCosts from "../../src/objectstore/RequestCosts.ts"

const table = {
  currency: "EUR",
  "put-per-1000": 0.005,
  "get-per-1000": 0.0004,
  "egress-per-gb": 0.09
}

const parse = (value: unknown) =>
  PriceTable.parse("prices.json", typeof value === "string" ? value : JSON.stringify(value))

const anyCosts = fc.record({
  put: fc.nat(1e6),
  list: fc.nat(1e6),
  get: fc.nat(1e6),
  delete: fc.nat(1e6),
  sentBytes: fc.nat(1e9),
  receivedBytes: fc.nat(1e9)
})

describe("costs", () => {
  it.effect("are counted by what servers bill", () =>
    Effect.gen(function* () {
      const meter = new Meter()
      for (const operation of ["put", "putIfAbsent", "copy"] as const) meter.begin(operation, 10)
      for (const operation of ["get", "getRange", "head"] as const) {
        meter.begin(operation, 0)
        meter.end(operation, "success", 7)
      }
      meter.begin("list", 0)
      meter.begin("deleteMany", 0)
      const costs = RequestCosts.ofUsage(yield* meter.usage)
      const expected = { put: 3, list: 1, get: 3, delete: 1, sentBytes: 30, receivedBytes: 21 }
      assert.deepStrictEqual(costs, expected)
      assert.strictEqual(RequestCosts.requestsOf(costs), 8)
    })
  )

  it("add up, and come apart again", () =>
    fc.assert(
      fc.property(anyCosts, anyCosts, (left, right) => {
        const both = RequestCosts.sum(left, right)
        assert.deepStrictEqual(RequestCosts.without(both, right), left)
        assert.strictEqual(
          RequestCosts.requestsOf(both),
          RequestCosts.requestsOf(left) + RequestCosts.requestsOf(right)
        )
        const rest = RequestCosts.expectation(left, { requestsAre: "at most", storedBytes: 5 })
        assert.deepStrictEqual(RequestCosts.after(right, rest), { ...rest, costs: both })
      })
    ))

  it("are as sure as the less sure of two", () => {
    assert.strictEqual(RequestCosts.weaker("exactly", "exactly"), "exactly")
    assert.strictEqual(RequestCosts.weaker("exactly", "at most"), "at most")
    assert.strictEqual(RequestCosts.weaker("at most", "exactly"), "at most")
    assert.strictEqual(RequestCosts.weaker("at most", "about"), "about")
  })
})

describe("a price table", () => {
  it.effect("makes money of requests and bytes", () =>
    Effect.gen(function* () {
      const prices = yield* parse({
        ...table,
        "list-per-1000": 0.006,
        "delete-per-1000": 0.001,
        "storage-per-gb-month": 0.02
      })
      const costs = {
        put: 2000,
        list: 1000,
        get: 10_000,
        delete: 3000,
        sentBytes: 5e12,
        receivedBytes: 2_500_000_000
      }
      const wanted = 2 * 0.005 + 0.006 + 10 * 0.0004 + 3 * 0.001 + 2.5 * 0.09
      assert.approximately(PriceTable.priceOf(prices, costs), wanted, 1e-12)
      assert.approximately(PriceTable.monthlyPriceOf(prices, 500_000_000), 0.01, 1e-12)
      assert.approximately(PriceTable.monthlyPriceOf(prices, -1_000_000_000), -0.02, 1e-12)
      assert.strictEqual(prices.currency, "EUR")
    })
  )

  it.effect("takes lists for puts, and deletions and storage for free, unless it says otherwise", () =>
    Effect.gen(function* () {
      const prices = yield* parse(table)
      const costs = RequestCosts.make({ list: 1000, delete: 1e6 })
      assert.approximately(PriceTable.priceOf(prices, costs), 0.005, 1e-12)
      assert.strictEqual(PriceTable.monthlyPriceOf(prices, 1e12), 0)
    })
  )

  it.effect("comes to the same for parts as for the whole", () =>
    Effect.map(parse(table), (prices) =>
      fc.assert(
        fc.property(anyCosts, anyCosts, (left, right) => {
          const parts = PriceTable.priceOf(prices, left) + PriceTable.priceOf(prices, right)
          const whole = PriceTable.priceOf(prices, RequestCosts.sum(left, right))
          assert.approximately(whole, parts, 1e-9 * Math.max(1, parts))
        })
      )
    )
  )

  it.effect("is refused in one clear sentence when anything is wrong with it", () =>
    Effect.gen(function* () {
      const { currency: _, ...nameless } = table
      const bad: ReadonlyArray<readonly [unknown, RegExp]> = [
        ["", /no price table: .*JSON/],
        ["{", /no price table: .*JSON/],
        ["[]", /object/],
        ["7", /object/],
        [nameless, /Missing key at \["currency"\]/],
        [{ ...table, "get-per-1000": "0.1" }, /number at \["get-per-1000"\]/],
        [{ ...table, "put-per-1000": -1 }, /greater than or equal to 0 at \["put-per-1000"\]/],
        ['{"currency":"EUR","put-per-1000":1e999,"get-per-1000":1,"egress-per-gb":1}', /finite|number/i],
        [{ ...table, "puts-per-1000": 1 }, /Unknown key at \["puts-per-1000"\]/],
        [{ ...table, currency: "E\u001b[31m" }, /a currency such as EUR at \["currency"\]/]
      ]
      for (const [value, pattern] of bad) {
        const error = yield* Effect.flip(parse(value))
        assert.match(error.message, /^prices\.json is no price table: /)
        assert.match(error.message, pattern)
        assert.notInclude(error.message, "\n")
        assert.include(error.hint, "put-per-1000")
      }
    })
  )
})
