/**
 * Measures how near the targets lie to what the machine can do at all: the bare work of a first backup and of
 * verification in plain loops (`floorWork.ts`), by turns with Granary, restic and borg on the same data, and writes
 * `bench/FLOOR.md`. Where plain loops miss a target, no program made of the same parts meets it there.
 *
 * Run, after `npm run build`: npm run bench:floor -- [--scale small|full] [--runs N] [--output FILE]
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as Machine from "./Machine.ts"
import * as Measurement from "./Measurement.ts"
import * as Program from "./Program.ts"
import * as Workload from "./Workload.ts"

type Times = Pick<Measurement.Measurement, "wallSeconds" | "processorSeconds">
type Measured = Map<string, Array<Times>>

interface Place {
  readonly workload: Workload.Workload
  readonly folder: string
}

const floorName = "plain loops"
const program = path.resolve(import.meta.dirname, "../dist/program/bin.js")
const nodeFlags = ["--disable-warning=ExperimentalWarning"]

/** The shares of each peer's time that are wanted; those of `Targets.ts`. */
const wanted = [
  { workload: "random", step: "first", peer: "restic", ratioMax: 0.35 },
  { workload: "random", step: "first", peer: "borg", ratioMax: 0.5 },
  { workload: "random", step: "verify", peer: "restic", ratioMax: 0.4 },
  { workload: "random", step: "verify", peer: "borg", ratioMax: 0.4 },
  { workload: "image", step: "verify", peer: "restic", ratioMax: 0.4 },
  { workload: "image", step: "verify", peer: "borg", ratioMax: 0.4 }
] as const

const add = (measured: Measured, key: string, times: Times): void => {
  measured.set(key, [...(measured.get(key) ?? []), times])
  console.error(
    `${key}: ${times.wallSeconds.toFixed(2)} s, processors ${times.processorSeconds.toFixed(2)} s`
  )
}

const floorOf = (...argv: ReadonlyArray<string>): Times => {
  execFileSync("sync")
  const worker = path.join(import.meta.dirname, "floorWork.ts")
  const flags = ["--conditions=development", ...nodeFlags]
  const printed = execFileSync(process.execPath, [...flags, worker, ...argv], { encoding: "utf8" })
  const [wallSeconds = Number.NaN, processorSeconds = Number.NaN]: ReadonlyArray<number> = JSON.parse(printed)
  return { wallSeconds, processorSeconds }
}

/** One program's first backup and verification in fresh folders; Granary's chunks serve the floor as well. */
const runProgram = (each: Program.Program, { folder, workload }: Place, measured: Measured): void => {
  const repository = path.join(folder, "repository")
  const place = { repository, cache: path.join(folder, "cache"), target: path.join(folder, "target") }
  for (const made of [place.cache, place.target]) mkdirSync(made)
  const commands = each.commands(workload, place)
  Measurement.run(commands.init, folder)
  for (const step of ["first", "verify"] as const) {
    add(measured, `${workload.name}, ${step}, ${each.name}`, Measurement.run(commands[step], folder))
  }
  if (each.family === "granary") {
    add(measured, `${workload.name}, verify, ${floorName}`, floorOf("verify", repository))
  }
  for (const made of Object.values(place)) rmSync(made, { recursive: true, force: true })
}

const runFirstFloor = ({ folder, workload }: Place, measured: Measured): void => {
  if (workload.name !== "random") return
  const target = path.join(folder, "floor")
  mkdirSync(target)
  const file = path.join(workload.folder, "random.bin")
  add(measured, `random, first, ${floorName}`, floorOf("first", file, target))
  rmSync(target, { recursive: true })
}

const medianOf = (measured: Measured, key: string): Measurement.Measurement | undefined =>
  Measurement.median((measured.get(key) ?? []).map((times) => ({ ...times, memoryPeakBytes: 0 })))

const shown = (times: Measurement.Measurement | undefined): string =>
  times === undefined
    ? "not measured"
    : `${times.wallSeconds.toFixed(2)} / ${times.processorSeconds.toFixed(2)}`

const ratio = (own: Measurement.Measurement | undefined, peer: Measurement.Measurement | undefined): string =>
  own === undefined || peer === undefined
    ? "not measured"
    : `${(own.wallSeconds / peer.wallSeconds).toFixed(2)} / ` +
      (own.processorSeconds / peer.processorSeconds).toFixed(2)

const line = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const table = (measured: Measured): string => {
  const rows = wanted.map(({ peer, ratioMax, step, workload }) => {
    const of = (name: string) => medianOf(measured, `${workload}, ${step}, ${name}`)
    const [floor, granary, other] = [of(floorName), of("granary"), of(peer)]
    const times = [floor, granary, other].map(shown)
    const what = `${step === "first" ? "first backup" : step}, ${workload}, ${peer}`
    return line([what, ...times, ratioMax.toFixed(2), ratio(floor, other), ratio(granary, other)])
  })
  const head = ["wall s / CPU s", floorName, "granary", "peer", "target", "loops : peer", "granary : peer"]
  return [line(head), line(["---", ...head.slice(1).map(() => "---:")]), ...rows].join("\n")
}

const render = (measured: Measured, runs: number, folder: string): string =>
  [
    "# How near the floor",
    "The bare work of a first backup and of verification in plain loops on all processors (`floorWork.ts`), beside the programs on the same data. Plain loops read, scan, hash, check or compress, and write whole chunks, with Granary's own functions; they keep no order, no index and no locks, and their clock leaves out the start of a program. Ratios are of wall times and of processor seconds. A ratio of the loops above the target means that the target lies below what these parts can do on this machine; one close below it leaves no room for a program around them.",
    Machine.describe(folder)
      .map((fact) => `- ${fact}`)
      .join("\n"),
    table(measured),
    `Medians of ${runs} rounds, everything by turns; for every figure \`sync\` came first. Run it: \`npm run build && npm run bench:floor\`.`,
    ""
  ].join("\n\n")

const main = (): void => {
  const { values } = parseArgs({
    options: {
      scale: { type: "string", default: "full" },
      runs: { type: "string", default: "3" },
      output: { type: "string" }
    }
  })
  const scale: Workload.Scale = values.scale === "small" ? "small" : "full"
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: a whole number from 1 on`)
  const folder = mkdtempSync(path.join(process.env["GRANARY_BENCH_DIR"] ?? os.tmpdir(), "granary-floor-"))
  const argv = [process.execPath, ...nodeFlags, program] as const
  const programs = [
    Program.granary({ name: "granary", argv, version: "" }),
    Program.restic(),
    Program.borg("borg", [])
  ].filter(({ version }) => version !== undefined)
  const measured: Measured = new Map()
  try {
    for (const name of ["random", "image"] as const) {
      const workload = Workload.make(name, folder, scale)
      for (let round = 0; round < runs; round++) {
        Workload.warmUp(workload)
        runFirstFloor({ workload, folder }, measured)
        for (const each of programs) runProgram(each, { workload, folder }, measured)
      }
      rmSync(workload.folder, { recursive: true })
    }
    const text = render(measured, runs, folder).replace(/\n+$/, "\n")
    console.log(text)
    if (values.output !== undefined) writeFileSync(values.output, text)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

main()
