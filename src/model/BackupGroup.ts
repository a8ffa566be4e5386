/**
 * A backup group: everything ever backed up of one machine, `host/laptop`, `vm/100`, `ct/101`.
 *
 * The text form is also its path below the namespace. Groups are plain values, compared by their text.
 */
import { refuse } from "./InvalidName.ts"
import * as SafeId from "./SafeId.ts"

export type BackupType = "vm" | "ct" | "host"

export interface BackupGroup {
  readonly type: BackupType
  readonly id: string
}

/** Every type, in the order in which a namespace is walked on disk. */
export const backupTypes: ReadonlyArray<BackupType> = ["vm", "ct", "host"]

export const isBackupType = (text: string): text is BackupType =>
  text === "vm" || text === "ct" || text === "host"

export const isBackupId = (text: string): boolean => SafeId.isSafeId(text)

export const make = (type: BackupType, id: string): BackupGroup => ({
  type,
  id: SafeId.check("backup id", id)
})

/** Reads `<type>/<id>`. */
export const parse = (text: string): BackupGroup => {
  const slash = text.indexOf("/")
  const type = text.slice(0, slash)
  if (slash === -1 || !isBackupType(type)) {
    return refuse("backup group", text, '"vm", "ct" or "host", a slash and a backup id')
  }
  return make(type, text.slice(slash + 1))
}

export const format = (group: BackupGroup): string => `${group.type}/${group.id}`

const u64Max = "18446744073709551615"

/** The significant digits of an id that is a 64-bit number, otherwise undefined. */
const significantDigits = (id: string): string | undefined => {
  if (!/^[0-9]+$/.test(id)) return undefined
  const digits = id.replace(/^0+(?=.)/, "")
  const fits = digits.length < u64Max.length || (digits.length === u64Max.length && digits <= u64Max)
  return fits ? digits : undefined
}

const compareTexts = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)

/** Numbers come first and in their own order; ids of equal value (`7`, `007`) stay apart by their text. */
const compareIds = (left: string, right: string): number => {
  const leftDigits = significantDigits(left)
  const rightDigits = significantDigits(right)
  if (leftDigits === undefined && rightDigits === undefined) return compareTexts(left, right)
  if (leftDigits === undefined) return 1
  if (rightDigits === undefined) return -1
  return (
    leftDigits.length - rightDigits.length ||
    compareTexts(leftDigits, rightDigits) ||
    compareTexts(left, right)
  )
}

/** Sorts by type (`ct`, `host`, `vm`: alphabetical), then by id. A total order: 0 only for equal groups. */
export const order = (left: BackupGroup, right: BackupGroup): number =>
  compareTexts(left.type, right.type) || compareIds(left.id, right.id)
