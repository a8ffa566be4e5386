/**
 * Measures `granary serve` and its client: backup and restore through a server on this machine beside those of a local
 * datastore, and pulls from a server that is far away. Prints the report; `--output FILE` writes it.
 *
 * Run: node --conditions=development bench/remote.ts [--only loopback|late] [--scale small|full] [--rounds 3]
 *   [--output FILE]
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { type GranaryProgram, makeProgram } from "./granaryProgram.ts"
import * as Machine from "./Machine.ts"
import * as Measurement from "./Measurement.ts"
import { run } from "./mountProcesses.ts"
import { type LateFigures, makeStores, measureLate } from "./remoteLate.ts"
import { type LoopbackFigures, measureLoopback } from "./remoteLoopback.ts"
import { render } from "./remoteReport.ts"
import { startServer } from "./remoteServer.ts"

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    scale: { type: "string", default: "full" },
    rounds: { type: "string", default: "3" },
    output: { type: "string" }
  }
})

const scales = {
  small: { imageMebibytes: 64, chunks: 64, rateMebibytes: 8 },
  full: { imageMebibytes: 1024, chunks: 2000, rateMebibytes: 256 }
} as const

const parts = ["loopback", "late"] as const
type Part = (typeof parts)[number]

const choose = <A extends string>(flag: string, value: string, allowed: ReadonlyArray<A>): A => {
  const found = allowed.find((each) => each === value)
  if (found === undefined) throw new Error(`--${flag} ${value}: choose one of ${allowed.join(", ")}`)
  return found
}

const sizes = scales[choose("scale", values.scale, ["small", "full"])]
const rounds = Number(values.rounds)
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`--rounds ${values.rounds}: a whole number from 1 on`)
const only = values.only === undefined ? undefined : choose("only", values.only, parts)
const isWanted = (part: Part): boolean => only === undefined || only === part

const note = (text: string): void => console.error(text)

const loopback = async ({ granary }: GranaryProgram, work: string): Promise<LoopbackFigures> => {
  const [localStore, servedStore] = [path.join(work, "local"), path.join(work, "served")]
  for (const store of [localStore, servedStore]) await run([...granary, "init", store])
  const config = path.join(work, "config-loopback")
  const storeName = "store1"
  return Effect.runPromise(
    Effect.gen(function* () {
      const server = yield* startServer({ granary, config, stores: { [storeName]: servedStore } })
      return measureLoopback({ granary, work, localStore, server, storeName, rounds, note, ...sizes })
    }).pipe(Effect.scoped)
  )
}

const late = async ({ granary }: GranaryProgram, work: string): Promise<LateFigures> => {
  const stores = await makeStores(work, sizes)
  const config = path.join(work, "config-late")
  return Effect.runPromise(
    Effect.gen(function* () {
      const server = yield* startServer({ granary, config, stores })
      return yield* Effect.promise(() => measureLate({ work, server, note, ...sizes }))
    }).pipe(Effect.scoped)
  )
}

if (!Measurement.isAvailable()) throw new Error("GNU time measures: install it (Debian: time)")
const work = mkdtempSync(path.join(process.env["GRANARY_BENCH_DIR"] ?? tmpdir(), "granary-bench-remote-"))
try {
  const busy = loadavg()[0] ?? 0
  const program = await makeProgram(work)
  const results = {
    machine: [...Machine.describe(work), `granary: ${program.version}`],
    load: `Other programs had ${busy.toFixed(1)} tasks running or waiting when it began.`,
    loopback: isWanted("loopback") ? await loopback(program, work) : undefined,
    late: isWanted("late") ? await late(program, work) : undefined
  }
  const report = render(results)
  console.log(report)
  if (values.output !== undefined) writeFileSync(values.output, report)
} finally {
  rmSync(work, { recursive: true, force: true })
}
