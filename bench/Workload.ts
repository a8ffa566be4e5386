/**
 * Workload: data to back up, generated from a seed: one file of random data, a sparse image of a virtual
 * machine, a tree of many files. Each lies in a folder of its own.
 */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync
} from "node:fs"
import * as path from "node:path"
import * as SeededData from "./SeededData.ts"

export type Scale = "small" | "full"
export type WorkloadName = "random" | "image" | "tree"

export interface Workload {
  readonly name: WorkloadName
  readonly title: string
  readonly folder: string
  /** How Granary is told to store it. */
  readonly archive: { readonly name: string; readonly source: string; readonly isDirectory: boolean }
}

export const workloadNames: ReadonlyArray<WorkloadName> = ["random", "image", "tree"]

const MIB = 1024 * 1024
const blockBytes = 4096

const sizes = {
  small: { randomBytes: 32 * MIB, imageBytes: 128 * MIB, treeFiles: 1000, treeBytes: 32 * MIB },
  full: { randomBytes: 1024 * MIB, imageBytes: 4096 * MIB, treeFiles: 40_000, treeBytes: 1300 * MIB }
} as const

const inMebibytes = (sizeBytes: number): string =>
  sizeBytes >= 1024 * MIB
    ? `${(sizeBytes / 1024 / MIB).toFixed(1)} GiB`
    : `${Math.round(sizeBytes / MIB)} MiB`

/** Writes the next `sizeBytes` of the filler at a place of the file. */
const write = (fd: number, position: number, sizeBytes: number, fill: SeededData.Filler): void => {
  const block = Buffer.allocUnsafe(Math.min(sizeBytes, MIB))
  for (let done = 0; done < sizeBytes; done += block.length) {
    const part = block.subarray(0, Math.min(block.length, sizeBytes - done))
    fill(part)
    writeSync(fd, part, 0, part.length, position + done)
  }
}

const makeRandomFile = (folder: string, scale: Scale): Workload => {
  const { randomBytes } = sizes[scale]
  const fd = openSync(path.join(folder, "random.bin"), "wx")
  write(fd, 0, randomBytes, SeededData.makeNoise("random file"))
  closeSync(fd)
  return {
    name: "random",
    title: `One file of ${inMebibytes(randomBytes)} random data`,
    folder,
    archive: { name: "data.pxar", source: folder, isDirectory: true }
  }
}

/** What the extents of an image hold, and which share of the image each kind has: 1.4 GB are no holes. */
const extentKinds = [
  { kind: "text", share: 0.175 },
  { kind: "noise", share: 0.105 },
  { kind: "zeros", share: 0.02 },
  { kind: "hole", share: 0.7 }
] as const

type ExtentKind = (typeof extentKinds)[number]["kind"]

/** The kind that lags furthest behind its share so far, with some chance. */
const chooseKind = (
  filled: Record<ExtentKind, number>,
  position: number,
  random: SeededData.Random
): ExtentKind => {
  const lags = extentKinds.map(({ kind, share }) => ({
    kind,
    lag: share * (position + 32 * MIB) * (0.875 + random() / 4) - filled[kind]
  }))
  return lags.reduce((most, next) => (next.lag > most.lag ? next : most)).kind
}

const makeImage = (folder: string, scale: Scale): Workload => {
  const { imageBytes } = sizes[scale]
  const random = SeededData.makeRandom(20_261)
  const fillers = {
    text: SeededData.makeText(7),
    noise: SeededData.makeNoise("image"),
    zeros: (target: Buffer) => void target.fill(0)
  }
  const filled = { text: 0, noise: 0, zeros: 0, hole: 0 }
  const fd = openSync(path.join(folder, "disk.img"), "wx")
  ftruncateSync(fd, imageBytes)
  for (let position = 0; position < imageBytes;) {
    const wanted = SeededData.nextLogUniform(random, 16 * blockBytes, 16 * MIB)
    const sizeBytes = Math.min(imageBytes - position, Math.ceil(wanted / blockBytes) * blockBytes)
    const kind = chooseKind(filled, position, random)
    if (kind !== "hole") write(fd, position, sizeBytes, fillers[kind])
    filled[kind] += sizeBytes
    position += sizeBytes
  }
  closeSync(fd)
  const data = inMebibytes(filled.text + filled.noise + filled.zeros)
  return {
    name: "image",
    title: `Sparse image of a virtual machine, ${inMebibytes(imageBytes)} with ${data} of data`,
    folder,
    archive: { name: "disk.img", source: path.join(folder, "disk.img"), isDirectory: false }
  }
}

