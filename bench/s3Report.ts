/** S3.md: the figures of a run of `s3.ts`, and how they came about. */
import { middle, table } from "./reportText.ts"
import type { Collected } from "./s3Collection.ts"
import { type Cost, requestsInFlight } from "./s3Plain.ts"

export type Step =
  | "backup"
  | "plain puts"
  | "puts with a backup's work"
  | "restore"
  | "plain gets"
  | "gets with a restore's work"
  | "read ahead"
  | "one by one"
  | "plain gets, one by one"
  | "restore, warm cache"
  | "restore, local store"

export interface Row {
  readonly server: string
  readonly objects: string
  readonly dataBytes: number
  readonly storedBytes: number
  /** What takes part, in the order of the rounds. */
  readonly costs: ReadonlyMap<Step, ReadonlyArray<Cost>>
  /** A backup of a single chunk: what is there before and after any data. */
  readonly smallest: Cost
}

export interface Results {
  readonly machine: ReadonlyArray<string>
  readonly rows: ReadonlyArray<Row>
  readonly collected: Collected
}

const MIB = 1024 * 1024

const costOf = ({ costs }: Row, step: Step): Cost | undefined => {
  const all = costs.get(step)
  if (all === undefined) return undefined
  return {
    wallSeconds: middle(all.map(({ wallSeconds }) => wallSeconds)),
    processorSeconds: middle(all.map(({ processorSeconds }) => processorSeconds)),
    machineSeconds: middle(all.map(({ machineSeconds }) => machineSeconds))
  }
}

/** The middle of the rounds' own ratios: what a round's neighbours on the machine do meets both sides. */
const ratio = ({ costs }: Row, slow: Step, quick: Step): number | undefined => {
  const [left, right] = [costs.get(slow), costs.get(quick)]
  if (left === undefined || right === undefined) return undefined
  return middle(left.map(({ wallSeconds }, round) => wallSeconds / (right[round]?.wallSeconds ?? Number.NaN)))
}

const verdict = (isMet: boolean): string => (isMet ? "met" : "not met")

const atLeast = (
  what: string,
  goal: number,
  measured: number | undefined
): ReadonlyArray<ReadonlyArray<string>> =>
  measured === undefined
    ? []
    : [[what, `at least ${goal} x`, `${measured.toFixed(2)} x`, verdict(measured >= goal)]]

const atMost = (
  what: string,
  goal: number,
  measured: number | undefined
): ReadonlyArray<ReadonlyArray<string>> =>
  measured === undefined
    ? []
    : [[what, `at most ${goal} x`, `${measured.toFixed(2)} x`, verdict(measured <= goal)]]

/** No target, but what the ones before it are to be seen with. */
const beside = (what: string, measured: number | undefined): ReadonlyArray<ReadonlyArray<string>> =>
  measured === undefined ? [] : [[what, "", `${measured.toFixed(2)} x`, ""]]

const targetsOf = (row: Row): ReadonlyArray<ReadonlyArray<string>> => {
  const where = `${row.server}, ${row.objects}`
  return [
    ...atLeast(`backup, of plain puts (${where})`, 0.9, ratio(row, "plain puts", "backup")),
    ...atLeast(`restore, of plain gets (${where})`, 0.9, ratio(row, "plain gets", "restore")),
    ...beside(
      `backup, of puts with the same work (${where})`,
      ratio(row, "puts with a backup's work", "backup")
    ),
    ...beside(
      `restore, of gets with the same work (${where})`,
      ratio(row, "gets with a restore's work", "restore")
    ),
    ...(row.server === "direct"
      ? []
      : atLeast(
          `reading ahead, of one chunk after the other (${where})`,
          8,
          ratio(row, "one by one", "read ahead")
        )),
    ...atMost(
      `restore from a warm cache, of a local store (${row.objects})`,
      1.2,
      ratio(row, "restore, warm cache", "restore, local store")
    )
  ]
}

const collectionTargets = (found: Collected): ReadonlyArray<ReadonlyArray<string>> => {
  const { deletions, forOneChunk, lists, objectCount, removedCount } = found
  const lines: ReadonlyArray<readonly [string, number, number]> = [
    // A few more: of the snapshots, and of the marks with which hosts keep out of each other's way.
    ["listings by a collection", Math.ceil(objectCount / 1000), lists],
    ["deletions by a collection", Math.ceil(removedCount / 1000), deletions],
    ["requests for a single chunk by a collection", 0, forOneChunk]
  ]
  return lines.map(([what, goal, count]) => {
    const few = goal === 0 ? 0 : 8
    const told = few === 0 ? `at most ${goal}` : `at most ${goal}, and ${few} for its own affairs`
    return [what, told, String(count), verdict(count <= goal + few)]
  })
}

