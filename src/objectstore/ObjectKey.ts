/**
 * The name of an object in a bucket, and the beginning that names have in common, as values that are checked once.
 *
 * A key is what every server and every file system can keep: segments joined by `/`, none of them empty, `.` or `..`,
 * each at most 255 bytes of UTF-8 without control characters, at most 1024 bytes together. A prefix is empty or ends
 * in `/`: so `vm/10` can never stand for `vm/100` as well. Keys are ordered by their bytes, as servers list them.
 */
import type * as Brand from "effect/Brand"
import { refuse } from "../model/InvalidName.ts"

export type ObjectKey = string & Brand.Brand<"ObjectKey">

/** Empty (the whole bucket), or a key and a slash. */
export type KeyPrefix = string & Brand.Brand<"KeyPrefix">

export const lengthMaxBytes = 1024

export const segmentMaxBytes = 255

const forbidden = /\p{Cc}/u

const brandPrefix = (text: string): KeyPrefix => text as KeyPrefix

const isSegment = (segment: string): boolean =>
  segment !== "" && segment !== "." && segment !== ".." && Buffer.byteLength(segment) <= segmentMaxBytes

export const isObjectKey = (text: string): text is ObjectKey =>
  Buffer.byteLength(text) <= lengthMaxBytes &&
  text.isWellFormed() &&
  !forbidden.test(text) &&
  text.split("/").every(isSegment)

const keyRule =
  `segments joined by "/", none empty, "." or "..", at most ${segmentMaxBytes} bytes each and ` +
  `${lengthMaxBytes} together, without control characters`

export const parse = (text: string): ObjectKey =>
  isObjectKey(text) ? text : refuse("object key", text, keyRule)

/** The prefix of everything in the bucket. */
export const everything: KeyPrefix = brandPrefix("")

export const isPrefix = (text: string): text is KeyPrefix =>
  text === "" || (text.endsWith("/") && isObjectKey(text.slice(0, -1)))

export const parsePrefix = (text: string): KeyPrefix =>
  isPrefix(text) ? text : refuse("prefix of object keys", text, `nothing, or a key and a slash: ${keyRule}`)

/** The prefix of what lies below a key: `vm/10` gives `vm/10/`. */
export const below = (key: ObjectKey): KeyPrefix => brandPrefix(`${key}/`)

export const join = (prefix: KeyPrefix, relative: string): ObjectKey => parse(prefix + relative)

export const joinPrefix = (prefix: KeyPrefix, relative: string): KeyPrefix => parsePrefix(prefix + relative)

export const isWithin = (key: ObjectKey, prefix: KeyPrefix): boolean => key.startsWith(prefix)

/** What follows the prefix; undefined when the key does not begin with it. */
export const relativeTo = (key: ObjectKey, prefix: KeyPrefix): string | undefined =>
  isWithin(key, prefix) ? key.slice(prefix.length) : undefined

const firstSurrogate = 0xd800

const lastSurrogate = 0xdfff

/** Puts surrogates, which stand for code points from 0x10000 on, behind the other units. */
const rankOf = (unit: number): number =>
  unit >= firstSurrogate && unit <= lastSurrogate ? unit + 0x1_0000 : unit

/** Compares by bytes of UTF-8. Texts of JavaScript compare by 16-bit units, which differs beyond U+FFFF. */
export const compare = (left: string, right: string): number => {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const [leftUnit, rightUnit] = [left.charCodeAt(index), right.charCodeAt(index)]
    if (leftUnit !== rightUnit) return rankOf(leftUnit) - rankOf(rightUnit)
  }
  return left.length - right.length
}
