/**
 * Mutants: every guard of every row is switched off once, and the exploration has to find out. What it found is a table:
 * row, guard, runs until it was found, and how short the timeline became.
 */
import type { Report } from "../../src/testing.ts"
import { type Case, find, type Mutant, type Row } from "./harness/Row.ts"
import { rows } from "./registry.ts"

export interface Finding {
  readonly row: Row
  readonly of: Case
  readonly mutant: Mutant
  readonly report: Report
}

/** Goes through all mutants, or those of the rows named; `onFinding` hears of each. */
export const findAll = (
  ids: ReadonlyArray<string>,
  onFinding: (finding: Finding) => void = () => undefined
): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  for (const row of rows.filter(({ id }) => ids.length === 0 || ids.includes(id))) {
    for (const of of row.cases) {
      for (const mutant of of.mutants) {
        const finding = { row, of, mutant, report: find(of, mutant) }
        findings.push(finding)
        onFinding(finding)
      }
    }
  }
  return findings
}

/** Switches of the shrunk schedule and its faults: how much it takes. */
const essence = ({ failure }: Report): string => {
  if (failure === undefined) return ""
  const { choices, faults } = failure.schedule
  const switches = choices.filter((choice) => choice > 0).length
  const timeline = failure.timeline.split("\n").length - 1
  return `${timeline} steps, ${switches} switched${faults.length > 0 ? `, ${faults.length} fault` : ""}`
}

const strategyOf = ({ by }: Mutant): string => {
  switch (by.strategy) {
    case "exhaustive":
      return `exhaustive, ${by.preemptions} preemption${by.preemptions === 1 ? "" : "s"}`
    case "pct":
      return `pct of depth ${by.depth}`
    case "seeded":
      return "seeded"
    case "crashes":
      return `${by.kinds.join(", ")} at every step`
  }
}

export const headings = ["row", "scenario", "guard switched off", "search", "found after", "shrunk to", "as"]

export const cellsOf = ({ mutant, of, report, row }: Finding): ReadonlyArray<string> => {
  const { failure, runs } = report
  const found = failure === undefined ? `NOT FOUND in ${runs} runs` : `${runs} run${runs === 1 ? "" : "s"}`
  const as =
    failure === undefined ? "" : (failure.message.split("\n")[0] ?? "").replaceAll(/[0-9a-f]{56}(?= )/g, "~")
  return [
    row.id,
    of.name,
    mutant.guard,
    strategyOf(mutant),
    found,
    essence(report),
    `${failure?.kind ?? ""}: ${as}`
  ]
}

const line = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

/** The findings as a table in Markdown. */
export const tableOf = (findings: ReadonlyArray<Finding>): string =>
  [
    line(headings),
    line(headings.map(() => "---")),
    ...findings.map((finding) => line(cellsOf(finding)))
  ].join("\n")
