/**
 * Timeline: a run as a text for people: who did what, when, in the order in which it happened. A line that was not "as
 * before" says which of how many options it was, so that the switches stand out.
 */
import { outcomeText } from "./Judge.ts"
import type { Run } from "./Run.ts"
import type { Schedule, Step } from "./Simulation.ts"

const whoOf = ({ process, actor }: Step): string =>
  process === undefined || process === actor ? actor : `${process}/${actor}`

const faultTexts: Record<Step["fault"], string> = {
  none: "",
  fail: "!! fails",
  interrupt: "!! interrupted",
  kill: "!! killed before it",
  crash: "!! crash before it"
}

const markOf = ({ kind, fault, chosen, count }: Step): string => {
  if (fault !== "none") return faultTexts[fault]
  if (kind === "value") return `= ${chosen} (of ${count})`
  return chosen === 0 ? "" : `<- option ${chosen} of ${count}`
}

/** The timeline of a run, one line a step, and how it ended. */
export const timeline = ({ steps, outcome, elapsedMillis }: Run): string => {
  const startMillis = (steps.at(-1)?.timeMillis ?? 0) - elapsedMillis
  const rows = steps.map((step, index) => ({
    index: String(index),
    time: elapsedMillis > 0 ? `+${step.timeMillis - startMillis} ms` : "",
    who: whoOf(step),
    label: step.label,
    mark: markOf(step)
  }))
  const width = (column: "index" | "time" | "who" | "label") =>
    rows.reduce((widest, row) => Math.max(widest, row[column].length), 0)
  const [index, time, who, label] = [width("index"), width("time"), width("who"), width("label")]
  const lines = rows.map((row) =>
    [
      row.index.padStart(index),
      ...(time > 0 ? [row.time.padStart(time)] : []),
      row.who.padEnd(who),
      row.label.padEnd(label),
      row.mark
    ]
      .join("  ")
      .trimEnd()
  )
  return [...lines, `${" ".repeat(index)}  ${outcomeText(outcome)}`].join("\n")
}

/** A schedule as it is written in a program. */
export const scheduleText = ({ choices, faults }: Schedule): string => {
  const list = faults.map(({ step, fault }) => `{ step: ${step}, fault: "${fault}" }`)
  return `{ choices: [${choices.join(", ")}], faults: [${list.join(", ")}] }`
}
