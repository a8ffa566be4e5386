/**
 * dying: what all scenarios have in common in which an operation dies at any of its steps: when the world comes after
 * it, what runs then, and who is asked whether it died at all.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Prune from "../../../src/prune/Prune.ts"
import * as PrunePlan from "../../../src/prune/PrunePlan.ts"
import { type Outcome, run, type Simulation } from "../../../src/testing.ts"

export const minuteMillis = 60_000
export const monthMillis = 30 * 86_400_000

/** Removes what interrupted backups left; finished snapshots all stay. */
export const pruneUnfinished = Effect.flatMap(
  PrunePlan.make({ namespace: Namespace.root, retention: { last: 100 } }),
  Prune.run
)

/** Runs something by itself, after the restart; undefined when it went well. */
export const failureOf = (
  what: string,
  program: Effect.Effect<unknown, unknown, Simulation>,
  atMillis: number
): string | undefined => {
  const { outcome } = run({ program }, {}, { startMillis: atMillis })
  if (outcome._tag !== "Done") return `I6: ${what} ends with ${outcome._tag}`
  return Exit.isFailure(outcome.exit) ? `I6: ${what} fails: ${Cause.pretty(outcome.exit.cause)}` : undefined
}

/** Whether the operation came to its end, and was not killed on the way. */
export const hasEnded = (outcome: Outcome): boolean =>
  outcome._tag === "Done" && Exit.isSuccess(outcome.exit) && Option.isSome(outcome.exit.value as never)

export const unfinishedIn = (
  snapshots: ReadonlyArray<{ readonly path: string; readonly isFinished: boolean }>
): string | undefined => {
  const unfinished = snapshots.find(({ isFinished }) => !isFinished)
  return unfinished === undefined ? undefined : `${unfinished.path} was never finished and is still there`
}

/** Deaths at different steps often leave the same, which is then judged once. */
export const judgingOnce = () => {
  const known = new Map<string, string | undefined>()
  return (left: string, judge: () => string | undefined): string | undefined => {
    if (!known.has(left)) known.set(left, judge())
    return known.get(left)
  }
}