/** Spread of file sizes: half of them below 4 KiB, a mean of eight times that, as on real systems. */
const sizeDeviation = 2.04
const sizeMaxBytes = 64 * MIB
const filesPerDirectory = 10
const textShare = 0.65
const symlinkShare = 0.02
const modifiedSeconds = 1_700_000_000

/** File sizes whose sum is the wanted one. */
const makeFileSizes = (
  random: SeededData.Random,
  count: number,
  totalBytes: number
): ReadonlyArray<number> => {
  const drawn = Array.from({ length: count }, () => Math.exp(sizeDeviation * SeededData.nextNormal(random)))
  const scaleBytes = totalBytes / drawn.reduce((sum, size) => sum + size, 0)
  return drawn.map((size) => Math.min(sizeMaxBytes, Math.floor(size * scaleBytes)))
}

/** Each directory lies in one made before it, so that the tree is some levels deep and uneven. */
const makeDirectories = (root: string, random: SeededData.Random, count: number): ReadonlyArray<string> => {
  const directories = [root]
  while (directories.length < count) {
    const parent = directories[Math.floor(random() * directories.length)] ?? root
    const directory = path.join(parent, `dir-${directories.length}`)
    mkdirSync(directory)
    directories.push(directory)
  }
  return directories
}

const makeTree = (folder: string, scale: Scale): Workload => {
  const { treeBytes, treeFiles } = sizes[scale]
  const random = SeededData.makeRandom(40_000)
  const text = SeededData.makeText(11)
  const noise = SeededData.makeNoise("tree")
  const directories = makeDirectories(folder, random, Math.ceil(treeFiles / filesPerDirectory))
  let totalBytes = 0
  for (const [index, sizeBytes] of makeFileSizes(random, treeFiles, treeBytes).entries()) {
    const file = path.join(directories[Math.floor(random() * directories.length)] ?? folder, `file-${index}`)
    const content = Buffer.allocUnsafe(sizeBytes)
    const fill = random() < textShare ? text : noise
    fill(content)
    writeFileSync(file, content, { mode: random() < 0.2 ? 0o755 : 0o644 })
    utimesSync(file, modifiedSeconds + index, modifiedSeconds + index)
    if (random() < symlinkShare) symlinkSync(path.basename(file), `${file}.link`)
    totalBytes += sizeBytes
  }
  return {
    name: "tree",
    title: `Tree of ${treeFiles.toLocaleString("en-US")} files, ${inMebibytes(totalBytes)}`,
    folder,
    archive: { name: "data.pxar", source: folder, isDirectory: true }
  }
}

const makers = { random: makeRandomFile, image: makeImage, tree: makeTree }

/** Generates a workload in a new folder below `parent`. */
export const make = (name: WorkloadName, parent: string, scale: Scale): Workload => {
  const folder = path.join(parent, name)
  mkdirSync(folder)
  return makers[name](folder, scale)
}

const readFile = (file: string, block: Buffer): void => {
  const fd = openSync(file, "r")
  while (readSync(fd, block) > 0);
  closeSync(fd)
}

/** Reads all of it once, so that every program finds it in the page cache. */
export const warmUp = ({ folder }: Workload): void => {
  const block = Buffer.alloc(MIB)
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) readFile(path.join(entry.parentPath, entry.name), block)
  }
}
