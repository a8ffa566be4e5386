/**
 * Measures Granary on S3 against the plain SDK in one run, directly and behind 50 ms, and counts the requests of a
 * garbage collection. Prints the report; `--output FILE` writes it.
 *
 * Run: node --conditions=development bench/s3.ts [--mebibytes 256] [--rounds 3] [--objects 100000] [--output FILE]
 *
 * Part by part, where a machine is not quiet for long: `--results FILE` keeps what was measured, and `--only direct`,
 * `--only late` and `--only collection` measure that part anew and take the others from there.
 */
import * as Effect from "effect/Effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import type { Place } from "../test/objectstore/s3/buckets.ts"
import * as Rgw from "../test/s3/Rgw.ts"
import { sendSigned } from "../test/s3/sendSigned.ts"
import { lateServer } from "./lateServer.ts"
import * as Machine from "./Machine.ts"
import { collect, type Collected } from "./s3Collection.ts"
import { type Cost, getAll, putAll, timed } from "./s3Plain.ts"
import { render, type Row, type Step } from "./s3Report.ts"
import * as Store from "./s3Store.ts"

const { values } = parseArgs({
  options: {
    mebibytes: { type: "string", default: "256" },
    rounds: { type: "string", default: "3" },
    objects: { type: "string", default: "100000" },
    only: { type: "string" },
    results: { type: "string" },
    output: { type: "string" }
  }
})
const isWanted = (part: "direct" | "late" | "collection"): boolean => (values.only ?? part) === part
const MIB = 1024 * 1024
const chunkCount = Math.ceil(Number(values.mebibytes) / 4)
const rounds = Number(values.rounds)
const latencyMillis = 50
const late = `${latencyMillis} ms late`

interface Kind {
  readonly title: string
  readonly noiseBytes: number
  readonly chunkCount: number
}

/** What bandwidth and processors bound, and what latency bounds. */
const kinds: ReadonlyArray<Kind> = [
  { title: "objects of 4 MiB", noiseBytes: 4 * MIB, chunkCount },
  { title: "objects of 64 KiB", noiseBytes: 64 * 1024, chunkCount: 2 * chunkCount }
]

const note = (text: string): void => console.error(text)

interface Scene {
  readonly server: string
  readonly place: Place
  readonly folder: string
  readonly localFolder: string | undefined
  readonly work: string
}

const remember = (costs: Map<Step, Array<Cost>>, step: Step, cost: Cost): void => {
  costs.set(step, [...(costs.get(step) ?? []), cost])
  note(`  ${step}: ${cost.wallSeconds.toFixed(2)} s, ${cost.processorSeconds.toFixed(2)} s CPU`)
}

/** One image through everything; answers the bytes of its objects. */
const oneRound = (
  scene: Scene,
  { chunkCount, noiseBytes, title }: Kind,
  round: number,
  costs: Map<Step, Array<Cost>>
) =>
  Effect.gen(function* () {
    const { folder, localFolder, place, server, work } = scene
    const image = path.join(work, `${server}-${noiseBytes}-${round}`.replaceAll(" ", "-"))
    const target = path.join(work, "restored")
    Store.writeImage(image, `${server} ${title} ${round}`, chunkCount, noiseBytes)
    const { cost, snapshot } = yield* Store.backUp(folder, place, image)
    remember(costs, "backup", cost)
    const objects = yield* Store.objectsOf(folder, place, snapshot, `plain-${noiseBytes}-${round}`)
    remember(costs, "plain puts", yield* timed(putAll(place, objects)))
    const same = `same-${noiseBytes}-${round}`
    const worked = yield* Store.readAndPut(place, image, path.join(work, same), same)
    remember(costs, "puts with a backup's work", worked)
    remember(costs, "restore", yield* Store.restoreStraight(place, snapshot, target))
    const keys = objects.map(({ key }) => key)
    remember(costs, "plain gets", yield* timed(getAll(place, keys)))
    const written = yield* Store.getAndWrite(place, folder, snapshot, same, target)
    remember(costs, "gets with a restore's work", written)
    if (server !== "direct") {
      remember(costs, "read ahead", yield* Store.readAhead(place, snapshot))
      remember(costs, "one by one", yield* Store.readOneByOne(place, snapshot))
      remember(costs, "plain gets, one by one", yield* timed(getAll(place, keys, 1)))
    }
    if (localFolder !== undefined) {
      const local = yield* Store.backUp(localFolder, undefined, image)
      const warm = yield* Store.restore(folder, place, snapshot, target)
      remember(costs, "restore, warm cache", warm)
      const near = yield* Store.restore(localFolder, undefined, local.snapshot, target)
      remember(costs, "restore, local store", near)
    }
    rmSync(image)
    const bodies = yield* Effect.promise(() => Promise.all(objects.map(({ read }) => read())))
    return bodies.reduce((sum, { length }) => sum + length, 0)
  })

