/**
 * Measures sync: how well it hides the latency of a source that is far away, how it compares with `cp` where there is
 * none, how fast it sees that nothing is to be done, and what it remembers of a chunk. Prints the report; `--output
 * FILE` writes it.
 *
 * Run: node --conditions=development --expose-gc bench/sync.ts [--only late|local|again|memory] [--chunks 2000]
 *   [--rounds 3] [--output FILE]
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, loadavg, tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import type { DatastoreRequirements } from "../src/datastore/Datastore.ts"
import * as GroupFilter from "../src/sync/GroupFilter.ts"
import type { SyncOptions } from "../src/sync/SyncOptions.ts"
import { SeenDigests } from "../src/sync/SeenDigests.ts"
import * as Digest from "../src/model/Digest.ts"
import * as Machine from "./Machine.ts"
import {
  type AgainFigures,
  type Cost,
  type LateFigures,
  type LateKind,
  type LocalFigures,
  type MemoryFigures,
  render
} from "./syncReport.ts"
import * as Stores from "./syncStores.ts"

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    chunks: { type: "string", default: "2000" },
    rounds: { type: "string", default: "3" },
    output: { type: "string" }
  }
})
const MIB = 1024 * 1024
const groupCount = 8
const snapshotsPerGroup = 4
const latencyMillis = 150
const rounds = Number(values.rounds)

const note = (text: string): void => console.error(text)
const isWanted = (part: string): boolean => values.only === undefined || values.only === part

const run = <A>(work: Effect.Effect<A, unknown, Scope.Scope | DatastoreRequirements>): Promise<A> =>
  Effect.runPromise(work.pipe(Effect.scoped, Effect.provide(Stores.machine)))

const flush = (): void => {
  execFileSync("sync")
}

const groupsOfNoise = (chunks: number, chunkBytes: number): IterableIterator<Stores.GroupContent> =>
  Stores.groupsOfNoise({ groups: groupCount, snapshotsPerGroup, chunks, chunkBytes })

const one = { groupFilters: [GroupFilter.parse(`group:vm/${Stores.idOfGroup(0)}`)] }

const lateKinds: ReadonlyArray<readonly [LateKind, Partial<SyncOptions>]> = [
  ["one group, pipelined", one],
  ["one group, one chunk at a time", { ...one, pipelining: "off" }],
  ["all groups, pipelined", {}],
  ["all groups, four at once, each one chunk at a time", { pipelining: "off", parallelGroups: 4 }],
  ["all groups, one chunk at a time", { pipelining: "off" }]
]

const measureLate = async (work: string): Promise<LateFigures> => {
  const from = await Stores.makeBare(path.join(work, "late"))
  const chunks = Number(values.chunks)
  await run(Stores.fill(from, groupsOfNoise(chunks, 64 * 1024)))
  const seconds = {} as Record<LateKind, number>
  for (const [kind, options] of lateKinds) {
    const to = await Stores.makeBare(path.join(work, "late-to"))
    flush()
    const { durationSeconds } = await run(Stores.pull({ from, to, latencyMillis }, options))
    seconds[kind] = durationSeconds
    note(`${kind}: ${durationSeconds.toFixed(2)} s`)
    rmSync(to, { recursive: true })
  }
  return { latencyMillis, groups: groupCount, snapshotsPerGroup, chunks, seconds }
}

const busySeconds = (): number =>
  cpus().reduce((sum, { times: { irq, nice, sys, user } }) => sum + irq + nice + sys + user, 0) / 1000

/** The processors' work is the machine's: that of `cp` and of the system's own threads counts as well. */
const timed = async (work: () => Promise<unknown>): Promise<Cost> => {
  const busyBefore = busySeconds()
  const startMillis = performance.now()
  await work()
  const wallSeconds = (performance.now() - startMillis) / 1000
  return { wallSeconds, processorSeconds: busySeconds() - busyBefore }
}

