/**
 * MountTable: what is mounted where, as the kernel tells this process (`/proc/self/mountinfo`).
 *
 * Invariant: it is asked without touching any file system, so a mount that hangs or is dead is seen like any other.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { subtype } from "./Driver.ts"

export interface MountEntry {
  /** Of this file system alone, as `MAJOR:MINOR`. */
  readonly device: string
  readonly mountpoint: string
  readonly type: string
  readonly source: string
}

/** Spaces and the like are written as `\040`. */
const unescape = (text: string): string =>
  Buffer.from(
    text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    "latin1"
  ).toString()

/** As the kernel writes a path into the table. */
export const escape = (path: string): string =>
  path.replaceAll(/[ \t\n\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`)

const parseLine = (line: string): ReadonlyArray<MountEntry> => {
  const [before = "", after = ""] = line.split(" - ")
  const [, , device, , mountpoint] = before.split(" ")
  const [type, source = ""] = after.split(" ")
  return device === undefined || mountpoint === undefined || type === undefined
    ? []
    : [{ device, mountpoint: unescape(mountpoint), type: unescape(type), source: unescape(source) }]
}

/** In the order in which things were mounted: of several at one place the last covers the others. */
export const parse = (mountinfo: string): ReadonlyArray<MountEntry> =>
  mountinfo.split("\n").flatMap(parseLine)

/** Empty where the system does not tell. */
export const read: Effect.Effect<ReadonlyArray<MountEntry>> = Effect.sync(() => {
  try {
    return parse(fs.readFileSync("/proc/self/mountinfo", "latin1"))
  } catch {
    return []
  }
})

/** What is mounted at this place, if anything is. */
export const at = (mountpoint: string): Effect.Effect<MountEntry | undefined> =>
  Effect.map(read, (entries) => entries.findLast((entry) => entry.mountpoint === mountpoint))

export const isOurs = ({ type }: MountEntry): boolean => type === `fuse.${subtype}`
