/** MOUNT.md: the figures of a run of `mount.ts`, the targets they are held against, and how they came about. */
import * as reportText from "./reportText.ts"
import type { Figure } from "./mountLocal.ts"

export interface Results {
  readonly scale: "small" | "full"
  readonly rounds: number
  readonly machine: ReadonlyArray<string>
  readonly missing: ReadonlyArray<string>
  readonly figures: ReadonlyArray<Figure>
}

const MIB = 1024 * 1024

const middle = (values: ReadonlyArray<number>): number | undefined =>
  values.length === 0 ? undefined : reportText.middle(values)

const valuesOf = ({ figures }: Results, step: string, program: string): ReadonlyArray<number> =>
  figures.filter((figure) => figure.step === step && figure.program === program).map(({ value }) => value)

interface Target {
  readonly title: string
  readonly goal: string
  readonly measured: string
  readonly isMet: boolean
}

/** The middle of the rounds' own ratios: what disturbs a round meets both. */
const ratioOf = (results: Results, step: string, program: string, other: string): number | undefined => {
  const [left, right] = [valuesOf(results, step, program), valuesOf(results, step, other)]
  if (left.length === 0 || right.length === 0) return undefined
  return middle(left.map((value, round) => value / (right[round] ?? Number.NaN)))
}

const ratioText = (ratio: number): string => `${ratio.toFixed(2)} x`

const atMost = (
  title: string,
  ratio: number | undefined,
  most: number,
  other: string
): ReadonlyArray<Target> =>
  ratio === undefined
    ? []
    : [{ title, goal: `at most ${most} x ${other}`, measured: ratioText(ratio), isMet: ratio <= most }]

const atLeast = (
  title: string,
  ratio: number | undefined,
  least: number,
  other: string
): ReadonlyArray<Target> =>
  ratio === undefined
    ? []
    : [{ title, goal: `at least ${least} x ${other}`, measured: ratioText(ratio), isMet: ratio >= least }]

/** One of the two is enough. */
const findTarget = (results: Results): ReadonlyArray<Target> => {
  const beside = { squashfuse: 1.3, restic: 0.3 }
  const ratios = Object.entries(beside).flatMap(([other, most]) => {
    const ratio = ratioOf(results, "find", "granary", other)
    return ratio === undefined ? [] : [{ other, most, ratio }]
  })
  if (ratios.length === 0) return []
  return [
    {
      title: "find",
      goal: ratios.map(({ most, other }) => `at most ${most} x ${other}`).join(", or "),
      measured: ratios.map(({ ratio }) => ratioText(ratio)).join(", "),
      isMet: ratios.some(({ most, ratio }) => ratio <= most)
    }
  ]
}

const inverse = (ratio: number | undefined): number | undefined =>
  ratio === undefined ? undefined : 1 / ratio

/** What a read in memory gains on one that restic does not find there. It says nothing of reads that both find. */
const randomRatio = (results: Results): number | undefined => {
  const own = middle(valuesOf(results, "random", "granary"))
  const others = middle(valuesOf(results, "random, anywhere", "restic"))
  return own === undefined || others === undefined ? undefined : own / others
}

const ratioTargets = (results: Results): ReadonlyArray<Target> => {
  const of = (step: string, other: string) => ratioOf(results, step, "granary", other)
  return [
    ...findTarget(results),
    ...atMost("tar of the tree", of("tar", "restic"), 0.5, "restic"),
    ...atLeast(
      "speed of a sequential cold read",
      inverse(of("sequential", "granary restore")),
      0.7,
      "granary restore"
    ),
    ...atLeast("speed of a sequential cold read", inverse(of("sequential", "restic")), 3, "restic"),
    ...atLeast("random reads of 4 KiB in the same 64 MiB", of("random", "restic"), 50, "restic"),
    ...atLeast("the same through an empty page cache", of("random, buffered", "restic"), 50, "restic"),
    ...atLeast(
      "random reads of 4 KiB inside cached chunks",
      randomRatio(results),
      50,
      "restic's anywhere in the file"
    ),
    ...atLeast(
      "speed of a sequential read at 50 ms, chunks of 1 MiB",
      inverse(of("sequential, 50 ms", "one by one")),
      8,
      "one chunk after the other"
    ),
    ...atLeast(
      "the same, chunks of 4 MiB",
      inverse(of("sequential, 50 ms, 4 MiB", "one by one")),
      8,
      "one chunk after the other"
    )
  ]
}

const limitTargets = (results: Results): ReadonlyArray<Target> => {
  const requests = middle(valuesOf(results, "requests of first ls -l", "granary"))
  const ready = middle(valuesOf(results, "ready", "granary"))
  const memoryMiB = Math.max(
    ...results.figures
      .filter(({ program }) => program.startsWith("granary"))
      .map(({ memoryPeakBytes = 0 }) => memoryPeakBytes / MIB)
  )
  return [
    ...(requests === undefined
      ? []
      : [
          {
            title: "requests of the first ls",
            goal: "at most 20",
            measured: String(requests),
            isMet: requests <= 20
          }
        ]),
    ...(ready === undefined
      ? []
      : [
          {
            title: "mount is ready",
            goal: "in less than 1 s",
            measured: `${ready.toFixed(2)} s`,
            isMet: ready < 1
          }
        ]),
    {
      title: "peak memory",
      goal: "at most 400 MiB",
      measured: `${memoryMiB.toFixed(0)} MiB`,
      isMet: memoryMiB <= 400
    }
  ]
}

