/**
 * Report: what an exploration found, as a value and as a text. The text of a failure holds all that is needed to play
 * it again: seed, choices and faults.
 */
import type { FailureKind } from "./Judge.ts"
import type { Run } from "./Run.ts"
import type { Schedule } from "./Simulation.ts"
import { scheduleText } from "./Timeline.ts"

export interface Failure<A = unknown, E = unknown> {
  readonly kind: FailureKind
  readonly message: string
  /** Of the run that failed first; undefined when it came from no seed. */
  readonly seed: number | undefined
  /** As it was found. */
  readonly found: Schedule
  /** As small as shrinking made it; this is what `timeline` shows and `replay` plays. */
  readonly schedule: Schedule
  readonly shrinkRuns: number
  readonly timeline: string
  /** Plays the shrunk schedule once more. For scenarios with real asynchronous work take `runAsync`. */
  readonly replay: () => Run<A, E>
}

export interface Report<A = unknown, E = unknown> {
  readonly strategy: string
  readonly runs: number
  readonly distinctStates: number
  /** The steps of the longest run. */
  readonly depth: number
  /** Whether nothing within the strategy's bounds was left out. */
  readonly complete: boolean
  readonly seconds: number
  /** How many runs failed; an exploration ends at the first one unless told otherwise. */
  readonly failures: number
  /** The first one, shrunk. */
  readonly failure: Failure<A, E> | undefined
}

const indent = (text: string, by: string): string => text.replaceAll(/^(?=.)/gm, by)

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

const failureText = ({ kind, message, seed, schedule, found, shrinkRuns, timeline }: Failure): string =>
  [
    `${kind}: ${message}`,
    ...(seed === undefined ? [] : [`seed: ${seed}`]),
    `schedule: ${scheduleText(schedule)}`,
    `shrunk from ${counted(found.choices.length, "choice")} and ${counted(found.faults.length, "fault")}` +
      ` in ${counted(shrinkRuns, "run")}; play it again with run(scenario(), schedule)`,
    "timeline:",
    indent(timeline, "  ")
  ].join("\n")

/** A report as text: one line of counts, and the failure if there is one. */
export const render = ({ failure, ...report }: Report): string => {
  const { strategy, runs, distinctStates, depth, complete, seconds, failures } = report
  const speed = seconds > 0 ? ` (${Math.round(runs / seconds)} a second)` : ""
  const states = counted(distinctStates, "distinct state")
  const end = failures > 0 ? `, ${failures} failed` : complete ? ", all of them" : ""
  const counts = `${strategy}: ${counted(runs, "run")}${end}${speed}, ${states}, at most ${counted(depth, "step")}`
  return failure === undefined ? counts : `${counts}\n${indent(failureText(failure), "  ")}`
}

/** Throws an error with the report as its message when something failed; else answers the report. */
export const assertHolds = <A, E>(report: Report<A, E>): Report<A, E> => {
  if (report.failure !== undefined) throw new Error(render(report))
  return report
}
