/**
 * Compares two directory trees on disk in everything that a backup keeps: names, kinds, modes, owners, modification
 * times, contents, link targets, device numbers, extended attributes with access control lists, inode flags, and which
 * names are hard links of one file. Answers with the differences, in the byte order of paths, as they are found.
 *
 * Synchronous; contents are compared directly. Takes two descriptors a level, and follows no symbolic link below the
 * two folders that it is given.
 */
import { closeSync, readdirSync, readSync } from "node:fs"
import { type FileKind, kindOfMode } from "../model/FileMetadata.ts"
import * as Posix from "../platform/Posix.ts"
import { displayPath } from "./extract/ExtractError.ts"
import { KNOWN_INODE_FLAGS } from "./extract/InodeFlags.ts"
import { OPEN_DIRECTORY, OPEN_FILE, OPEN_TARGET } from "./extract/OpenFlags.ts"

export type Aspect =
  | "presence"
  | "kind"
  | "mode"
  | "owner"
  | "time"
  | "size"
  | "content"
  | "link target"
  | "device"
  | "attributes"
  | "flags"
  | "hard links"

export interface TreeDifference {
  /** Below the compared folders; empty for these themselves. */
  readonly path: Uint8Array
  readonly aspect: Aspect
  readonly left: string
  readonly right: string
}

/** One name in one tree, reachable through the open folder it is in. */
interface Side {
  readonly directoryFd: number
  readonly name: Uint8Array
  readonly stat: Posix.PosixStat
}

/** The first name found of every file with several, on either side. */
interface LinkGroups {
  readonly left: Map<string, string>
  readonly right: Map<string, string>
}

type Kind = Exclude<FileKind, "hardlink"> | undefined
type Found = readonly [aspect: Aspect, left: string, right: string]

const NO_NAME = new Uint8Array(0)
const SLASH = new Uint8Array([0x2f])
const BLOCK_BYTES = 1024 * 1024

export const describeDifference = ({ aspect, left, path, right }: TreeDifference): string =>
  `${displayPath(path)}: ${aspect}: ${left} / ${right}`

/** Every difference between the trees below `left` and `right`. */
export function* compareTrees(left: string, right: string): Generator<TreeDifference> {
  const leftFd = Posix.openAt(Posix.AT_FDCWD, left, OPEN_TARGET)
  try {
    const rightFd = Posix.openAt(Posix.AT_FDCWD, right, OPEN_TARGET)
    try {
      const sideOf = (directoryFd: number): Side => ({
        directoryFd,
        name: NO_NAME,
        stat: Posix.statAt(directoryFd, NO_NAME)
      })
      const groups = { left: new Map<string, string>(), right: new Map<string, string>() }
      for (const [aspect, was, is] of compareStats(sideOf(leftFd).stat, sideOf(rightFd).stat, "directory")) {
        yield { path: NO_NAME, aspect, left: was, right: is }
      }
      for (const [aspect, was, is] of compareOpened(leftFd, rightFd)) {
        yield { path: NO_NAME, aspect, left: was, right: is }
      }
      yield* compareChildren(leftFd, rightFd, NO_NAME, groups)
    } finally {
      closeSync(rightFd)
    }
  } finally {
    closeSync(leftFd)
  }
}

const list = (fd: number): Array<Buffer> =>
  readdirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" }).toSorted(Buffer.compare)

