/** REMOTE.md: the figures of a run of `remote.ts`, and how they came about. */
import { type Line, middle, number, table } from "./reportText.ts"
import type { LateFigures, RateFigures } from "./remoteLate.ts"
import { lineMegabits, roundTripMillis } from "./remoteLate.ts"
import type { Cost, LoopbackFigures, LoopbackStep } from "./remoteLoopback.ts"

export interface Results {
  readonly machine: ReadonlyArray<string>
  readonly load: string
  readonly loopback: LoopbackFigures | undefined
  readonly late: LateFigures | undefined
}

const MIB = 1024 * 1024

const atLeast = (what: string, goal: number, measured: number): Line => [
  what,
  `at least ${goal} x`,
  `${measured.toFixed(2)} x`,
  measured >= goal ? "met" : "not met"
]

/** The middle of the rounds' own ratios: what a round's neighbours on the machine do meets both sides. */
const loopbackRatio = ({ local, served }: LoopbackFigures, step: LoopbackStep): number =>
  middle(
    local[step].map(
      ({ wallSeconds }, round) => wallSeconds / (served[step][round]?.wallSeconds ?? Number.NaN)
    )
  )

const megabitsOf = (dataBytes: number, seconds: number): number => (dataBytes * 8) / 1e6 / seconds

const rateTarget = ({ chunkKibibytes, dataBytes, seconds }: RateFigures): Line =>
  atLeast(
    `one group in chunks of ${chunkKibibytes} KiB, pipelined, of the line's ${lineMegabits} Mbit/s`,
    0.7,
    megabitsOf(dataBytes, seconds) / lineMegabits
  )

const lateTargets = ({ rates, seconds }: LateFigures): ReadonlyArray<Line> => [
  atLeast(
    "four groups at once, of one after the other, without pipelining",
    3.5,
    seconds["one group after the other"] / seconds["four groups at once"]
  ),
  ...rates.map(rateTarget)
]

const loopbackTargets = (figures: LoopbackFigures): ReadonlyArray<Line> => [
  atLeast("backup through the server, of a local one's rate", 0.5, loopbackRatio(figures, "backup")),
  atLeast("restore through the server, of a local one's rate", 0.5, loopbackRatio(figures, "restore"))
]

const each = (costs: ReadonlyArray<Cost>, value: (cost: Cost) => number): string =>
  costs.map((cost) => value(cost).toFixed(2)).join(", ")

const costRow = (what: string, costs: ReadonlyArray<Cost>, mebibytes: number): Line => [
  what,
  each(costs, ({ wallSeconds }) => wallSeconds),
  number(mebibytes / middle(costs.map(({ wallSeconds }) => wallSeconds))),
  each(costs, ({ processorSeconds }) => processorSeconds),
  each(costs, ({ serverSeconds }) => serverSeconds),
  number(Math.max(...costs.map(({ memoryPeakBytes }) => memoryPeakBytes)) / MIB)
]

const loopbackSection = (figures: LoopbackFigures): string => {
  const { imageMebibytes, local, served, serverPeakBytes } = figures
  return [
    "## On one machine",
    `An image of ${number(imageMebibytes)} MiB that nobody has seen before and that does not compress, in each round another one: backed up by the command line into a folder and through \`granary serve\` into another, then restored from both and compared with what it was. Which comes first changes with the rounds. Both end with everything flushed to the disk. Client and server share the processors, and every byte is encrypted and decrypted for the way (TLS). The server's largest memory was ${number(serverPeakBytes / MIB)} MiB.`,
    table(
      [
        "",
        "wall s of each round",
        "MiB/s",
        "CPU s of the client",
        "CPU s of the server",
        "MiB of the client"
      ],
      [
        costRow("backup, local", local.backup, imageMebibytes),
        costRow("backup, served", served.backup, imageMebibytes),
        costRow("restore, local", local.restore, imageMebibytes),
        costRow("restore, served", served.restore, imageMebibytes)
      ]
    )
  ].join("\n\n")
}

const latencyPart = ({ chunks, groups, seconds, snapshotsPerGroup }: LateFigures): string =>
  [
    `Without a rate: ${groups} groups with ${snapshotsPerGroup} snapshots each and ${number(chunks)} different chunks of 64 KiB in all; each snapshot has all chunks of the one before and as many new ones.`,
    table(
      ["pull", "s"],
      [
        ["without pipelining, one group after the other", seconds["one group after the other"].toFixed(2)],
        ["without pipelining, four groups at once", seconds["four groups at once"].toFixed(2)],
        ["pipelined, one group after the other", seconds.pipelined.toFixed(2)]
      ]
    )
  ].join("\n\n")

const rateRow = (what: string, dataBytes: number, seconds: number, beforeSeconds?: number): Line => [
  what,
  number(dataBytes / MIB),
  beforeSeconds?.toFixed(2) ?? "",
  seconds.toFixed(2),
  number(megabitsOf(dataBytes, seconds))
]

const ratePart = ({ plain, rates }: LateFigures): string =>
  [
    `With ${lineMegabits} Mbit/s: one group of one snapshot, pipelined. The time is that of the whole pull: connecting, listing, opening the snapshot and flushing the target are in it. The plain socket is connected before and sends zeros.`,
    table(
      ["", "MiB", "s before the first chunk is asked for", "s in all", "Mbit/s over all"],
      [
        ...rates.map(({ beforeSeconds, chunkKibibytes, dataBytes, seconds }) =>
          rateRow(`chunks of ${chunkKibibytes} KiB`, dataBytes, seconds, beforeSeconds)
        ),
        rateRow("a plain socket", plain.dataBytes, plain.seconds)
      ]
    )
  ].join("\n\n")

const lateSection = (figures: LateFigures): string =>
  [
    `## A server ${roundTripMillis} ms away`,
    `Server and line are processes of their own. What one end sends reaches the other half a round trip later, and a connection takes a round trip to come about; a byte went there and back in ${(figures.plain.roundTripSeconds * 1000).toFixed(0)} ms. The line has one rate for all connections in a direction; it loses nothing, and no connection has to start slowly, as TCP does.`,
    latencyPart(figures),
    ratePart(figures)
  ].join("\n\n")

export const render = (results: Results): string =>
  `${[
    "# Benchmark of servers",
    `\`granary serve\` and its client. ${results.load}`,
    results.machine.map((fact) => `- ${fact}`).join("\n"),
    "## Targets",
    table(
      ["what", "target", "measured", ""],
      [
        ...(results.loopback === undefined ? [] : loopbackTargets(results.loopback)),
        ...(results.late === undefined ? [] : lateTargets(results.late))
      ]
    ),
    ...(results.loopback === undefined ? [] : [loopbackSection(results.loopback)]),
    ...(results.late === undefined ? [] : [lateSection(results.late)]),
    "Run it: `npm run bench:remote`, some ten minutes; `-- --only loopback|late` runs a part."
  ].join("\n\n")}\n`