const measureLocal = async (work: string): Promise<LocalFigures> => {
  const [chunks, chunkMebibytes] = [256, 4]
  const from = await Stores.makeBare(path.join(work, "local"))
  await run(Stores.fill(from, groupsOfNoise(chunks, chunkMebibytes * MIB)))
  const copyOnce = async (to: string): Promise<Cost> => {
    flush()
    const cost = await timed(async () => {
      execFileSync("cp", ["-r", from, to])
      flush()
    })
    rmSync(to, { recursive: true })
    return cost
  }
  const syncOnce = async (to: string): Promise<Cost> => {
    await Stores.makeBare(to)
    flush()
    const cost = await run(
      Effect.gen(function* () {
        const context = yield* Effect.context<Scope.Scope | DatastoreRequirements>()
        return yield* Effect.promise(() =>
          timed(async () => {
            await Effect.runPromise(Effect.provideContext(Stores.pull({ from, to }), context))
            flush()
          })
        )
      })
    )
    rmSync(to, { recursive: true })
    return cost
  }
  // Whatever is read or made for the first time is not what is compared.
  await copyOnce(path.join(work, "first"))
  const figures = { sync: [] as Array<Cost>, copy: [] as Array<Cost> }
  for (let round = 0; round < rounds; round++) {
    figures.copy.push(await copyOnce(path.join(work, "copied")))
    figures.sync.push(await syncOnce(path.join(work, "synced")))
    note(`cp ${figures.copy.at(-1)?.wallSeconds.toFixed(2)} s`)
    note(`sync ${figures.sync.at(-1)?.wallSeconds.toFixed(2)} s`)
  }
  return { chunks, chunkMebibytes, ...figures }
}

const measureAgain = async (work: string, groups: number, each: number): Promise<AgainFigures> => {
  const from = await Stores.makeBare(path.join(work, `again-${groups}`))
  const contents = Array.from({ length: groups }, (_, number) => ({
    id: String(100 + number),
    chunks: [Buffer.from(`chunk ${number}`)],
    countBySnapshot: Array.from({ length: each }, () => 1)
  }))
  await run(Stores.fill(from, contents))
  const to = await Stores.copyStore(from, path.join(work, "again-to"))
  const seconds: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const { counts, durationSeconds } = await run(Stores.pull({ from, to }))
    if (counts.copiedSnapshots > 0) throw new Error("something was copied")
    seconds.push(durationSeconds)
    note(`again, ${groups} groups: ${durationSeconds.toFixed(2)} s`)
  }
  rmSync(from, { recursive: true })
  rmSync(to, { recursive: true })
  return { shape: `${groups} groups of ${each}`, snapshots: groups * each, seconds }
}

const collectGarbage = (globalThis as { gc?: () => void }).gc

const memoryBytes = (): number => {
  for (let time = 0; time < 3; time++) collectGarbage?.()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

const measureMemory = (): MemoryFigures => {
  if (collectGarbage === undefined) throw new Error("memory is measured with --expose-gc")
  const [from, to] = [20_000, 1_500_000]
  new SeenDigests(1).add(Digest.toBytes(Stores.digestNumbered(0)))
  const before = memoryBytes()
  const seen = new SeenDigests(1)
  let [worstBytes, worstAt, lastBytes] = [0, 0, 0]
  for (let count = 0, next = from; next <= to; next = Math.ceil(next * 1.04)) {
    for (; count < next; count++) seen.add(Digest.toBytes(Stores.digestNumbered(count)))
    lastBytes = (memoryBytes() - before) / seen.size
    if (lastBytes > worstBytes) [worstBytes, worstAt] = [lastBytes, count]
  }
  note(`${worstBytes.toFixed(1)} bytes a digest at most`)
  return { from, to, worstBytes, worstAt, lastBytes }
}

const work = mkdtempSync(path.join(process.env["GRANARY_BENCH_DIR"] ?? tmpdir(), "granary-bench-sync-"))
try {
  const loadBefore = loadavg()[0] ?? 0
  const memory = isWanted("memory") ? measureMemory() : undefined
  const local = isWanted("local") ? await measureLocal(work) : undefined
  const again = isWanted("again")
    ? [await measureAgain(work, 100, 100), await measureAgain(work, 1000, 10)]
    : []
  const late = isWanted("late") ? await measureLate(work) : undefined
  const load = `Other programs had ${loadBefore.toFixed(1)} tasks running or waiting when it began.`
  const report = render({ machine: Machine.describe(work), load, late, local, again, memory })
  console.log(report)
  if (values.output !== undefined) writeFileSync(values.output, report)
} finally {
  rmSync(work, { recursive: true, force: true })
}
