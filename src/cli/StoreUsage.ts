/**
 * StoreUsage: what a command is going to ask of an S3 server, where it knows that, and what it has really asked: told
 * when it is over, on standard error, and as `"s3"` in a JSON document that is an object. A plan tells what the command
 * would take, and in the end what planning itself took. Commands on folders say nothing.
 *
 * Expected and used are told in the same words (`CostText`), for the whole run of the command in both cases.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Meter } from "../objectstore/decorators/metered.ts"
import type { PriceTable } from "../objectstore/PriceTable.ts"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import * as CostText from "./CostText.ts"

/** One for a run of the program; whoever opens a bucket puts its meter here. */
export interface StoreUsage {
  meter: Meter | undefined
  prices?: PriceTable | undefined
  expected?: RequestCosts.Expectation
  /** Nothing more is done than to tell what is expected. */
  isPlan?: boolean
}

export const StoreUsage = Context.Reference<StoreUsage>("granary/cli/StoreUsage", {
  defaultValue: () => ({ meter: undefined })
})

const usedSoFar = ({ meter }: StoreUsage): Effect.Effect<RequestCosts.RequestCosts | undefined> =>
  meter === undefined ? Effect.succeed(undefined) : Effect.map(meter.usage, RequestCosts.ofUsage)

const isObject = (json: unknown): json is object =>
  typeof json === "object" && json !== null && !Array.isArray(json)

/** The document with the usage in it, where it has room for that. */
export const withUsage = (json: unknown): Effect.Effect<unknown> =>
  Effect.gen(function* () {
    const state = yield* StoreUsage
    const used = yield* usedSoFar(state)
    return used === undefined || !isObject(json) ? json : { ...json, s3: CostText.json(used, state.prices) }
  })

/**
 * Notes what the command takes from here on, so that in the end both are told. What was asked only to find that out
 * (`lookups`), which the work itself does not ask, does not count for it.
 */
export const expect = (
  rest: RequestCosts.Expectation | undefined,
  lookups: RequestCosts.RequestCosts = RequestCosts.none
): Effect.Effect<RequestCosts.Expectation | undefined> =>
  Effect.gen(function* () {
    const state = yield* StoreUsage
    const used = yield* usedSoFar(state)
    if (rest === undefined || used === undefined) return undefined
    state.expected = RequestCosts.after(RequestCosts.without(used, lookups), rest)
    return state.expected
  })

/** What a plan says of the whole run: lines of text, and a part of its JSON document. */
export const plan = (
  rest: RequestCosts.Expectation | undefined,
  lookups?: RequestCosts.RequestCosts
): Effect.Effect<{ readonly lines: ReadonlyArray<string>; readonly json: object }> =>
  Effect.gen(function* () {
    const state = yield* StoreUsage
    state.isPlan = true
    const expected = yield* expect(rest, lookups)
    if (expected === undefined) return { lines: [], json: {} }
    return {
      lines: [`s3 would take: ${CostText.expectedText(expected, state.prices)}`],
      json: { "s3-plan": CostText.expectedJson(expected, state.prices) }
    }
  })

const textLines = (
  { expected, isPlan = false, prices }: StoreUsage,
  used: RequestCosts.RequestCosts
): ReadonlyArray<string> => {
  const line = CostText.text(used, prices)
  if (isPlan) return [`s3 planning: ${line}`]
  if (expected === undefined) return [`s3: ${line}`]
  return [`s3 expected: ${CostText.expectedText(expected, prices)}`, `s3: ${line}`]
}

const jsonLines = (
  { expected, isPlan = false, prices }: StoreUsage,
  used: RequestCosts.RequestCosts
): ReadonlyArray<string> => {
  const usage = { type: isPlan ? "s3-planning" : "s3-usage", ...CostText.json(used, prices) }
  const expectation =
    expected === undefined || isPlan
      ? []
      : [{ type: "s3-expected", ...CostText.expectedJson(expected, prices) }]
  return [...expectation, usage].map((line) => JSON.stringify(line))
}

/** What a command says last, in the form that the user asked for; nothing where no server was asked. */
export const lastLines = (output: "text" | "json"): Effect.Effect<ReadonlyArray<string>> =>
  Effect.gen(function* () {
    const state = yield* StoreUsage
    const used = yield* usedSoFar(state)
    if (used === undefined) return []
    return output === "json" ? jsonLines(state, used) : textLines(state, used)
  })