function* compareChildren(
  leftFd: number,
  rightFd: number,
  parent: Uint8Array,
  groups: LinkGroups
): Generator<TreeDifference> {
  const leftNames = list(leftFd)
  const rightNames = list(rightFd)
  let leftAt = 0
  let rightAt = 0
  for (;;) {
    const leftName = leftNames[leftAt]
    const rightName = rightNames[rightAt]
    if (leftName === undefined && rightName === undefined) return
    const order =
      leftName === undefined ? 1 : rightName === undefined ? -1 : Buffer.compare(leftName, rightName)
    const name = (order <= 0 ? leftName : rightName) ?? NO_NAME
    const path = parent.length === 0 ? name : Buffer.concat([parent, SLASH, name])
    if (order <= 0) leftAt++
    if (order >= 0) rightAt++
    if (order === 0) yield* compareEntries(leftFd, rightFd, name, path, groups)
    else {
      const [left, right] = order < 0 ? ["there", "missing"] : ["missing", "there"]
      yield { path, aspect: "presence", left: left ?? "", right: right ?? "" }
    }
  }
}

function* compareEntries(
  leftFd: number,
  rightFd: number,
  name: Uint8Array,
  path: Uint8Array,
  groups: LinkGroups
): Generator<TreeDifference> {
  const left = { directoryFd: leftFd, name, stat: Posix.statAt(leftFd, name) }
  const right = { directoryFd: rightFd, name, stat: Posix.statAt(rightFd, name) }
  const kind = kindOfMode(left.stat.mode)
  const rightKind = kindOfMode(right.stat.mode)
  if (kind !== rightKind) {
    yield { path, aspect: "kind", left: String(kind), right: String(rightKind) }
    return
  }
  const found = [...compareStats(left.stat, right.stat, kind), ...compareByKind(left, right, kind)]
  const links = kind === "directory" ? undefined : compareGroups(left.stat, right.stat, path, groups)
  if (links !== undefined) found.push(links)
  for (const [aspect, was, is] of found) yield { path, aspect, left: was, right: is }
  if (kind !== "directory") return
  const leftChild = Posix.openAt(leftFd, name, OPEN_DIRECTORY)
  try {
    const rightChild = Posix.openAt(rightFd, name, OPEN_DIRECTORY)
    try {
      yield* compareChildren(leftChild, rightChild, path, groups)
    } finally {
      closeSync(rightChild)
    }
  } finally {
    closeSync(leftChild)
  }
}

function* compareStats(left: Posix.PosixStat, right: Posix.PosixStat, kind: Kind): Generator<Found> {
  if (left.mode !== right.mode) yield ["mode", left.mode.toString(8), right.mode.toString(8)]
  if (left.uid !== right.uid || left.gid !== right.gid) {
    yield ["owner", `${left.uid}:${left.gid}`, `${right.uid}:${right.gid}`]
  }
  if (left.mtimeSeconds !== right.mtimeSeconds || left.mtimeNanos !== right.mtimeNanos) {
    yield ["time", describeTime(left), describeTime(right)]
  }
  if (kind === "file" && left.sizeBytes !== right.sizeBytes) {
    yield ["size", String(left.sizeBytes), String(right.sizeBytes)]
  }
  const leftDevice = `${left.specialMajor}:${left.specialMinor}`
  const rightDevice = `${right.specialMajor}:${right.specialMinor}`
  if (leftDevice !== rightDevice) yield ["device", leftDevice, rightDevice]
}

const describeTime = ({ mtimeNanos, mtimeSeconds }: Posix.PosixStat): string =>
  `${mtimeSeconds} s ${mtimeNanos} ns`

const compareByKind = (left: Side, right: Side, kind: Kind): ReadonlyArray<Found> => {
  if (kind === "file" || kind === "directory") return withBothOpen(left, right, kind)
  const found: Array<Found> = []
  if (kind === "symlink") {
    const leftTarget = displayPath(Posix.readLinkAt(left.directoryFd, left.name))
    const rightTarget = displayPath(Posix.readLinkAt(right.directoryFd, right.name))
    if (leftTarget !== rightTarget) found.push(["link target", leftTarget, rightTarget])
  }
  const placeOf = ({ directoryFd, name }: Side): Uint8Array => Posix.childPath(directoryFd, name)
  found.push(...compareAttributes(placeOf(left), placeOf(right)))
  return found
}

