/**
 * Report: the figures of a run as Markdown that also reads well on a terminal.
 */
import * as Measurement from "./Measurement.ts"
import type { Program, Step } from "./Program.ts"
import { steps } from "./Program.ts"
import type { Verdict } from "./Targets.ts"
import type { Scale, Workload, WorkloadName } from "./Workload.ts"

/** What one program needed for one workload. */
export interface Row {
  readonly program: Program
  readonly measured: Readonly<Record<Step, ReadonlyArray<Measurement.Measurement>>>
  /** Bytes in the files of the repository after two backups. */
  readonly repositoryBytes: number
}

export interface Section {
  readonly workload: Pick<Workload, "name" | "title">
  readonly rows: ReadonlyArray<Row>
}

export interface Run {
  readonly scale: Scale
  readonly runs: number
  readonly machine: ReadonlyArray<string>
  readonly programs: ReadonlyArray<Program>
  readonly sections: ReadonlyArray<Section>
  readonly verdicts: ReadonlyArray<Verdict>
  /** Disk space that a new, empty Granary datastore takes. */
  readonly emptyStoreBytes: number | undefined
}

const MIB = 1024 * 1024

const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0))
  )
  const line = (cells: ReadonlyArray<string>): string => {
    const padded = cells.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
    )
    return `| ${padded.join(" | ")} |`
  }
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`))
  return [line(header), `| ${rule.join(" | ")} |`, ...rows.map(line)].join("\n")
}

const mebibytes = (bytes: number): string => (bytes / MIB).toFixed(0)

const notMeasured = "not measured"

const timeCell = (measured: Measurement.Measurement | undefined): string =>
  measured === undefined
    ? notMeasured
    : `${measured.wallSeconds.toFixed(2)} / ${measured.processorSeconds.toFixed(2)}`

const memoryCell = (measured: Measurement.Measurement | undefined): string =>
  measured === undefined ? notMeasured : mebibytes(measured.memoryPeakBytes)

const notInstalled = ({ name }: Program): ReadonlyArray<string> => [name, ...steps.map(() => "not installed")]

const timesTable = (rows: ReadonlyArray<Row>, missing: ReadonlyArray<Program>): string =>
  table(
    ["wall s / CPU s", ...steps],
    [
      ...rows.map(({ program, measured }) => [
        program.name,
        ...steps.map((step) => timeCell(Measurement.median(measured[step])))
      ]),
      ...missing.map(notInstalled)
    ]
  )

const spacesTable = (rows: ReadonlyArray<Row>): string =>
  table(
    ["peak memory, MiB", ...steps, "repository, MiB"],
    rows.map(({ program, measured, repositoryBytes }) => [
      program.name,
      ...steps.map((step) => memoryCell(Measurement.median(measured[step]))),
      mebibytes(repositoryBytes)
    ])
  )

const section = ({ rows, workload }: Section, programs: ReadonlyArray<Program>): string => {
  const missing = programs.filter(({ version }) => version === undefined)
  return [`## ${workload.title}`, timesTable(rows, missing), spacesTable(rows)].join("\n\n")
}

const widestSpread = (sections: ReadonlyArray<Section>): number =>
  Math.max(
    ...sections
      .flatMap(({ rows }) =>
        rows.flatMap(({ measured }) =>
          steps.map((step) => measured[step]).filter((all) => all.some(({ wallSeconds }) => wallSeconds >= 1))
        )
      )
      .map(Measurement.spread),
    0
  )

const targets = ({ scale, verdicts }: Run): string => {
  const rows = verdicts.map(({ isMet, measured, target, title }) => [
    title,
    target,
    measured,
    isMet ? "met" : "not met"
  ])
  const remark =
    scale === "full"
      ? "Ratios of wall times in this run, Granary without encryption. Against each program the target holds for every variant of it."
      : "The targets are meant for `--scale full`. At this small scale starting up weighs more than the work: these ratios say nothing."
  return ["## Targets", remark, table(["what", "target", "measured", ""], rows)].join("\n\n")
}

const method = ({ emptyStoreBytes, runs, sections }: Run): string => {
  const spread = `${Math.round(widestSpread(sections) * 100)} %`
  const empty =
    emptyStoreBytes === undefined ? "" : ` (${mebibytes(emptyStoreBytes)} MiB on this file system)`
  return [
    "## How it is measured",
    [
      `- Each step ran ${runs} ${runs === 1 ? "time" : "times"}, every time in fresh repositories; times are medians, peak memory is the largest seen. All programs ran by turns, one after the other, after the data had been read once. Slowest and fastest of equal runs of a second or more lay up to ${spread} apart.`,
      "- `first` backs the data up into an empty repository, `again` a second time unchanged, `verify` reads and checks everything stored (`granary verify`, `restic check --read-data`, `borg check --verify-data`), `verify cold` does the same after the system's page cache was emptied, as for a repository that was written long ago (only an administrator may do that), `restore` brings the second backup back into an empty folder. The first round compares what was restored with the source.",
      "- CPU is user and system time of the process and all its children; peak memory the largest resident set of any of them (GNU time). Before every step `sync` puts on the disk what earlier ones wrote.",
      "- The repository's size counts bytes in its files after both backups, not folders.",
      `- \`init\` is on its own: Granary makes all 65,536 chunk folders of the format then, and an empty datastore takes the space of these folders${empty}.`,
      "- restic always encrypts; borg runs with `--encryption none`; Granary without encryption, and with a key in a row of its own. Programs run at their defaults (borg: lz4; restic: automatic zstd; Granary: zstd level 1), borg also at zstd level 1. restic 0.14 cannot choose a level.",
      "- Granary restores images sparse; restic 0.14 has no way to, and borg does so only on demand, so both write the zeros."
    ].join("\n")
  ].join("\n\n")
}

const versions = (programs: ReadonlyArray<Program>): ReadonlyArray<string> =>
  programs.map(({ name, version }) => `${name}: ${version ?? "not installed"}`)

const howToRun = [
  "## Run it",
  "```sh\nnpm ci && npm run bench                     # everything: about an hour, 20 GB of temporary space\nnpm run bench -- --scale small              # a minute, to see that it works\nnpm run bench -- --only image --runs 1      # one of random, image, tree\n```",
  "Needs GNU time (`/usr/bin/time`); restic and borg take part when they are installed. Temporary data goes to `GRANARY_BENCH_DIR`, else to the system's folder for it, and is removed in the end."
].join("\n\n")

export const render = (run: Run): string =>
  [
    "# Benchmark",
    "Granary's command line beside restic and borg on the same data, in one run on one machine.",
    [...run.machine, ...versions(run.programs)].map((fact) => `- ${fact}`).join("\n"),
    targets(run),
    ...run.sections.map((each) => section(each, run.programs)),
    method(run),
    howToRun,
    ""
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n")

export const findIn = (
  sections: ReadonlyArray<Section>,
  workload: WorkloadName,
  program: Program,
  step: Step
): Measurement.Measurement | undefined => {
  const row = sections
    .find((each) => each.workload.name === workload)
    ?.rows.find((each) => each.program === program)
  return row === undefined ? undefined : Measurement.median(row.measured[step])
}
