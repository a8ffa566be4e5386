/**
 * Compares two directory trees on disk in everything that a backup keeps: names, kinds, modes, owners,
 * modification times, contents, link targets, device numbers, extended attributes with access control lists,
 * inode flags, and which names are hard links of one file. Answers with the differences, in the byte order of
 * paths, as they are found.
 *
 * Synchronous; contents are compared directly. Takes two descriptors a level, and follows no symbolic link
 * below the two folders that it is given.
 */
import { closeSync, readdirSync, readSync } from "node:fs"
import { type FileKind, kindOfMode } from "../model/FileMetadata.ts"
import * as Posix from "../platform/Posix.ts"
import { displayPath } from "./extract/ExtractError.ts"
import { knownInodeFlags } from "../model/InodeFlags.ts"
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

/** Two folders of one path, both open, and the names in them that were not compared yet. */
interface Level {
  readonly path: Uint8Array
  readonly leftFd: number
  readonly rightFd: number
  readonly left: Array<Buffer>
  readonly right: Array<Buffer>
}

/** Every difference between the trees below `left` and `right`. */
export function* compareTrees(left: string, right: string): Generator<TreeDifference> {
  const groups = { left: new Map<string, string>(), right: new Map<string, string>() }
  // A list instead of recursion, as trees may be deeper than the stack of calls.
  const levels: Array<Level> = []
  try {
    const top = openLevel(Posix.AT_FDCWD, Posix.AT_FDCWD, NO_NAME, OPEN_TARGET, left, right)
    levels.push(top)
    const stats = compareStats(
      Posix.statAt(top.leftFd, NO_NAME),
      Posix.statAt(top.rightFd, NO_NAME),
      "directory"
    )
    yield* locate(NO_NAME, [...stats, ...compareOpened(top.leftFd, top.rightFd)])
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const next = takeName(level)
      if (next === undefined) {
        closeLevel(level)
        levels.pop()
        continue
      }
      const { name, side } = next
      const path = level.path.length === 0 ? name : Buffer.concat([level.path, SLASH, name])
      if (side !== "both") yield* locate(path, [["presence", ...PRESENCE[side]]])
      else {
        const { found, kind } = compareEntries(level, name, path, groups)
        yield* locate(path, found)
        if (kind === "directory") {
          levels.push(openLevel(level.leftFd, level.rightFd, path, OPEN_DIRECTORY, name, name))
        }
      }
    }
  } finally {
    for (const level of levels) closeLevel(level)
  }
}

const PRESENCE = { left: ["there", "missing"], right: ["missing", "there"] } as const

function* locate(path: Uint8Array, found: ReadonlyArray<Found>): Generator<TreeDifference> {
  for (const [aspect, left, right] of found) yield { path, aspect, left, right }
}

const openLevel = (
  leftParentFd: number,
  rightParentFd: number,
  path: Uint8Array,
  flags: number,
  leftName: Uint8Array | string,
  rightName: Uint8Array | string
): Level => {
  const leftFd = Posix.openAt(leftParentFd, leftName, flags)
  let rightFd: number | undefined
  try {
    rightFd = Posix.openAt(rightParentFd, rightName, flags)
    return { path, leftFd, rightFd, left: listFromLast(leftFd), right: listFromLast(rightFd) }
  } catch (error) {
    closeSync(leftFd)
    if (rightFd !== undefined) closeSync(rightFd)
    throw error
  }
}

const closeLevel = ({ leftFd, rightFd }: Level): void => {
  closeSync(leftFd)
  closeSync(rightFd)
}

/** Names in descending order, so that the next one is the last. */
const listFromLast = (fd: number): Array<Buffer> =>
  readdirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" }).toSorted((left, right) =>
    Buffer.compare(right, left)
  )

/** Takes the lowest name that is left, and says on which side it is. */
const takeName = ({
  left,
  right
}: Level): { readonly name: Uint8Array; readonly side: "left" | "right" | "both" } | undefined => {
  const order = compareLast(left.at(-1), right.at(-1))
  const leftName = order <= 0 ? left.pop() : undefined
  const rightName = order >= 0 ? right.pop() : undefined
  if (leftName === undefined) return rightName === undefined ? undefined : { name: rightName, side: "right" }
  return { name: leftName, side: rightName === undefined ? "left" : "both" }
}

/** Which name comes first; a name before none. */
const compareLast = (left: Buffer | undefined, right: Buffer | undefined): number => {
  if (left === undefined) return 1
  return right === undefined ? -1 : Buffer.compare(left, right)
}

const compareEntries = (
  level: Level,
  name: Uint8Array,
  path: Uint8Array,
  groups: LinkGroups
): { readonly found: ReadonlyArray<Found>; readonly kind: Kind } => {
  const left = { directoryFd: level.leftFd, name, stat: Posix.statAt(level.leftFd, name) }
  const right = { directoryFd: level.rightFd, name, stat: Posix.statAt(level.rightFd, name) }
  const kind = kindOfMode(left.stat.mode)
  const rightKind = kindOfMode(right.stat.mode)
  if (kind !== rightKind) return { found: [["kind", String(kind), String(rightKind)]], kind: undefined }
  const found = [...compareStats(left.stat, right.stat, kind), ...compareByKind(left, right, kind)]
  const links = kind === "directory" ? undefined : compareGroups(left.stat, right.stat, path, groups)
  if (links !== undefined) found.push(links)
  return { found, kind }
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
    return Posix.getInodeFlags(fd) & knownInodeFlags
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
