/**
 * Fields: the keys that a kind of section has, and what their values may be, by Proxmox Backup Server's names and
 * rules. A value that is none fails with what was expected; keys that are not here are left alone.
 */
import { fail as failFormat, FormatError } from "../format/FormatError.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Namespaces from "../model/Namespace.ts"
import * as SafeId from "../model/SafeId.ts"
import { S3SettingsError } from "../objectstore/s3/S3SettingsError.ts"
import * as settingValues from "../objectstore/s3/settingValues.ts"

export interface Field<A> {
  /** Throws `FormatError`. */
  readonly decode: (text: string) => A
}

/** A key that has a line for each of its values. */
export interface ListField<A> extends Field<A> {
  readonly isList: true
}

export interface Fields {
  readonly [key: string]: Field<unknown> | ListField<unknown>
}

/** The values of a section: what it does not have is absent. */
export type Values<F extends Fields> = {
  readonly [Key in keyof F]?: F[Key] extends ListField<infer A>
    ? ReadonlyArray<A>
    : F[Key] extends Field<infer A>
      ? A
      : never
}

export const isList = (field: Field<unknown> | ListField<unknown>): field is ListField<unknown> =>
  "isList" in field

const shownMax = 60

export const refuse = (expected: string, text: string): never =>
  failFormat("configuration", 0, expected, JSON.stringify(text.slice(0, shownMax)))

/** Names and sizes have failures of their own. */
const translated = <A>(expected: string, text: string, decode: () => A): A => {
  try {
    return decode()
  } catch (error) {
    if (error instanceof FormatError) throw error
    if (error instanceof InvalidName || error instanceof S3SettingsError) return refuse(expected, text)
    throw error
  }
}

export const text: Field<string> = { decode: (value) => value }

export const textUpTo = (lengthMax: number): Field<string> => ({
  decode: (value) => (value.length <= lengthMax ? value : refuse(`at most ${lengthMax} characters`, value))
})

export const flag: Field<boolean> = {
  decode: (value) => translated("true or false", value, () => settingValues.boolean("configuration", value))
}

export const whole = (min: number, max = Number.MAX_SAFE_INTEGER): Field<number> => ({
  decode: (value) => {
    const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
    if (number >= min && number <= max) return number
    const expected = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`
    return refuse(`a whole number ${expected}`, value)
  }
})

export const oneOf = <const Choices extends ReadonlyArray<string>>(
  choices: Choices
): Field<Choices[number]> => ({
  decode: (value) =>
    choices.find((choice) => choice === value) ?? refuse(`one of ${choices.join(", ")}`, value)
})

const idLengthMin = 3
const idLengthMax = 32

/** What datastores, jobs and endpoints may be called. */
export const idRule = `${idLengthMin} to ${idLengthMax} of ${SafeId.rule}`

export const isId = (value: string): boolean =>
  SafeId.isSafeId(value) && value.length >= idLengthMin && value.length <= idLengthMax

export const id: Field<string> = {
  decode: (value) => (isId(value) ? value : refuse(idRule, value))
}

export const absolutePath: Field<string> = {
  decode: (value) => (value.startsWith("/") ? value : refuse("an absolute path", value))
}

export const namespace: Field<Namespaces.Namespace> = {
  decode: (value) => translated("a namespace", value, () => Namespaces.parse(value))
}

/** `10 GiB`, `1.5GB` or a plain number. */
export const size: Field<number> = {
  decode: (value) =>
    translated("bytes such as 10 GiB", value, () => settingValues.bytes("configuration", value))
}

export const list = <A>(field: Field<A>): ListField<A> => ({ ...field, isList: true })

const keepMax = 0xffff_ffff

/** How many snapshots a prune keeps. */
export const retention = {
  "keep-last": whole(1, keepMax),
  "keep-hourly": whole(1, keepMax),
  "keep-daily": whole(1, keepMax),
  "keep-weekly": whole(1, keepMax),
  "keep-monthly": whole(1, keepMax),
  "keep-yearly": whole(1, keepMax)
}
