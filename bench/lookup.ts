/**
 * How long a lookup of a configured datastore takes, with the scope of its handle: the configuration cached, against
 * the same code that reads and parses it again at each lookup and each drop (a time to live of zero). 1,000 datastores
 * are configured; 1,000 lookups go to one of them, to ten, to a hundred, or to each of them.
 *
 * Cold is the first round of a new service, in which stores are opened; warm is the best of the rounds after it. There
 * are fifty, for the engine compiles what it has seen some ten thousand times: what a server does all day, and not what
 * a program does in its first tenth of a second. What the first tenth costs stands beside it.
 *
 * The stores are folders with `.chunks` and none of the 65,536 folders in it: opening one looks at `.chunks` and at its
 * own small files only.
 *
 * Run: npm run bench:lookup [-- --rounds 50 --stores 1000 --output bench/LOOKUP.md]
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as Datastores from "../src/datastores/Datastores.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"
import * as Machine from "./Machine.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "50" },
    stores: { type: "string", default: "1000" },
    output: { type: "string" }
  }
})
const rounds = Number(values.rounds)
const storesCount = Number(values.stores)

/** Of the code that reads again; as many as there are stores without a cache would take minutes. */
const againLookups = 200

/** So many rounds of a process are over before its code is compiled. */
const earlyRounds = 10

const nameOf = (index: number): string => `store-${index}`

/** As Proxmox Backup Server's interface makes them. */
const sectionOf = (index: number, folder: string): string =>
  [
    `datastore: ${nameOf(index)}`,
    `\tcomment number ${index}`,
    "\tgc-schedule daily",
    "\tnotification-mode notification-system",
    `\tpath ${folder}`,
    "\tprune-schedule daily",
    ""
  ].join("\n")

const prepare = (base: string): string => {
  const sections = Array.from({ length: storesCount }, (_, index) => {
    const folder = path.join(base, "stores", nameOf(index))
    mkdirSync(path.join(folder, ".chunks"), { recursive: true })
    writeFileSync(path.join(folder, ".lock"), "")
    return sectionOf(index, folder)
  })
  const config = path.join(base, "config")
  mkdirSync(config)
  writeFileSync(path.join(config, "datastore.cfg"), sections.join("\n"))
  return config
}

type Drop = "each" | "bulk"

/** `times` lookups of each of `distinct` stores; answers microseconds of wall and of processor time per lookup. */
const round = (service: Datastores.Datastores["Service"], distinct: number, times: number, drop: Drop) =>
  Effect.gen(function* () {
    const startMillis = performance.now()
    const before = process.cpuUsage()
    const all = Effect.gen(function* () {
      for (let time = 0; time < times; time++) {
        for (let index = 0; index < distinct; index++) {
          const lookup = service.lookup(nameOf(index), "read")
          yield* drop === "each" ? Effect.scoped(lookup) : lookup
        }
      }
    })
    yield* Effect.scoped(all)
    const { system, user } = process.cpuUsage(before)
    const lookups = distinct * times
    return {
      wallMicros: ((performance.now() - startMillis) * 1000) / lookups,
      processorMicros: (user + system) / lookups
    }
  })

const inService = <A, E>(
  options: Datastores.DatastoresOptions,
  use: (service: Datastores.Datastores["Service"]) => Effect.Effect<A, E>
) =>
  Effect.flatMap(Datastores.Datastores, use).pipe(
    Effect.provide(Layer.fresh(Datastores.layer(options)).pipe(Layer.provide(NodePlatform.layer)))
  )

interface Row {
  readonly distinct: number
  readonly times: number
  readonly coldMicros: number
  /** The best of the first ten rounds after the cold one, of code that is being compiled. */
  readonly earlyMicros: number
  readonly warmMicros: number
  readonly processorMicros: number
  readonly againMicros: number
}