const withBothOpen = (left: Side, right: Side, kind: "file" | "directory"): ReadonlyArray<Found> => {
  const flags = kind === "file" ? OPEN_FILE : OPEN_DIRECTORY
  const leftFd = Posix.openAt(left.directoryFd, left.name, flags)
  try {
    const rightFd = Posix.openAt(right.directoryFd, right.name, flags)
    try {
      const found = [...compareOpened(leftFd, rightFd)]
      if (kind === "file" && left.stat.sizeBytes === right.stat.sizeBytes) {
        const offset = firstDifference(leftFd, rightFd)
        if (offset !== undefined) found.push(["content", `byte ${offset}`, "another one"])
      }
      return found
    } finally {
      closeSync(rightFd)
    }
  } finally {
    closeSync(leftFd)
  }
}

/** What can be seen of files and directories by descriptor only. */
function* compareOpened(leftFd: number, rightFd: number): Generator<Found> {
  yield* compareAttributes(leftFd, rightFd)
  const leftFlags = flagsOf(leftFd)
  const rightFlags = flagsOf(rightFd)
  if (leftFlags !== rightFlags) yield ["flags", leftFlags.toString(16), rightFlags.toString(16)]
}

const flagsOf = (fd: number): number => {
  try {
    return Posix.getInodeFlags(fd) & KNOWN_INODE_FLAGS
  } catch (error) {
    if (error instanceof Posix.PosixError) return 0
    throw error
  }
}

const describeAttributes = (place: Posix.XattrPlace): string =>
  Posix.listXattrs(place)
    .map((name) => {
      const value = Posix.getXattr(place, name) ?? NO_NAME
      return `${displayPath(name)}=${Buffer.from(value).toString("hex")}`
    })
    .toSorted()
    .join(" ")

function* compareAttributes(left: Posix.XattrPlace, right: Posix.XattrPlace): Generator<Found> {
  const leftAttributes = describeAttributes(left)
  const rightAttributes = describeAttributes(right)
  if (leftAttributes !== rightAttributes) yield ["attributes", leftAttributes, rightAttributes]
}

const compareGroups = (
  left: Posix.PosixStat,
  right: Posix.PosixStat,
  path: Uint8Array,
  groups: LinkGroups
): Found | undefined => {
  const leftFirst = firstNameOf(left, path, groups.left)
  const rightFirst = firstNameOf(right, path, groups.right)
  return leftFirst === rightFirst ? undefined : ["hard links", `of ${leftFirst}`, `of ${rightFirst}`]
}

const firstNameOf = (stat: Posix.PosixStat, path: Uint8Array, known: Map<string, string>): string => {
  const name = Buffer.from(path).toString("latin1")
  if (stat.linkCount < 2) return name
  const key = `${stat.deviceMajor}:${stat.deviceMinor}:${stat.inode}`
  const first = known.get(key) ?? name
  known.set(key, first)
  return first
}

const leftBlock = Buffer.alloc(BLOCK_BYTES)
const rightBlock = Buffer.alloc(BLOCK_BYTES)

const fill = (fd: number, block: Buffer, position: number): number => {
  let filled = 0
  while (filled < block.length) {
    const count = readSync(fd, block, filled, block.length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return filled
}

/** Where two files of one size differ first. */
const firstDifference = (leftFd: number, rightFd: number): number | undefined => {
  for (let position = 0; ; position += BLOCK_BYTES) {
    const leftCount = fill(leftFd, leftBlock, position)
    const rightCount = fill(rightFd, rightBlock, position)
    if (leftCount !== rightCount || leftBlock.compare(rightBlock, 0, rightCount, 0, leftCount) !== 0) {
      const at = leftBlock.subarray(0, leftCount).findIndex((byte, index) => byte !== rightBlock[index])
      return position + (at < 0 ? Math.min(leftCount, rightCount) : at)
    }
    if (leftCount < BLOCK_BYTES) return undefined
  }
}
