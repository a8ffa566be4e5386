/**
 * Explores every row of the race ledger in its whole range: every order of steps that makes a difference, or where that
 * is too much all schedules of three preemptions and 200,000 random ones; and deaths at every step. That takes hours;
 * each exploration prints one line of a Markdown table when it is done, so that it can be stopped and go on elsewhere.
 * Ends with an error when anything is found.
 *
 * `npm run explore -- [R1 R7 ...] [--case N] [--seed N] [--bounded] [--only TEXT]`: `--case` takes the Nth scenario of
 * each row only, `--bounded` begins with the schedules of three preemptions, `--only` passes over explorations whose
 * name lacks the text, such as `priorities`.
 */
import { parseArgs } from "node:util"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "1" },
    case: { type: "string" },
    bounded: { type: "boolean", default: false },
    only: { type: "string", default: "" }
  }
})
process.env["GRANARY_EXPLORE"] = "full"
process.env["GRANARY_SEED"] = values.seed
const { Explore } = await import("../src/testing.ts")
const { prove } = await import("../property-tests/interleavings/harness/Row.ts")
const { rows } = await import("../property-tests/interleavings/registry.ts")

const line = (cells: ReadonlyArray<string | number>): void =>
  void process.stdout.write(`| ${cells.join(" | ")} |\n`)

let failures = 0
line(["row", "scenario", "explored", "runs", "all of them", "distinct states", "longest", "seconds", "found"])
line(Array.from({ length: 9 }, () => "---"))
for (const { cases, id } of rows.filter((row) => positionals.length === 0 || positionals.includes(row.id))) {
  const chosen = values.case === undefined ? cases : cases.slice(Number(values.case) - 1, Number(values.case))
  for (const one of chosen) {
    for (const proof of prove(one, values.bounded)) {
      if (!proof.name.includes(values.only)) continue
      const { isExhaustive, name, report } = proof
      const isComplete = isExhaustive ? (report.complete ? "yes" : "no") : ""
      const found =
        report.failure === undefined ? "nothing" : `${report.failure.kind}: ${report.failure.message}`
      const { depth, distinctStates, runs, seconds } = report
      line([id, one.name, name, runs, isComplete, distinctStates, depth, Math.round(seconds), found])
      if (report.failure === undefined && isComplete !== "no") continue
      failures += 1
      process.stderr.write(`${Explore.render(report)}\n`)
    }
  }
}
process.exitCode = failures > 0 ? 1 : 0