const measure = (scene: Scene, kind: Kind) =>
  Effect.gen(function* () {
    note(`${scene.server}, ${kind.title}`)
    const costs = new Map<Step, Array<Cost>>()
    const small = path.join(scene.work, `small-${kind.noiseBytes}`)
    Store.writeImage(small, `small ${scene.server} ${kind.title}`, 1, kind.noiseBytes)
    const { cost: smallest } = yield* Store.backUp(scene.folder, scene.place, small)
    const dataBytes = kind.chunkCount * statSync(small).size
    let storedBytes = 0
    for (let round = 0; round < rounds; round++) storedBytes = yield* oneRound(scene, kind, round, costs)
    return {
      server: scene.server,
      objects: kind.title,
      dataBytes,
      storedBytes,
      costs,
      smallest
    } satisfies Row
  })

/** What was measured before, and of each part the newest. */
interface Results {
  readonly rows: ReadonlyArray<Row>
  readonly collected: Collected | undefined
}

const readResults = (): Results => {
  if (values.results === undefined || !existsSync(values.results)) return { rows: [], collected: undefined }
  const kept = JSON.parse(readFileSync(values.results, "utf8")) as Results
  return {
    ...kept,
    rows: kept.rows.map((row) => ({ ...row, costs: new Map(Object.entries(row.costs)) as Row["costs"] }))
  }
}

const keepResults = (results: Results): void => {
  if (values.results === undefined) return
  const rows = results.rows.map((row) => ({ ...row, costs: Object.fromEntries(row.costs) }))
  writeFileSync(values.results, JSON.stringify({ ...results, rows }))
}

const isSame = (left: Row, right: Row): boolean =>
  left.server === right.server && left.objects === right.objects

let results = readResults()

/** Kept at once: what comes afterwards may fail. */
const take = (row: Row): void => {
  results = { ...results, rows: [...results.rows.filter((other) => !isSame(row, other)), row] }
  keepResults(results)
}

const measureServers = (work: string) =>
  Effect.gen(function* () {
    const gateway = yield* Rgw.startWith({ store: "bluestore" })
    const servers = [...(isWanted("direct") ? ["direct"] : []), ...(isWanted("late") ? [late] : [])]
    for (const server of servers) {
      const bucket = server.replaceAll(" ", "-")
      const made = yield* Effect.promise(() => sendSigned(gateway, { method: "PUT", target: `/${bucket}` }))
      if (made.status !== 200) throw new Error(`no bucket: ${made.text}`)
      const url = server === "direct" ? gateway.url : yield* lateServer(gateway.url, latencyMillis)
      const place: Place = { ...gateway, url, bucket }
      const folder = path.join(work, `cache-${bucket}`)
      yield* Store.create(folder, place)
      const localFolder = server === "direct" ? path.join(work, "local") : undefined
      if (localFolder !== undefined) yield* Store.create(localFolder, undefined)
      for (const kind of kinds) take(yield* measure({ server, place, folder, localFolder, work }, kind))
    }
  }).pipe(Effect.scoped)

const work = mkdtempSync(path.join(process.env["GRANARY_BENCH_DIR"] ?? tmpdir(), "granary-bench-s3-"))
// Room for all that is stored twice, at both servers.
process.env["RGW_SIZE_BYTES"] ??= String((2 + Math.ceil((chunkCount * 4 * rounds * 6) / 1024)) * 1024 * MIB)

try {
  if (!Rgw.available)
    note("Ceph's gateway is not installed (radosgw, ceph-mon, ceph-osd): only the collection is measured")
  if (Rgw.available && (isWanted("direct") || isWanted("late"))) await Effect.runPromise(measureServers(work))
  if (isWanted("collection")) {
    note("collection")
    const collected = await Effect.runPromise(collect(path.join(work, "collection"), Number(values.objects)))
    results = { ...results, collected }
    keepResults(results)
  }
  const { collected, rows } = results
  if (collected !== undefined) {
    const report = render({ machine: Machine.describe(work), rows, collected })
    console.log(report)
    if (values.output !== undefined) writeFileSync(values.output, report)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
