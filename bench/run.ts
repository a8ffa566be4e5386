/**
 * Measures Granary's command line beside restic and borg and writes `bench/REPORT.md`.
 *
 * Run: npm run bench -- [--scale small|full] [--only random|image|tree] [--runs N] [--program dist|src] [--report FILE]
 * The small scale, or a part, is printed only, unless `--report` says where to write it.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as KeyFile from "../src/format/KeyFile.ts"
import * as Machine from "./Machine.ts"
import * as Measurement from "./Measurement.ts"
import * as Program from "./Program.ts"
import * as Report from "./Report.ts"
import * as Targets from "./Targets.ts"
import * as Workload from "./Workload.ts"

const repositoryRoot = path.resolve(import.meta.dirname, "..")

interface Options {
  readonly scale: Workload.Scale
  readonly only: ReadonlyArray<Workload.WorkloadName>
  readonly runs: number
  readonly program: "dist" | "src"
  readonly report: string | undefined
}

const choose = <A extends string>(flag: string, value: string, allowed: ReadonlyArray<A>): A => {
  const found = allowed.find((each) => each === value)
  if (found === undefined) throw new Error(`--${flag} ${value}: choose one of ${allowed.join(", ")}`)
  return found
}

const readOptions = (): Options => {
  const { values } = parseArgs({
    options: {
      scale: { type: "string", default: "full" },
      only: { type: "string", multiple: true, default: [...Workload.workloadNames] },
      runs: { type: "string", default: "3" },
      program: { type: "string", default: "dist" },
      report: { type: "string" }
    }
  })
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: a whole number from 1 on`)
  const scale = choose("scale", values.scale, ["small", "full"])
  const only = Workload.workloadNames.filter((name) =>
    values.only.map((value) => choose("only", value, Workload.workloadNames)).includes(name)
  )
  const isWhole = scale === "full" && only.length === Workload.workloadNames.length
  const report = values.report ?? (isWhole ? path.join(import.meta.dirname, "REPORT.md") : undefined)
  return { scale, only, runs, program: choose("program", values.program, ["dist", "src"]), report }
}

const say = (text: string): void => console.error(text)

/** The argument vector that starts Granary: what users install, built now, or the sources themselves. */
const granaryCommand = (program: Options["program"]): Measurement.Command["argv"] => {
  const flags = ["--disable-warning=ExperimentalWarning"]
  if (program === "src") {
    const source = path.join(repositoryRoot, "src/cli/bin.ts")
    return [process.execPath, "--conditions=development", ...flags, source]
  }
  say("building")
  execFileSync(process.execPath, ["scripts/build.ts"], { cwd: repositoryRoot, stdio: "inherit" })
  return [process.execPath, ...flags, path.join(repositoryRoot, "dist/program/bin.js")]
}

const makePrograms = (
  argv: Measurement.Command["argv"],
  workFolder: string
): ReadonlyArray<Program.Program> => {
  const printed = execFileSync(argv[0], [...argv.slice(1), "--version"], { encoding: "utf8" })
  const version = /\d+\.\d+\.\S+/.exec(printed)?.[0] ?? printed.trim()
  const keyFile = path.join(workFolder, "key.json")
  const raw = Buffer.alloc(32, "benchmark")
  writeFileSync(keyFile, KeyFile.encode(KeyFile.create({ raw, created: 0, kdf: "none" })), { mode: 0o600 })
  return [
    Program.granary({ name: "granary", argv, version }),
    Program.granary({ name: "granary, encrypted", argv, version, keyFile }),
    Program.granary({ name: "granary, metadata", argv, version, changeDetection: "metadata" }),
    Program.restic(),
    Program.borg("borg", []),
    Program.borg("borg, zstd 1", ["--compression", "zstd,1"])
  ]
}

const bytesInFiles = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { name, parentPath }) => sum + statSync(path.join(parentPath, name)).size, 0)

const blocksInUse = (folder: string): number =>
  Number(execFileSync("du", ["-s", "-B1", folder], { encoding: "utf8" }).split("\t")[0])

/** A run that restores something else is no run. */
const compare = (workload: Workload.Workload, target: string, program: Program.Program): void => {
  try {
    execFileSync("diff", ["-rq", "--no-dereference", workload.folder, target], { stdio: "pipe" })
  } catch (error) {
    throw new Error(`${program.name} did not restore ${workload.name} as it was`, { cause: error })
  }
}

