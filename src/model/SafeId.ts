/**
 * The alphabet that Proxmox Backup Server allows in nearly every name that becomes part of a path: letters,
 * digits, `_`, `.` and `-`, where the first character is none of `.` and `-`. Such a name is one harmless
 * path component.
 */
import { refuse } from "./InvalidName.ts"

/** Regular expression source of a safe id, for grammars that contain one. */
export const source = "[A-Za-z0-9_][A-Za-z0-9._\\-]*"

/** The rule in words, for messages. */
export const rule = 'letters, digits, "_", "." and "-", not starting with "." or "-"'

/** What a file system accepts as one name. */
export const lengthMax = 255

const pattern = new RegExp(`^${source}$`)

export const isSafeId = (text: string): boolean => text.length <= lengthMax && pattern.test(text)

/** Returns the text when it is a safe id; `kind` names it in the failure. */
export const check = (kind: string, text: string): string => {
  if (text.length > lengthMax) return refuse(kind, text, `at most ${lengthMax} characters`)
  return pattern.test(text) ? text : refuse(kind, text, rule)
}
