/** SYNC.md: the figures of a run of `sync.ts`, and how they came about. */
import { type Line, middle, number, table } from "./reportText.ts"

/** Wall time, and what the processors did meanwhile, all programs that took part together. */
export interface Cost {
  readonly wallSeconds: number
  readonly processorSeconds: number
}

export interface LateFigures {
  readonly latencyMillis: number
  readonly groups: number
  readonly snapshotsPerGroup: number
  readonly chunks: number
  /** Seconds of each kind of sync. */
  readonly seconds: Readonly<Record<LateKind, number>>
}

export type LateKind =
  | "all groups, one chunk at a time"
  | "all groups, four at once, each one chunk at a time"
  | "one group, one chunk at a time"
  | "one group, pipelined"
  | "all groups, pipelined"

export interface LocalFigures {
  readonly chunks: number
  readonly chunkMebibytes: number
  readonly sync: ReadonlyArray<Cost>
  readonly copy: ReadonlyArray<Cost>
}

export interface AgainFigures {
  readonly shape: string
  readonly snapshots: number
  readonly seconds: ReadonlyArray<number>
}

export interface MemoryFigures {
  readonly from: number
  readonly to: number
  readonly worstBytes: number
  readonly worstAt: number
  readonly lastBytes: number
}

export interface Results {
  readonly machine: ReadonlyArray<string>
  readonly load: string
  readonly late: LateFigures | undefined
  readonly local: LocalFigures | undefined
  readonly again: ReadonlyArray<AgainFigures>
  readonly memory: MemoryFigures | undefined
}

const row = (what: string, target: string, measured: string, isMet: boolean): Line => [
  what,
  target,
  measured,
  isMet ? "met" : "not met"
]

const atLeast = (what: string, goal: number, measured: number): Line =>
  row(what, `at least ${goal} x`, `${measured.toFixed(2)} x`, measured >= goal)

const lateTargets = ({ seconds }: LateFigures): ReadonlyArray<Line> => [
  atLeast(
    "four groups at once, of one after the other, without pipelining",
    3.5,
    seconds["all groups, one chunk at a time"] / seconds["all groups, four at once, each one chunk at a time"]
  ),
  atLeast(
    "one group, pipelined, of one chunk at a time",
    10,
    seconds["one group, one chunk at a time"] / seconds["one group, pipelined"]
  )
]

/** Of the rounds' own ratios, for a round's neighbours on the machine meet both. */
const localRatio = ({ copy, sync }: LocalFigures, of: keyof Cost): number =>
  middle(sync.map((cost, round) => (copy[round]?.[of] ?? Number.NaN) / cost[of]))

const rate = ({ seconds, snapshots }: AgainFigures): number => snapshots / middle(seconds)

const targets = ({ again, late, local, memory }: Results): ReadonlyArray<Line> => [
  ...(late === undefined ? [] : lateTargets(late)),
  ...(local === undefined
    ? []
    : [atLeast("local to local, of `cp -r`", 0.7, localRatio(local, "wallSeconds"))]),
  ...again.map((figures) =>
    row(
      `snapshots that are there recognised, ${figures.shape}`,
      "at least 2,000 /s",
      `${number(rate(figures))} /s`,
      rate(figures) >= 2000
    )
  ),
  ...(memory === undefined
    ? []
    : [
        row(
          "memory for a digest",
          "at most 100 bytes",
          `${memory.worstBytes.toFixed(1)} bytes`,
          memory.worstBytes <= 100
        )
      ])
]

const lateSection = ({ chunks, groups, latencyMillis, seconds, snapshotsPerGroup }: LateFigures): string =>
  [
    `## A source ${latencyMillis} ms away`,
    `${groups} groups with ${snapshotsPerGroup} snapshots each and ${number(chunks)} different chunks in all; each snapshot has all chunks of the one before and as many new ones. Every call of the source's port waits ${latencyMillis} ms before it is carried out: listings, opening a snapshot, manifest, index, the client's log, each chunk.`,
    table(
      ["sync", "s"],
      Object.entries(seconds).map(([kind, value]) => [kind, value.toFixed(2)])
    )
  ].join("\n\n")

const costs = (all: ReadonlyArray<Cost>): string =>
  all
    .map(({ processorSeconds, wallSeconds }) => `${wallSeconds.toFixed(2)} / ${processorSeconds.toFixed(2)}`)
    .join(", ")

const localSection = (figures: LocalFigures): string =>
  [
    "## Local to local",
    `${number(figures.chunks)} incompressible chunks of ${figures.chunkMebibytes} MiB, in the page cache. Both copy into an empty folder and end with \`sync\`; by turns, after a \`sync\` that is not counted. A sync lists, reads, proves every chunk by checksum and SHA-256, writes it past the page cache, and looks once more whether all are there.`,
    table(
      ["wall s / CPU s", "rounds"],
      [
        ["granary sync", costs(figures.sync)],
        ["cp -r", costs(figures.copy)]
      ]
    ),
    `In processor seconds a sync takes ${(1 / localRatio(figures, "processorSeconds")).toFixed(1)} times what \`cp\` takes.`
  ].join("\n\n")

const againSection = (all: ReadonlyArray<AgainFigures>): string =>
  [
    "## Nothing to do",
    "A pull between two local stores that have the same; it lists both, and looks at the newest snapshot of each group again.",
    table(
      ["groups", "seconds", "snapshots a second"],
      all.map((figures) => [
        figures.shape,
        figures.seconds.map((value) => value.toFixed(2)).join(", "),
        number(rate(figures))
      ])
    )
  ].join("\n\n")

const memorySection = ({ from, lastBytes, to, worstAt, worstBytes }: MemoryFigures): string =>
  [
    "## Memory",
    `What a sync's set of seen digests takes, heap and buffers, looked at after every 4 % more from ${number(from)} to ${number(to)} digests: ${worstBytes.toFixed(1)} bytes for each at most (at ${number(worstAt)}), ${lastBytes.toFixed(1)} in the end.`
  ].join("\n\n")

export const render = (results: Results): string =>
  `${[
    "# Benchmark of sync",
    `Granary's library between datastores in folders. ${results.load}`,
    results.machine.map((fact) => `- ${fact}`).join("\n"),
    "## Targets",
    table(["what", "target", "measured", ""], targets(results)),
    ...(results.late === undefined ? [] : [lateSection(results.late)]),
    ...(results.local === undefined ? [] : [localSection(results.local)]),
    ...(results.again.length === 0 ? [] : [againSection(results.again)]),
    ...(results.memory === undefined ? [] : [memorySection(results.memory)]),
    "Run it: `npm run bench:sync`, some ten minutes; `-- --only late|local|again|memory` runs a part."
  ].join("\n\n")}\n`
