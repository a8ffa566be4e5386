/**
 * Arbitraries: schedules for other people's property tests. fast-check and Effect's `Arbitrary` generate and shrink
 * lists of integers well, and a list of integers is a run; so a property of a scenario is a property of such a list.
 *
 * Nothing here imports either of them: a property takes what fast-check made, and Effect's `Arbitrary` reads schemas.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { judge } from "./Judge.ts"
import { run, type Scenario, type WorldOptions } from "./Run.ts"
import type { Schedule } from "./Simulation.ts"
import { scheduleText, timeline } from "./Timeline.ts"

const choiceMax = 7
const stepMax = 200
const choicesMax = 40
const faultsMax = 2

const intBetween = (minimum: number, maximum: number) =>
  Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum, maximum })))

/** One choice; a number above the count of options wraps around. */
export const Choice = intBetween(0, choiceMax)

/** The choices of one run: `Arbitrary.schema(Choices)`. */
export const Choices = Schema.Array(Choice).pipe(Schema.check(Schema.isMaxLength(choicesMax)))

/** A whole schedule with up to two faults: `Arbitrary.schema(Schedules)`. */
export const Schedules = Schema.Struct({
  choices: Choices,
  faults: Schema.Array(
    Schema.Struct({
      step: intBetween(0, stepMax),
      fault: Schema.Literals(["fail", "interrupt", "kill", "crash"])
    })
  ).pipe(Schema.check(Schema.isMaxLength(faultsMax)))
})

/** What a property is given: a list of choices, or a whole schedule. */
export type Played = ReadonlyArray<number> | Schedule

const isList = (played: Played): played is ReadonlyArray<number> => Array.isArray(played)

const scheduleFrom = (played: Played): Schedule => (isList(played) ? { choices: played, faults: [] } : played)

/**
 * A property for fast-check: throws an error with the timeline when the run is a failure.
 *
 * ```ts
 * fc.assert(fc.property(fc.array(fc.nat(7)), holds(scenario)))
 * ```
 */
export const holds =
  <A, E>(make: () => Scenario<A, E>, options: WorldOptions = {}) =>
  (played: Played): void => {
    const schedule = scheduleFrom(played)
    const scenario = make()
    const done = run(scenario, schedule, options)
    const judgement = judge(scenario, done)
    if (judgement === undefined) return
    throw new Error(
      `${judgement.kind}: ${judgement.message}\nschedule: ${scheduleText(schedule)}\n${timeline(done)}`
    )
  }

/**
 * A property for Effect's `Arbitrary`: fails with the timeline when the run is a failure.
 *
 * ```ts
 * Arbitrary.checkEffect(Arbitrary.schema(Choices), holdsEffect(scenario))
 * ```
 */
export const holdsEffect = <A, E>(make: () => Scenario<A, E>, options: WorldOptions = {}) => {
  const property = holds(make, options)
  return (played: Played): Effect.Effect<boolean, string> =>
    Effect.try({
      try: () => {
        property(played)
        return true
      },
      catch: (error) => (error instanceof Error ? error.message : String(error))
    })
}
