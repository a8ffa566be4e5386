/**
 * The id of a task, in Proxmox's text form ("UPID"):
 * `UPID:node:pid:pstart:task:start:type:worker:authid:` with the numbers in hex.
 *
 * A manifest's verify state names the task that verified it, and Proxmox Backup Server reads the age of the
 * verification out of the start time; so what is written here must be a text that it can parse.
 */
import * as AuthId from "./AuthId.ts"
import { refuse } from "./InvalidName.ts"

export interface TaskId {
  /** Name of the machine: one DNS label. */
  readonly node: string
  readonly pid: number
  /** Start of the process, in clock ticks since boot. */
  readonly pstart: number
  /** Number of the task within the process. */
  readonly taskId: number
  /** Start of the task, seconds since 1970. */
  readonly starttime: number
  readonly workerType: string
  /** What the task works on; `""` for nothing in particular. */
  readonly workerId: string
  readonly authId: AuthId.AuthId
}

const kind = "task id"

const nodePattern = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

const workerTypePattern = /^[^:\s]+$/

const hexDigits = (count: string): string => `([\\dA-Fa-f]{${count}})`

/** node, pid, pstart, task, start, worker type, worker id, auth id */
const fieldSources = [
  "([^:\\s]+)",
  hexDigits("8"),
  hexDigits("8,9"),
  hexDigits("8,16"),
  hexDigits("8"),
  "([^:\\s]+)",
  "([^:\\s]*)",
  "([^:\\s]+)"
]

const pattern = new RegExp(`^UPID:${fieldSources.join(":")}:$`)

const escapeByte = (byte: number): string => `\\x${byte.toString(16).padStart(2, "0")}`

/** systemd's escaping of unit names: `/` becomes `-`, everything unusual `\xNN`. */
const escapeWorkerId = (text: string): string => {
  let escaped = ""
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte)
    if (character === "/") escaped += "-"
    else if (/[A-Za-z0-9_.]/.test(character) && !(character === "." && escaped === "")) escaped += character
    else escaped += escapeByte(byte)
  }
  return escaped
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const unescapeWorkerId = (escaped: string, whole: string): string => {
  const binary = escaped.replaceAll(/-|\\x([\dA-Fa-f]{2})|\\|\P{ASCII}/gu, (match, hex?: string) => {
    if (match === "-") return "/"
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
    return refuse(kind, whole, "an escaped worker id (ASCII, with \\xNN for other bytes)")
  })
  try {
    return utf8.decode(Buffer.from(binary, "latin1"))
  } catch {
    return refuse(kind, whole, "a worker id in UTF-8")
  }
}

const checkNumber = (what: string, value: number, max: number): void => {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    refuse(kind, String(value), `${what} as a whole number from 0 to ${max}`)
  }
}

export const make = (fields: TaskId): TaskId => {
  if (!nodePattern.test(fields.node)) refuse(kind, fields.node, "a node name: one DNS label")
  checkNumber("pid", fields.pid, 0x7fff_ffff)
  checkNumber("pstart", fields.pstart, 0xf_ffff_ffff)
  checkNumber("task number", fields.taskId, Number.MAX_SAFE_INTEGER)
  checkNumber("start time", fields.starttime, 0xffff_ffff)
  if (!workerTypePattern.test(fields.workerType)) {
    refuse(kind, fields.workerType, "a worker type without colons and blanks")
  }
  if (!fields.workerId.isWellFormed()) refuse(kind, fields.workerId, "a worker id in well-formed Unicode")
  return { ...fields, authId: AuthId.parse(fields.authId) }
}

const hex8 = (value: number): string => value.toString(16).toUpperCase().padStart(8, "0")

export const format = (id: TaskId): string => {
  const numbers = [id.pid, id.pstart, id.taskId, id.starttime].map(hex8).join(":")
  return `UPID:${id.node}:${numbers}:${id.workerType}:${escapeWorkerId(id.workerId)}:${id.authId}:`
}

export const parse = (text: string): TaskId => {
  const match = pattern.exec(text)
  if (match === null) return refuse(kind, text, "UPID:node:pid:pstart:task:start:type:worker:authid:")
  const [, node = "", pid = "", pstart = "", taskId = "", starttime = "", workerType = "", worker = ""] =
    match
  return make({
    node,
    pid: Number.parseInt(pid, 16),
    pstart: Number.parseInt(pstart, 16),
    taskId: Number.parseInt(taskId, 16),
    starttime: Number.parseInt(starttime, 16),
    workerType,
    workerId: unescapeWorkerId(worker, text),
    authId: AuthId.parse(match[8] ?? "")
  })
}
