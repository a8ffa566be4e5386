/**
 * Prints the table of mutants: every guard switched off once, and after how many runs the laboratory found out. With
 * `--write` the table goes into docs/mutants.md; names of rows (`R1 R7`) choose some.
 */
import { writeFileSync } from "node:fs"
import { cellsOf, findAll, tableOf } from "../property-tests/interleavings/mutants.ts"

const introduction = `# Mutants

Every race of the ledger that concerns a local store has a guard in the program. Here each guard is switched off, one
at a time, and the laboratory (see testing.md) has to find a schedule that breaks an invariant: that nothing a
finished snapshot names is missing or wrong (I1), that what was acknowledged is kept (I2), that nothing good is
condemned (I4), that garbage goes and nothing hangs (I5). A guard whose absence is never noticed would be superstition.

The scenarios are in \`property-tests/interleavings/rows\`, one file a row. With all guards in place nothing is found:
every change is tested with all schedules of one preemption (more where that is cheap) and some hundred random ones.
The whole range takes hours: \`npm run explore\`; what it has gone through so far is in exploration.md.

\`npm run mutants\` makes the table below, \`npm run mutants -- --write\` also puts it here. "Switched" are the
decisions of the shrunk schedule at which another one went on than the one that ran before.
`

const given = process.argv.slice(2)
const ids = given.filter((argument) => !argument.startsWith("--"))
const writes = given.includes("--write")

const findings = findAll(ids, (finding) => process.stdout.write(`${cellsOf(finding).join("  ")}\n`))
const lost = findings.filter(({ report }) => report.failure === undefined)
if (writes)
  writeFileSync(new URL("../docs/mutants.md", import.meta.url), `${introduction}\n${tableOf(findings)}\n`)
process.stdout.write(`${findings.length} mutants, ${findings.length - lost.length} found\n`)
process.exitCode = findings.length === 0 || lost.length > 0 ? 1 : 0