type MeasuredSteps = Record<Program.Step, Array<Measurement.Measurement>>

interface Round {
  readonly workload: Workload.Workload
  readonly program: Program.Program
  readonly measured: MeasuredSteps
  readonly workFolder: string
  readonly isFirst: boolean
}

/** All steps of one program once, in fresh folders; answers what its repository holds in the end. */
const measureRound = ({ isFirst, measured, program, workFolder, workload }: Round): number => {
  const place = {
    repository: path.join(workFolder, "repository"),
    cache: path.join(workFolder, "cache"),
    target: path.join(workFolder, "target")
  }
  mkdirSync(place.cache)
  mkdirSync(place.target)
  const commands = program.commands(workload, place)
  for (const step of Program.steps) {
    if (step === "verify cold" && !Measurement.forgetFiles()) continue
    const result = Measurement.run(commands[step], workFolder)
    measured[step].push(result)
    say(`${workload.name}, ${program.name}, ${step}: ${result.wallSeconds.toFixed(2)} s`)
  }
  if (isFirst) compare(workload, place.target, program)
  const repositoryBytes = bytesInFiles(place.repository)
  for (const folder of Object.values(place)) rmSync(folder, { recursive: true, force: true })
  return repositoryBytes
}

const noMeasurements = (): MeasuredSteps => ({
  init: [],
  first: [],
  again: [],
  verify: [],
  "verify cold": [],
  restore: []
})

/** Programs take turns, so that a disturbance of the machine does not hit one of them only. */
const measureWorkload = (
  workload: Workload.Workload,
  programs: ReadonlyArray<Program.Program>,
  runs: number,
  workFolder: string
): Report.Section => {
  const rows = programs
    .filter(({ version }) => version !== undefined)
    .map((program) => ({ program, measured: noMeasurements(), repositoryBytes: 0 }))
  for (let round = 0; round < runs; round++) {
    for (const row of rows) {
      Workload.warmUp(workload)
      const { measured, program } = row
      row.repositoryBytes = measureRound({ workload, program, measured, workFolder, isFirst: round === 0 })
    }
  }
  return { workload: { name: workload.name, title: workload.title }, rows }
}

const measureEmptyStore = (argv: Measurement.Command["argv"], workFolder: string): number => {
  const store = path.join(workFolder, "empty")
  execFileSync(argv[0], [...argv.slice(1), "init", store], { stdio: "ignore" })
  const bytes = blocksInUse(store)
  rmSync(store, { recursive: true })
  return bytes
}

const measureAll = (options: Options, workFolder: string): Report.Run => {
  const argv = granaryCommand(options.program)
  const programs = makePrograms(argv, workFolder)
  const sections = options.only.map((name) => {
    say(`making data: ${name}`)
    const workload = Workload.make(name, workFolder, options.scale)
    const section = measureWorkload(workload, programs, options.runs, workFolder)
    rmSync(workload.folder, { recursive: true })
    return section
  })
  const results: Targets.Results = {
    find: (workload, program, step) => Report.findIn(sections, workload, program, step)
  }
  return {
    scale: options.scale,
    runs: options.runs,
    machine: Machine.describe(workFolder),
    programs,
    sections,
    verdicts: Targets.judge(results, programs, options.only, Program.steps),
    emptyStoreBytes: measureEmptyStore(argv, workFolder)
  }
}

const main = (): void => {
  const options = readOptions()
  if (!Measurement.isAvailable()) throw new Error("GNU time is missing: install the package time")
  const base = process.env["GRANARY_BENCH_DIR"] ?? os.tmpdir()
  if (!existsSync(base)) throw new Error(`GRANARY_BENCH_DIR: there is no ${base}`)
  const workFolder = mkdtempSync(path.join(base, "granary-bench-"))
  // An interrupt ends the program that is being measured, and with it this one: through the cleaning up.
  process.on("SIGINT", () => undefined)
  try {
    const text = Report.render(measureAll(options, workFolder))
    console.log(text)
    if (options.report !== undefined) writeFileSync(options.report, text)
  } finally {
    rmSync(workFolder, { recursive: true, force: true })
  }
}

try {
  main()
} catch (error) {
  say(`error: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
