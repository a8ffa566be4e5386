/**
 * Judge: whether a run is a failure, and of which kind. Shrinking keeps the kind, so that a failure does not turn into
 * another one on its way.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { complaintOf, type Outcome, type Run, type Scenario } from "./Run.ts"

export type FailureKind =
  /** The invariant did not hold after some step. */
  | "Violated"
  /** The check at the end did not hold. */
  | "Check"
  | "Deadlock"
  | "StepLimit"
  /** The program died of something unexpected. */
  | "Defect"
  /** The program failed or was interrupted although no fault was injected, or the recovery failed. */
  | "Failed"

export interface Judgement {
  readonly kind: FailureKind
  readonly message: string
}

const waitingText = (waiting: ReadonlyArray<{ readonly actor: string; readonly label: string }>): string =>
  waiting.length === 0
    ? "nobody can go on; something waits for real work that is not marked as external"
    : `nobody can go on: ${waiting.map(({ actor, label }) => `${actor} waits since "${label}"`).join(", ")}`

/** One line on how a run ended. */
export const outcomeText = (outcome: Outcome): string => {
  switch (outcome._tag) {
    case "Done":
      return Exit.isSuccess(outcome.exit) ? "done" : `ended with ${Cause.pretty(outcome.exit.cause)}`
    case "Crashed": {
      const { at, recovered } = outcome
      const end =
        recovered === undefined ? "" : `; recovery ${outcomeText({ _tag: "Done", exit: recovered })}`
      return `crashed before ${at.actor} ${at.label}${end}`
    }
    case "Deadlock":
      return waitingText(outcome.waiting)
    case "StepLimit":
      return "it takes too many steps, perhaps for ever"
    case "Violated":
      return outcome.message
    case "Pruned":
      return "what could follow had been seen"
  }
}

const judgeExit = (exit: Exit.Exit<unknown, unknown>, faulty: boolean): Judgement | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  if (Cause.hasDies(exit.cause)) return { kind: "Defect", message: Cause.pretty(exit.cause) }
  return faulty ? undefined : { kind: "Failed", message: Cause.pretty(exit.cause) }
}

/** What the outcome says by itself, before the scenario's own check. */
const judgeOutcome = (outcome: Outcome, faulty: boolean): Judgement | undefined => {
  switch (outcome._tag) {
    case "Done":
      return judgeExit(outcome.exit, faulty)
    case "Crashed":
      return outcome.recovered === undefined ? undefined : judgeExit(outcome.recovered, faulty)
    case "Deadlock":
    case "StepLimit":
      return { kind: outcome._tag, message: outcomeText(outcome) }
    case "Violated":
      return { kind: "Violated", message: outcome.message }
    case "Pruned":
      return undefined
  }
}

/** Undefined when nothing is wrong with the run. */
export const judge = <A, E>(
  scenario: Scenario<A, E>,
  { outcome, steps }: Run<A, E>
): Judgement | undefined => {
  const faulty = steps.some(({ fault }) => fault === "fail" || fault === "interrupt")
  const own = judgeOutcome(outcome, faulty)
  const allowed: ReadonlyArray<FailureKind> = scenario.allow ?? []
  if (own !== undefined && !allowed.includes(own.kind)) return own
  const { check } = scenario
  const message =
    check === undefined || outcome._tag === "Pruned" ? undefined : complaintOf(() => check(outcome))
  return message === undefined ? undefined : { kind: "Check", message }
}