const measure = (folder: string, distinct: number, drop: Drop) =>
  Effect.gen(function* () {
    const times = storesCount / distinct
    const cached = yield* inService({ folder }, (service) =>
      Effect.gen(function* () {
        const cold = yield* round(service, distinct, times, drop)
        const warm = []
        for (let count = 0; count < rounds; count++) warm.push(yield* round(service, distinct, times, drop))
        return { cold, warm }
      })
    )
    // A round before the measured one opens the stores here as well. Fewer lookups: each takes some milliseconds.
    const againDistinct = Math.min(distinct, againLookups)
    const againTimes = Math.max(1, Math.floor(againLookups / distinct))
    const again = yield* inService({ folder, ttlSeconds: 0 }, (service) =>
      Effect.gen(function* () {
        yield* round(service, againDistinct, 1, drop)
        return yield* round(service, againDistinct, againTimes, drop)
      })
    )
    const row: Row = {
      distinct,
      times,
      coldMicros: cached.cold.wallMicros,
      earlyMicros: Math.min(...cached.warm.slice(0, earlyRounds).map(({ wallMicros }) => wallMicros)),
      warmMicros: Math.min(...cached.warm.map(({ wallMicros }) => wallMicros)),
      processorMicros: Math.min(...cached.warm.map(({ processorMicros }) => processorMicros)),
      againMicros: again.wallMicros
    }
    console.error(
      `${drop}: ${distinct} x ${times}: ${row.warmMicros.toFixed(1)} us, ${row.againMicros.toFixed(0)} us`
    )
    return row
  })

const tableOf = (rows: ReadonlyArray<Row>): string =>
  [
    "| stores x lookups | read again, us | cold, us | early, us | warm, us | CPU, us | ratio warm |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...rows.map(
      ({ againMicros, coldMicros, distinct, earlyMicros, processorMicros, times, warmMicros }) =>
        `| ${distinct} x ${times} | ${againMicros.toFixed(0)} | ${coldMicros.toFixed(1)} | ${earlyMicros.toFixed(1)} | ` +
        `${warmMicros.toFixed(1)} | ${processorMicros.toFixed(1)} | ${(againMicros / warmMicros).toFixed(0)} x |`
    )
  ].join("\n")

const verdict = (what: string, target: string, measured: string, isMet: boolean): string =>
  `| ${what} | ${target} | ${measured} | ${isMet ? "met" : "not met"} |`

const ratioMin = (rows: ReadonlyArray<Row>): number =>
  Math.min(...rows.map(({ againMicros, warmMicros }) => againMicros / warmMicros))

const ratioVerdict = (what: string, target: number, rows: ReadonlyArray<Row>): string =>
  verdict(what, `at least ${target} x`, `${ratioMin(rows).toFixed(0)} x`, ratioMin(rows) >= target)

const report = (
  machine: ReadonlyArray<string>,
  each: ReadonlyArray<Row>,
  bulk: ReadonlyArray<Row>
): string => {
  const slowest = Math.max(...each.map(({ warmMicros }) => warmMicros))
  return `# Benchmark of lookups

Lookups of configured datastores by name, ${storesCount} of them in \`datastore.cfg\`, ${storesCount} lookups in a row;
microseconds a lookup with the scope of its handle. "Read again" is the same code with a time to live of zero: it reads
and parses the configuration at each lookup and each drop (${againLookups} lookups). "Cold" is the first round, in which
stores are opened and it is written down who is at work; "early" the best of the ten rounds after it, in which the engine still
compiles the code, "warm" the best of all ${rounds} rounds after it.

${machine.map((line) => `- ${line}`).join("\n")}

## Targets

| what | target | measured |  |
| --- | ---: | ---: | ---: |
${ratioVerdict("each handle dropped after its lookup", 200, each)}
${ratioVerdict("all handles dropped at the end", 100, bulk)}
${verdict("a lookup with its handle's scope", "at most 20 us", `${slowest.toFixed(1)} us`, slowest <= 20)}

## Each handle dropped after its lookup

${tableOf(each)}

## All handles dropped at the end

${tableOf(bulk)}
`
}

const measureAll = (folder: string, drop: Drop) =>
  Effect.forEach([1, 10, 100, storesCount], (distinct) => measure(folder, distinct, drop))

const work = mkdtempSync(path.join(process.env["GRANARY_BENCH_DIR"] ?? tmpdir(), "granary-bench-lookup-"))
try {
  const folder = prepare(work)
  const text = report(
    Machine.describe(work),
    await Effect.runPromise(measureAll(folder, "each")),
    await Effect.runPromise(measureAll(folder, "bulk"))
  )
  console.log(text)
  if (values.output !== undefined) writeFileSync(values.output, text)
} finally {
  rmSync(work, { recursive: true, force: true })
}
