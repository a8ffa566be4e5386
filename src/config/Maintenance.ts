/**
 * Maintenance: the modes that a datastore can be put into, what each of them allows, and what somebody is told whom it
 * keeps out; the rules of Proxmox Backup Server.
 *
 * | mode | read | write | lookup | gives up the open store |
 * |---|---|---|---|---|
 * | read-only | yes | no | yes | no |
 * | offline | no | no | yes | yes |
 * | unmount | no | no | yes | yes |
 * | s3-refresh | no | no | yes | no |
 * | delete | no | no | no | yes |
 */
import * as PropertyString from "../format/PropertyString.ts"
import { type Field, refuse } from "./Fields.ts"

export const types = ["read-only", "offline", "delete", "unmount", "s3-refresh"] as const

export type MaintenanceType = (typeof types)[number]

export interface Maintenance {
  readonly type: MaintenanceType
  readonly message: string | undefined
}

/** What somebody wants to do with a datastore; `lookup` is to know of it. */
export type Operation = "read" | "write" | "lookup"

export const messageLengthMax = 64

const defaultKey = "type"

const percentDecoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone percent sign, or bytes that are no UTF-8: what stands there says more than nothing.
    return text
  }
}

const isType = (text: string | undefined): text is MaintenanceType => types.some((type) => type === text)

/** `type=offline,message="..."`. */
export const field: Field<Maintenance> = {
  decode: (text) => {
    const pairs = PropertyString.decode(text)
    const type = PropertyString.valueOf(pairs, "type", defaultKey)
    if (!isType(type)) return refuse(`a maintenance mode (one of ${types.join(", ")})`, text)
    const message = PropertyString.valueOf(pairs, "message", defaultKey)
    return { type, message: message === undefined ? undefined : percentDecoded(message) }
  }
}

/** The mode as it is written. Throws `FormatError` for a message that is too long. */
export const encode = ({ message, type }: Maintenance): string => {
  if (message === undefined || message === "") return `type=${type}`
  if (message.length > messageLengthMax)
    return refuse(`a message of at most ${messageLengthMax} characters`, message)
  return `type=${type},message="${encodeURIComponent(message)}"`
}

export const allows = (mode: Maintenance | undefined, operation: Operation): boolean => {
  if (mode === undefined) return true
  if (mode.type === "delete") return false
  return operation === "lookup" || (operation === "read" && mode.type === "read-only")
}

/** Whether a store in this mode is to be closed when nobody uses it any more. */
export const evicts = (mode: Maintenance | undefined): boolean =>
  mode?.type === "offline" || mode?.type === "unmount" || mode?.type === "delete"

const explanations: { readonly [type in MaintenanceType]: string } = {
  "read-only": "read-only maintenance mode",
  offline: "offline maintenance mode",
  delete: "it is being deleted",
  unmount: "it is being unmounted",
  "s3-refresh": "its metadata is being fetched from the bucket"
}

/** Why the mode keeps somebody out. */
export const explain = ({ message, type }: Maintenance): string =>
  message === undefined || message === "" ? explanations[type] : `${explanations[type]}: ${message}`

const hints: { readonly [type in MaintenanceType]: string } = {
  "read-only": "only reading is possible until the mode is cleared: granary datastore maintenance",
  offline: "wait until the mode is cleared: granary datastore maintenance",
  delete: "nothing can be done with it any more",
  unmount: "mount it again",
  "s3-refresh": "wait until the refresh has ended; after an interrupted one run: granary s3-refresh"
}

export const hintFor = ({ type }: Maintenance): string => hints[type]
