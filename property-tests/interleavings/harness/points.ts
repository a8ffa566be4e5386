/**
 * Points: which system calls of a process the laboratory may stop it before.
 *
 * `calls` leaves out what makes no difference to anybody: steps on a temporary file before it gets its name, which
 * nobody else opens, and giving locks back, since whoever comes before that meets the same as before the call that
 * went ahead of it. Crashes can fall anywhere, so what is about crashes takes `everyCall`.
 */
import { hash } from "node:crypto"

export type Calls = (label: string, step: number) => boolean

export const everyCall: Calls = () => true

const quietPattern =
  /^(?:unlock|release|openRanges|createFile|temporaryName|syncFileSystem|syncDirectory) |\.tmp_/

/** What never changes while a scenario runs (nobody makes or removes chunk folders), or is the collector's alone. */
const settledPattern =
  /^stat \/store(?:\/\.chunks)?$|^readDirectory \/store\/\.chunks$|\/store\/\.(?:granary-gc|gc-status)|^makeDirectory \/store\/\.granary-writers$/

const quiet = new Map<string, boolean>()

/** A rename away from a temporary name is what gives the file its real one, so it is no quiet call. */
const isQuiet = (label: string): boolean =>
  settledPattern.test(label) || (quietPattern.test(label) && !label.startsWith("rename "))

export const calls: Calls = (label, step) => {
  if (step > 0) return false
  const known = quiet.get(label)
  if (known !== undefined) return !known
  const found = isQuiet(label)
  quiet.set(label, found)
  return !found
}

/** Without those that nobody in the scenario has anything to do with: other types of groups, for example. */
export const callsExcept = (pattern: RegExp): Calls => {
  const known = new Map<string, boolean>()
  return (label, step) => {
    if (!calls(label, step)) return false
    const found = known.get(label) ?? !pattern.test(label)
    known.set(label, found)
    return found
  }
}

/** Only those whose label has one of these words: for scenarios about one thing among many. */
export const callsOn =
  (...words: ReadonlyArray<string>): Calls =>
  (label, step) =>
    calls(label, step) && words.some((word) => label.includes(word))

/** None: nobody else works there. */
export const noCalls: Calls = () => false

/** All groups are of type `host`, in the root namespace. */
export const callsOnHosts: Calls = callsExcept(
  /^readDirectory \/store\/(?:vm|ct|ns)$|^readDirectory \/store$/
)

/** The parts of a store that are looked at one by one. */
export type Part = "chunks" | "snapshots" | "leases"

const changing = /^(?:createFile|replaceFile|rename|unlink|removeDirectory|makeDirector)/
const parts = new Map<string, Part | undefined>()

const findPart = (label: string): Part | undefined => {
  if (!changing.test(label)) return undefined
  if (label.includes("/.chunks")) return "chunks"
  if (label.includes("/.granary-writers")) return "leases"
  return label.includes("/store/.") ? undefined : "snapshots"
}

/** Those that change something, each of their steps: between two of them a death makes no difference. */
export const everyChange: Calls = (label) => /^(?:sync|touch)/.test(label) || changing.test(label)

/** What a call may change of what lies on the disk. */
export const partOf = (label: string): Part | undefined => {
  if (parts.has(label)) return parts.get(label)
  const part = findPart(label)
  parts.set(label, part)
  return part
}

const labels = new Map<string, string>()
const lockNames = new Map<string, string>()

/** Leases have names of their own in every run. */
const lockNamesMax = 100_000

/** Locks are bytes of a file; a timeline tells their names instead. As in `StoreLocks`. */
export const nameLock = (name: string): void => {
  if (lockNames.size > lockNamesMax) return
  const half = Math.floor(Number.parseInt(hash("sha256", name, "hex").slice(0, 13), 16) / 2)
  lockNames.set(String(2 ** 52 + half), name)
}

/** As in `DigestGuards`. */
export const nameGuard = (digest: string): void => {
  lockNames.set(String(Number.parseInt(digest.slice(0, 13), 16)), `chunk ${digest.slice(0, 8)}`)
}

const lockPattern = /^(tryLock|release|unlock) .* ([0-9]+)(?: (exclusive|shared))?$/

const lockLabel = (label: string): string | undefined => {
  const [, operation, offset, mode] = lockPattern.exec(label) ?? []
  const name = offset === undefined ? undefined : lockNames.get(offset)
  return name === undefined
    ? undefined
    : `${operation} ${name.replace(/^lease .*/, "lease")}${mode === undefined ? "" : ` ${mode}`}`
}

/** The store's own path says nothing, and of a digest the beginning is enough. */
export const shortLabel = (label: string): string => {
  const known = labels.get(label)
  if (known !== undefined) return known
  const made = lockLabel(label) ?? shortened(label)
  labels.set(label, made)
  return made
}

const shortened = (label: string): string =>
  label
    .replaceAll("/store/", "")
    .replaceAll(/[0-9a-f]{4}\/([0-9a-f]{8})[0-9a-f]{56}/g, "$1")
    .replaceAll(/\.tmp_[a-z]+/g, ".tmp")
    .replaceAll(/[0-9a-f]{16}-[0-9]+/g, "lease")