const targets = (results: Results): string => {
  const rows = [...ratioTargets(results), ...limitTargets(results)].map(
    ({ goal, isMet, measured, title }) => [title, goal, measured, isMet ? "met" : "not met"]
  )
  return reportText.table(["what", "target", "measured", ""], rows)
}

const valueText = (step: string, value: number): string => {
  if (step.startsWith("requests")) return String(value)
  return step.startsWith("random") ? `${Math.round(value)} reads/s` : `${value.toFixed(2)} s`
}

const present = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? "" : text(value)

/** Every step with every program. */
const figuresTable = ({ figures }: Results): string => {
  const keys = [...new Set(figures.map(({ program, step }) => `${step}\n${program}`))].toSorted()
  const rows = keys.map((key) => {
    const [step = "", program = ""] = key.split("\n")
    const own = figures.filter((figure) => figure.step === step && figure.program === program)
    const peaks = own.flatMap(({ memoryPeakBytes }) => memoryPeakBytes ?? [])
    return [
      `${step}: ${program}`,
      present(middle(own.map(({ value }) => value)), (value) => valueText(step, value)),
      present(middle(own.flatMap(({ processorSeconds }) => processorSeconds ?? [])), (value) =>
        value.toFixed(2)
      ),
      peaks.length === 0 ? "" : (Math.max(...peaks) / MIB).toFixed(0)
    ]
  })
  return reportText.table(["what", "measured", "CPU s of the mount", "its peak memory, MiB"], rows)
}

const method = ({ rounds }: Results): string =>
  [
    `- Each step ran ${rounds} ${rounds === 1 ? "time" : "times"}, each time on a new mount, programs by turns. Times and CPU are the middle ones, ratios the middle of the rounds' ratios, memory is the largest: resident memory of the mount's process and its children.`,
    "- `find` prints all names, `tar` packs all files into a pipe. Their data was read lately, as far as the system's memory reaches. `sequential` is `dd` with 1 MiB a read after the page cache was emptied; `granary restore` writes the same file to the disk, and its time includes the start of the program. `random` are reads of 4 KiB past the page cache (O_DIRECT) by one reader, in 64 MiB that were read right before and that Granary keeps in memory; in 16 MiB, which restic keeps as well; and anywhere in the file, where nearly every read needs another chunk. `buffered` are the same 64 MiB, read past the page cache first, and then through it, each 4 KiB once; `again` are those reads a second time, which the page cache answers without asking either program.",
    "- The tree is stored as a split archive (`--change-detection data`); `version 1` is the same tree as one stream, where entries stand between contents, with a catalog. squashfuse shows an image made by `mksquashfs` with its defaults.",
    "- `50 ms`: a store in a bucket behind a proxy that holds every request back for so long, mounted without a cache folder. Server, proxy, mount and reader share the machine. `one by one` asks the library for one chunk after the other, and writes nothing. The image is one of 512 chunks of 1 MiB, as Proxmox Backup Server's client makes on demand, that take 16 KiB each in the bucket; `4 MiB` is one of 128 chunks of the usual size. Of those each costs the two processors several milliseconds of proving and copying, for which nothing far away is waited for: no reading ahead makes less of that. `first ls` looks into a new mount; the requests are those of the mount and of `ls`. Those of `ls -lR` grow with the time that it takes: names above an archive are asked for again when they are five seconds old.",
    "- `ready` is the whole time of the command `granary mount` in the background, for a store with a group of 10,000 snapshots; `list of snapshots` is the first `ls` of that group."
  ].join("\n")

const remark = ({ missing, scale }: Results): string =>
  [
    ...(scale === "small"
      ? ["At this small scale starting up weighs more than the work: the ratios say nothing."]
      : []),
    ...missing
  ].join("\n\n")

export const render = (results: Results): string =>
  [
    "# Benchmark of mounts",
    "Granary's mounts by its kernel driver beside other file systems of archives and backups, in one run on one machine.",
    results.machine.map((fact) => `- ${fact}`).join("\n"),
    "## Targets",
    remark(results),
    targets(results),
    "## Figures",
    figuresTable(results),
    "## How it is measured",
    method(results),
    "## Run it",
    "```sh\nnpm run bench:mount                                  # root, /dev/fuse; restic, squashfs-tools, squashfuse\nnpm run bench:mount -- --scale small                 # a minute, to see that it works\nnpm run bench:mount -- --folder F --only find        # data and figures stay in F; the next part goes on with them\n```"
  ]
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n")
