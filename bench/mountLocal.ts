/**
 * What programs do on mounts of local stores, each time on a mount that is new: walk through the tree, pack it with
 * `tar`, read the large file from one end to the other, read here and there. Programs take turns.
 */
import { rmSync, statSync } from "node:fs"
import * as path from "node:path"
import { forgetFiles } from "./Measurement.ts"
import { backupIds, largeName, type Mounted, type Peer, type Places } from "./mountPeers.ts"
import { type Argv, run } from "./mountProcesses.ts"

export type LocalStep =
  | "find"
  | "tar"
  | "sequential"
  | "random"
  | "random, 16 MiB"
  | "random, anywhere"
  | "random, buffered"
  | "random, again"

export interface Figure {
  readonly step: string
  readonly program: string
  /** Seconds, or reads a second. */
  readonly value: number
  /** Of the mount's process; not of whoever reads. */
  readonly processorSeconds?: number
  /** Of the mount's process, from its beginning on. */
  readonly memoryPeakBytes?: number
}

export interface Expected {
  readonly entries: number
  readonly largeBytes: number
}

const randomSeconds = 2
const MIB = 1024 * 1024
/** What fits into the memory of a mount of Granary, and what fits into that of restic as well. */
const rangeBytes = { wide: 64 * MIB, narrow: 16 * MIB }

/** Runs a script of the shell whose first word is the path; what it prints is a number. */
const shell = async (script: string, target: string) => {
  const { output, wallSeconds } = await run(["sh", "-ec", script, target])
  return { wallSeconds, printed: Number(output) }
}

const proveEqual = (what: string, found: number, expected: number): void => {
  if (found !== expected) throw new Error(`${what}: ${found} instead of ${expected}`)
}

type Manner = "cold" | "warm" | "buffered" | "again"

/** How is told in `mountRandomReads`; without `wantedBytes` anywhere in the file. */
const readRandomly = async (
  { largeFile }: Mounted,
  { largeBytes }: Expected,
  manner: Manner,
  wantedBytes?: number
) => {
  if (largeFile === undefined) return undefined
  const script = path.join(import.meta.dirname, "mountRandomReads.ts")
  const range = Math.min(wantedBytes ?? largeBytes, largeBytes)
  const argv: Argv = [process.execPath, script, largeFile, String(range), String(randomSeconds), manner]
  return Number((await run(argv)).output)
}

const actions: Record<LocalStep, (mounted: Mounted, expected: Expected) => Promise<number | undefined>> = {
  find: async ({ tree }, { entries }) => {
    const { printed, wallSeconds } = await shell('find "$0" | wc -l', tree)
    proveEqual(`entries in ${tree}`, printed, entries)
    return wallSeconds
  },
  tar: async ({ tree }) => (await shell('tar -C "$0" -cf - . | wc -c', tree)).wallSeconds,
  sequential: async ({ largeFile }, { largeBytes }) => {
    if (largeFile === undefined) return undefined
    proveEqual(`bytes of ${largeFile}`, statSync(largeFile).size, largeBytes)
    return (await run(["dd", `if=${largeFile}`, "of=/dev/null", "bs=1M", "status=none"])).wallSeconds
  },
  random: (mounted, expected) => readRandomly(mounted, expected, "warm", rangeBytes.wide),
  "random, 16 MiB": (mounted, expected) => readRandomly(mounted, expected, "warm", rangeBytes.narrow),
  "random, anywhere": (mounted, expected) => readRandomly(mounted, expected, "cold"),
  "random, buffered": (mounted, expected) => readRandomly(mounted, expected, "buffered", rangeBytes.wide),
  "random, again": (mounted, expected) => readRandomly(mounted, expected, "again", rangeBytes.wide)
}

const measure = async (step: LocalStep, peer: Peer, expected: Expected): Promise<Figure | undefined> => {
  if (step === "sequential") forgetFiles()
  const mounted = await peer.mount()
  try {
    const before = mounted.usage().processorSeconds
    const value = await actions[step](mounted, expected)
    if (value === undefined) return undefined
    const { memoryPeakBytes, processorSeconds } = mounted.usage()
    const figure = { step, program: peer.name, value, memoryPeakBytes }
    return { ...figure, processorSeconds: processorSeconds - before }
  } finally {
    await mounted.end()
  }
}

/** The same file by a restore, for comparison. */
const restore = async (granary: Argv, { large, store }: Places): Promise<Figure> => {
  forgetFiles()
  const target = `${large}-restored`
  rmSync(target, { recursive: true, force: true })
  const snapshot = `host/${backupIds.granary}`
  const argv: Argv = [...granary, "restore", "--repository", store, snapshot, "large.pxar", target]
  const { wallSeconds } = await run(argv)
  proveEqual(
    "restored bytes",
    statSync(path.join(target, largeName)).size,
    statSync(path.join(large, largeName)).size
  )
  rmSync(target, { recursive: true })
  return { step: "sequential", program: "granary restore", value: wallSeconds }
}

export interface LocalOptions {
  readonly granary: Argv
  readonly places: Places
  readonly peers: ReadonlyArray<Peer>
  readonly expected: Expected
  readonly rounds: number
  readonly note: (text: string) => void
}

const tell = ({ processorSeconds, program, step, value }: Figure): string =>
  `${step}, ${program}: ${value.toFixed(2)}${processorSeconds === undefined ? "" : ` (CPU ${processorSeconds.toFixed(2)} s)`}`

export const measureLocal = async (
  step: LocalStep,
  options: LocalOptions
): Promise<ReadonlyArray<Figure>> => {
  const { expected, granary, note, peers, places, rounds } = options
  const figures: Array<Figure> = []
  const add = (figure: Figure | undefined): void => {
    if (figure === undefined) return
    figures.push(figure)
    note(tell(figure))
  }
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) if (peer.version !== undefined) add(await measure(step, peer, expected))
    if (step === "sequential") add(await restore(granary, places))
  }
  return figures
}