const secondsText = (cost: Cost | undefined): string =>
  cost === undefined
    ? ""
    : [cost.wallSeconds, cost.processorSeconds, cost.machineSeconds]
        .map((seconds) => seconds.toFixed(2))
        .join(" / ")

const roundsText = ({ costs }: Row): string => {
  const count = costs.get("backup")?.length ?? 0
  return count === 1 ? "1 round" : `${count} rounds`
}

const rowTable = (row: Row): string => {
  const steps = [...row.costs.keys()]
  const speed = (step: Step): string => {
    const cost = costOf(row, step)
    return cost === undefined ? "" : (row.dataBytes / MIB / cost.wallSeconds).toFixed(0)
  }
  return [
    `## ${row.server}, ${row.objects}`,
    `${(row.dataBytes / MIB).toFixed(0)} MiB of data, ${(row.storedBytes / MIB).toFixed(0)} MiB in objects, ${roundsText(row)}. A backup of one chunk takes ${secondsText(row.smallest)}.`,
    table(
      ["step", "wall s / CPU s / CPU s of the machine", "MiB of data a second"],
      steps.map((step) => [step, secondsText(costOf(row, step)), speed(step)])
    )
  ].join("\n\n")
}

const method = ({ collected }: Results): string =>
  [
    "## How it is measured",
    [
      "- Every round has new data; steps by turns within a round. Times are medians, ratios the medians of the rounds' own ratios. CPU is that of the client's process, threads included; server and proxy run on the same machine and take the rest of what all of it did meanwhile.",
      `- The server is Ceph's object gateway, with its storage daemon on disk; \`50 ms late\` is the same one behind a proxy that holds every request back for so long.`,
      `- \`plain puts\` and \`plain gets\` are the AWS SDK by itself on the same objects, ${requestsInFlight} at a time, as many as Granary has under way. What they get is thrown away; Granary decodes it, proves it and writes it to a file. Backups read, hash and compress, keep a copy in the cache folder, and end when the snapshot is finished: with the few requests, one after the other, that say who writes and that everything is there (see the time of a backup of one chunk).`,
      "- `puts with a backup's work` and `gets with a restore's work` are the SDK as before, with what nobody can do without, at the same time and by the same threads: the image is read, hashed and encoded, and each object kept in a folder; or each object is decoded, proven and written to its place in a file. No chunk is looked for, no snapshot is made or read. They are no targets: they show how much of the distance to the plain ones is that work.",
      "- `restore`, `read ahead` and `one by one` go straight to the bucket without a cache folder; the last two decode and prove every chunk and write nothing, and their clock begins when the index is there. `warm cache` restores from a folder that has all chunks, beside a store that is nothing but a folder.",
      `- The collection runs over HTTP against the tests' own server, which counts: ${collected.objectCount.toLocaleString("en-US")} chunks, half of them garbage. ${collected.all} requests in all, ${collected.seconds.toFixed(1)} s, ${collected.processorSeconds.toFixed(1)} s CPU (server included).`
    ].join("\n"),
    "## What bounds it",
    [
      "- Client, server and proxy share the machine's cores. The SDK moves the objects' bytes and no more; Granary hashes and encodes, or decodes and proves, all of the data behind them. With objects of 64 KiB that is sixty-four times as much data as the SDK handles: these rows show the share of latency and not the one of bandwidth.",
      "- What the machine did in a step, divided by its cores, is the least time that the step can take. Where `plain gets` fill the machine as well, nothing that does more than they do is as fast; and reading ahead cannot gain more on reading one by one than `plain gets` gain on `plain gets, one by one`.",
      "- A backup writes the cache folder on the disk that the server writes to.",
      "- A restore to a file also opens the snapshot: a few requests, one after the other. On a small amount of data they and those of a backup's beginning and end weigh more than the data.",
      "- On a virtual clock, where only the 50 ms count, the same reading ahead is at least eight times as fast as one chunk after the other (`test/restore/Prefetch.test.ts`)."
    ].join("\n"),
    "## Run it",
    "```sh\nnpm run bench:s3                                  # needs radosgw, ceph-mon, ceph-osd\nnpm run bench:s3 -- --mebibytes 64 --rounds 1 --objects 5000     # to see that it works\nnpm run bench:s3 -- --results FILE --only direct                 # one part: direct, late or collection\n```"
  ].join("\n\n")

export const render = (results: Results): string =>
  [
    "# Benchmark on S3",
    "Granary's library on a datastore in a bucket, beside the plain SDK on the same objects.",
    results.machine.map((fact) => `- ${fact}`).join("\n"),
    "## Targets",
    table(
      ["what", "target", "measured", ""],
      [...results.rows.flatMap(targetsOf), ...collectionTargets(results.collected)]
    ),
    ...results.rows.map(rowTable),
    method(results),
    ""
  ].join("\n\n")
