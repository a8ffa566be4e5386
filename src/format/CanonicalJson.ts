/**
 * JSON as values that are safe to compute with, and the canonical text of such a value, the one that is
 * signed: keys sorted by their UTF-8 bytes at every level, no white space, arrays in order. `null` has no
 * canonical text.
 *
 * `parse` accepts only what survives being read and written again: whole numbers below 2^53, well-formed
 * Unicode, and no more nesting than the reference's reader allows.
 */
import { fail, type FormatName } from "./FormatError.ts"

export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject

export interface JsonObject {
  readonly [key: string]: Json
}

export const depthMax = 127

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Keys of an object in canonical order. */
const sortedKeys = (value: JsonObject): ReadonlyArray<string> =>
  Object.keys(value).sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)))

const checkText = (format: FormatName, text: string): void => {
  if (!text.isWellFormed()) fail(format, 0, "well-formed Unicode", JSON.stringify(text.slice(0, 40)))
}

const checkValue = (format: FormatName, value: Json, depth: number): void => {
  if (depth > depthMax) fail(format, 0, `at most ${depthMax} levels of JSON`, "more")
  if (typeof value === "string") return checkText(format, value)
  if (
    typeof value === "number" &&
    (Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value))
  ) {
    fail(format, 0, "numbers below 2^53", String(value))
  }
  if (typeof value !== "object" || value === null) return
  for (const [key, item] of Object.entries<Json>(value)) {
    checkText(format, key)
    checkValue(format, item, depth + 1)
  }
}

const decodeText = (format: FormatName, bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail(format, 0, "text in UTF-8", "other bytes")
  }
}

const parseText = (format: FormatName, text: string): Json => {
  try {
    return JSON.parse(text)
  } catch (error) {
    return fail(format, 0, "JSON", error instanceof Error ? error.message : String(error))
  }
}

/** Reads JSON; every fault of it is a `FormatError` of the format it is part of. */
export const parse = (format: FormatName, bytes: Uint8Array): Json => {
  const value = parseText(format, decodeText(format, bytes))
  checkValue(format, value, 1)
  return value
}

/** The same value with the keys of every object in canonical order. */
export const sorted = (value: Json): Json => {
  if (typeof value !== "object" || value === null) return value
  if (isObject(value))
    return Object.fromEntries(sortedKeys(value).map((key) => [key, sorted(value[key] ?? null)]))
  return value.map(sorted)
}

/** The text that is signed. */
export const canonical = (format: FormatName, value: Json): string => {
  if (value === null) return fail(format, 0, "no null in what is signed", "null")
  if (typeof value !== "object") return JSON.stringify(value)
  if (!isObject(value)) return `[${value.map((item) => canonical(format, item)).join(",")}]`
  const members = sortedKeys(value).map(
    (key) => `${JSON.stringify(key)}:${canonical(format, value[key] ?? null)}`
  )
  return `{${members.join(",")}}`
}
