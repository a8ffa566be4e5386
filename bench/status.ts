/**
 * How many requests a second a server answers that tells over HTTP how its datastores are: the one of
 * `examples/statusServer.ts`, with 1,000 datastores and 16 clients, each store asked for in turn. The limit is the same
 * server answering a constant, measured in between.
 *
 * Cold is the first round of a new process: no status was asked before, no estimate of a store is on disk, nothing was
 * run often enough to be compiled. Warm is the median of the rounds after it.
 *
 * A datastore is a folder as a collection leaves it, without the 65,536 folders below `.chunks`, which no status looks
 * at.
 *
 * Run: npm run bench:status [-- --rounds 20 --stores 1000 --clients 16 --output bench/STATUS.md]
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as GcStatus from "../src/gc/GcStatus.ts"
import { type Clients, connectClients } from "./httpLoad.ts"
import * as Machine from "./Machine.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    stores: { type: "string", default: "1000" },
    clients: { type: "string", default: "16" },
    output: { type: "string" }
  }
})
const rounds = Number(values.rounds)
const storesCount = Number(values.stores)
const clientsCount = Number(values.clients)

const targetPerSecond = 2000

/** A new process for each cold round. */
const coldRounds = 3

const names = Array.from({ length: storesCount }, (_, index) => `store-${index}`)

const prepare = (base: string): string => {
  const gcStatus = JSON.stringify(
    GcStatus.toJson({ ...GcStatus.empty, indexDataBytes: 35e9, diskBytes: 2e9, diskChunks: 1000 })
  )
  const sections = names.map((name) => {
    const folder = path.join(base, "stores", name)
    mkdirSync(path.join(folder, ".chunks"), { recursive: true })
    writeFileSync(path.join(folder, ".lock"), "")
    writeFileSync(path.join(folder, ".gc-status"), gcStatus)
    return `datastore: ${name}\n\tcomment one of many\n\tgc-schedule daily\n\tpath ${folder}\n`
  })
  const config = path.join(base, "config")
  mkdirSync(config)
  writeFileSync(path.join(config, "datastore.cfg"), sections.join("\n"))
  return config
}

/** Starts a server, asks it, and ends it. */
const withServer = async <A>(config: string, use: (clients: Clients) => Promise<A>): Promise<A> => {
  const script = path.join(import.meta.dirname, "statusServer.ts")
  const argv = ["--conditions=development", "--disable-warning=ExperimentalWarning", script, config]
  const server = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] })
  try {
    const [printed] = (await once(server.stdout, "data")) as [Buffer]
    const clients = await connectClients(Number(printed.toString()), clientsCount)
    try {
      return await use(clients)
    } finally {
      clients.close()
    }
  } finally {
    server.stdin.end()
    await once(server, "exit")
  }
}

const statusPaths = names.map((name) => `/stores/${name}/status`)
const constantPaths = names.map((name) => `/constant/${name}`)

const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = numbers.toSorted((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

interface Figures {
  readonly cold: ReadonlyArray<number>
  readonly coldConstant: ReadonlyArray<number>
  readonly warm: ReadonlyArray<number>
  readonly constant: ReadonlyArray<number>
}

const measure = async (config: string): Promise<Figures> => {
  const figures = { cold: [], coldConstant: [], warm: [], constant: [] } as Record<
    keyof Figures,
    Array<number>
  >
  for (let round = 0; round < coldRounds; round++) {
    rmSync(path.join(config, ".usage-history"), { recursive: true, force: true })
    await withServer(config, async ({ ask }) => figures.cold.push(await ask(statusPaths)))
    await withServer(config, async ({ ask }) => figures.coldConstant.push(await ask(constantPaths)))
  }
  await withServer(config, async ({ ask }) => {
    for (let round = 0; round < rounds + 2; round++) {
      const warm = await ask(statusPaths)
      const constant = await ask(constantPaths)
      if (round < 2) continue
      figures.warm.push(warm)
      figures.constant.push(constant)
    }
  })
  return figures
}

const whole = (perSecond: number): string => Math.round(perSecond).toLocaleString("en")

const verdict = (what: string, target: number, measured: number): string =>
  `| ${what} | at least ${whole(target)} | ${whole(measured)} | ${measured >= target ? "met" : "not met"} |`

const row = (what: string, status: ReadonlyArray<number>, constant: ReadonlyArray<number>): string =>
  `| ${what} | ${whole(median(status))} | ${whole(Math.min(...status))} to ${whole(Math.max(...status))} | ` +
  `${whole(median(constant))} | ${Math.round((100 * median(status)) / median(constant))} % |`

const report = (machine: ReadonlyArray<string>, { cold, coldConstant, constant, warm }: Figures): string =>
  `# Benchmark of the status over HTTP

Requests a second for the status of one of ${whole(storesCount)} datastores, by ${clientsCount} clients on the same machine, each
asking anew as soon as it has its answer; ${whole(storesCount)} requests a round, one for each store. "Constant" is the same
server, asked for the same document without looking anything up.

Cold is the first round of a new process, which was asked for nothing before and writes a first sample of each store's
usage; the median of ${coldRounds} processes. Warm is the median of ${rounds} rounds of one, after two that do not count; rounds of
both kinds take turns.

${machine.map((line) => `- ${line}`).join("\n")}

## Targets

| requests a second | target | measured |  |
| --- | ---: | ---: | ---: |
${verdict("warm", targetPerSecond, median(warm))}
${verdict("the cold round", targetPerSecond / 2, median(cold))}

## Figures

| round | status | of all rounds | constant | share |
| --- | ---: | ---: | ---: | ---: |
${row("cold", cold, coldConstant)}
${row("warm", warm, constant)}
`

const work = mkdtempSync(path.join(process.env["GRANARY_BENCH_DIR"] ?? tmpdir(), "granary-bench-status-"))
try {
  const text = report(Machine.describe(work), await measure(prepare(work)))
  console.log(text)
  if (values.output !== undefined) writeFileSync(values.output, text)
} finally {
  rmSync(work, { recursive: true, force: true })
}
