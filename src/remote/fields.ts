/**
 * fields: what is read out of a server's answers. Nothing is taken on trust: what has another form than it should, or a
 * name that breaks the rules, is passed over where it stands in a list, and refused where it is the answer.
 */
import * as BackupGroup from "../model/BackupGroup.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"

export type Fields = Readonly<Record<string, unknown>>

export const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined

/** The items of a list that are objects; undefined for what is no list. */
export const itemsOf = (value: unknown): ReadonlyArray<Fields> | undefined => {
  if (!Array.isArray(value)) return undefined
  const items: ReadonlyArray<unknown> = value
  return items.map(fieldsOf).filter((item) => item !== undefined)
}

export const textOf = (fields: Fields, name: string): string | undefined => {
  const value = fields[name]
  return typeof value === "string" ? value : undefined
}

export const countOf = (fields: Fields, name: string): number | undefined => {
  const value = fields[name]
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

export const flagOf = (fields: Fields, name: string): boolean => fields[name] === true || fields[name] === 1

/** Undefined for a name that breaks the rules. */
const parsed = <A>(parse: () => A): A | undefined => {
  try {
    return parse()
  } catch (error) {
    if (error instanceof InvalidName) return undefined
    throw error
  }
}

export const namespaceOf = (fields: Fields): Namespace.Namespace | undefined => {
  const text = textOf(fields, "ns")
  return text === undefined ? undefined : parsed(() => Namespace.parse(text))
}

export const groupOf = (fields: Fields): BackupGroup.BackupGroup | undefined => {
  const type = textOf(fields, "backup-type")
  const id = textOf(fields, "backup-id")
  if (type === undefined || id === undefined) return undefined
  return parsed(() => BackupGroup.parse(`${type}/${id}`))
}

export const snapshotOf = (fields: Fields): Snapshot.Snapshot | undefined => {
  const group = groupOf(fields)
  const time = countOf(fields, "backup-time")
  return group === undefined || time === undefined ? undefined : parsed(() => Snapshot.make(group, time))
}
