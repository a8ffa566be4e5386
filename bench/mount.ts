/**
 * Measures mounts by the kernel driver beside squashfuse and `restic mount`, and prints the report. It runs in mounts
 * of its own (`unshare -m`), so nothing stays mounted whatever happens. Linux, root.
 *
 * Run: node --conditions=development bench/mount.ts [--scale small|full]
 *   [--only find|tar|sequential|random|remote|ready|...]
 *   [--rounds 3] [--folder FOLDER] [--output FILE]
 * With `--folder` data and figures stay there, so that parts may be measured one after the other.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { makeProgram } from "./granaryProgram.ts"
import * as Machine from "./Machine.ts"
import { prepare, type Scale, sizes } from "./mountData.ts"
import { type Figure, type LocalStep, measureLocal } from "./mountLocal.ts"
import { type Peer, peers as allPeers, placesIn, unmount } from "./mountPeers.ts"
import { measureReady } from "./mountReady.ts"
import { measureRemote } from "./mountRemote.ts"
import { render } from "./mountReport.ts"

const localSteps: ReadonlyArray<LocalStep> = [
  "find",
  "tar",
  "sequential",
  "random",
  "random, 16 MiB",
  "random, anywhere",
  "random, buffered",
  "random, again"
]
const sectionNames = [...localSteps, "remote", "ready"] as const
type Section = (typeof sectionNames)[number]

const { values } = parseArgs({
  options: {
    scale: { type: "string", default: "full" },
    only: { type: "string", multiple: true, default: [...sectionNames] },
    program: { type: "string", multiple: true },
    rounds: { type: "string", default: "3" },
    folder: { type: "string" },
    output: { type: "string" }
  }
})

const note = (text: string): void => console.error(text)

/** Mounts of its own: what is mounted in them goes with the last process in them. */
const privately = "GRANARY_BENCH_PRIVATE"
const limitSeconds = 3600

const runPrivately = (): number => {
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const { error, status } = spawnSync(
    "unshare",
    ["-m", "--propagation", "private", "--", "timeout", "-s", "KILL", String(limitSeconds), ...command],
    { stdio: "inherit", env: { ...process.env, [privately]: "yes" } }
  )
  if (error !== undefined) throw error
  return status ?? 1
}

const sections = (): ReadonlyArray<Section> => {
  const unknown = values.only.filter((name) => !sectionNames.some((each) => each === name))
  if (unknown.length > 0)
    throw new Error(`--only ${unknown.join(", ")}: choose of ${sectionNames.join(", ")}`)
  return sectionNames.filter((name) => values.only.includes(name))
}

const isFigures = (value: unknown): value is Array<Figure> => Array.isArray(value)

/** Figures of earlier runs in the same folder, without those of the parts that are measured now. */
const earlierFigures = (file: string): ReadonlyArray<Figure> => {
  const found: unknown = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : []
  return isFigures(found) ? found : []
}

const missingOf = (peers: ReadonlyArray<Peer>): ReadonlyArray<string> => {
  const packages = { squashfuse: "squashfs-tools squashfuse", restic: "restic" }
  return peers
    .filter(({ version }) => version === undefined)
    .map(({ name }) => `${name} is not installed and takes no part (Debian: ${packages[name as "restic"]}).`)
}

const measureAll = async (folder: string): Promise<string> => {
  const scale: Scale = values.scale === "small" ? "small" : "full"
  const rounds = Number(values.rounds)
  const places = placesIn(folder)
  const { granary, version } = await makeProgram(folder)
  const peers = allPeers(granary, version, places)
  for (const text of missingOf(peers)) note(text)
  const file = path.join(folder, "figures.json")
  let figures = earlierFigures(file)
  const { directories, files, largeBytes } = sizes[scale]
  const expected = { entries: files + directories + 1, largeBytes }
  const chosen = peers.filter(({ name }) => values.program === undefined || values.program.includes(name))
  const measure = async (section: Section): Promise<ReadonlyArray<Figure>> => {
    if (section === "remote") return measureRemote(granary, places, scale, rounds)
    note("making data")
    await prepare(places, scale, granary, peers)
    if (section === "ready") return measureReady(granary, places, scale, rounds)
    return measureLocal(section, { granary, places, peers: chosen, expected, rounds, note })
  }
  for (const section of sections()) {
    const measured = await measure(section)
    const isNew = (figure: Figure): boolean =>
      measured.some(({ program, step }) => program === figure.program && step === figure.step)
    figures = [...figures.filter((figure) => !isNew(figure)), ...measured]
    writeFileSync(file, JSON.stringify(figures))
  }
  const machine = [
    ...Machine.describe(folder),
    `granary: ${version}`,
    ...peers.flatMap(({ name, version: found }) =>
      name.startsWith("granary") ? [] : [`${name}: ${found ?? "not installed"}`]
    )
  ]
  return render({ scale, rounds, machine, missing: missingOf(peers), figures })
}

const main = async (): Promise<void> => {
  const base = process.env["GRANARY_BENCH_DIR"] ?? tmpdir()
  const folder =
    values.folder === undefined
      ? mkdtempSync(path.join(base, "granary-bench-mount-"))
      : path.resolve(values.folder)
  mkdirSync(folder, { recursive: true })
  try {
    const report = await measureAll(folder)
    console.log(report)
    if (values.output !== undefined) writeFileSync(values.output, report)
  } finally {
    unmount(placesIn(folder).mountpoint)
    if (values.folder === undefined) rmSync(folder, { recursive: true, force: true })
  }
}

const obstacle = (): string | undefined => {
  if (process.getuid?.() !== 0) return "it mounts, and so needs root"
  return existsSync("/dev/fuse") ? undefined : "there is no /dev/fuse (modprobe fuse)"
}

const cannot = obstacle()
if (cannot !== undefined) {
  note(`error: ${cannot}`)
  process.exitCode = 1
} else if (process.env[privately] === undefined) process.exitCode = runPrivately()
else await main()
