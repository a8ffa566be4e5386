/** Small scenarios that several tests of the laboratory explore. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { actor, point, type Run, type Scenario, type Step } from "../../src/testing.ts"

/** Actors that each read a counter, add one and write it back: an update is lost when two read the same. */
export const counterRace = (names: ReadonlyArray<string>): Scenario<unknown, never> => {
  let value = 0
  const increment = Effect.gen(function* () {
    yield* point("read")
    const seen = value
    yield* point("write")
    value = seen + 1
  })
  return {
    program: Effect.forEach(names, (name) => increment.pipe(actor(name)), { concurrency: "unbounded" }),
    check: () => value === names.length || `${names.length} increments made ${value}`,
    state: () => value
  }
}

export const both = <A, E, R, B, F, S>(left: Effect.Effect<A, E, R>, right: Effect.Effect<B, F, S>) =>
  Effect.all([left, right], { concurrency: "unbounded" })

/** Actors that do nothing but pass so many points. */
export const walkers = (names: ReadonlyArray<string>, points: number): Scenario => ({
  program: Effect.forEach(
    names,
    (name) =>
      Effect.forEach(Array.from({ length: points - 1 }), (_, index) => point(`p${index}`)).pipe(actor(name)),
    { concurrency: "unbounded" }
  )
})

export const valueOf = <A>({ outcome }: Run<A>): A => {
  if (outcome._tag === "Done" && Exit.isSuccess(outcome.exit)) return outcome.exit.value
  return assert.fail(`ended with ${JSON.stringify(outcome)}`)
}

/** `actor.label` of each step, with what befell it. */
export const storyOf = (steps: ReadonlyArray<Step>): ReadonlyArray<string> =>
  steps.map(({ actor, label, fault }) => `${actor}.${label}${fault === "none" ? "" : `!${fault}`}`)
