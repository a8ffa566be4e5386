/**
 * Validators: how a client knows that a file is still the one it has (RFC 9110, sections 8.8 and 13).
 *
 * An entity tag is strong: made of the inode, which stands for one thing as long as the tree is open, of size and time,
 * and of the tag of the tree, which no other tree has. So what a client keeps of one tree never passes for a file of
 * another, though both may have given it the same number.
 */
import type { Attributes } from "../vfs/Vfs.ts"

export interface Validators {
  readonly etag: string
  /** Undefined when HTTP cannot write the year. */
  readonly lastModified: string | undefined
  readonly mtimeSeconds: number
}

/** By lower-case name. */
export type RequestHeaders = Readonly<Record<string, string | undefined>>

const httpDate = (seconds: number): string | undefined => {
  const date = new Date(seconds * 1000)
  const year = date.getUTCFullYear()
  return year >= 1 && year <= 9999 ? date.toUTCString() : undefined
}

export const of = (
  { inode, mtimeNanos, mtimeSeconds, sizeBytes }: Attributes,
  treeTag: string
): Validators => {
  const [number, size, seconds, nanos] = [inode, sizeBytes, mtimeSeconds, mtimeNanos].map((part) =>
    part.toString(36)
  )
  return {
    etag: `"${treeTag}-${number}-${size}-${seconds}.${nanos}"`,
    lastModified: httpDate(mtimeSeconds),
    mtimeSeconds
  }
}

/** Seconds; undefined when it is no date of HTTP. Its oldest form names no zone and means Greenwich. */
const parseDate = (text: string | undefined): number | undefined => {
  if (text === undefined || !/^[A-Z][a-z]{2,8},? /.test(text)) return undefined
  const millis = Date.parse(text.endsWith(" GMT") ? text : `${text} GMT`)
  return Number.isNaN(millis) ? undefined : Math.floor(millis / 1000)
}

const lists = (header: string, { etag }: Validators, kind: "strong" | "weak"): boolean => {
  if (header.trim() === "*") return true
  const tags = header.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => (kind === "weak" ? tag.replace(/^W\//, "") : tag) === etag)
}

/** What the conditions of a request for a file come to, in the order that the standard gives them. */
export const evaluate = (
  headers: RequestHeaders,
  validators: Validators
): "proceed" | "not-modified" | "failed" => {
  const ifMatch = headers["if-match"]
  const unmodifiedSince = parseDate(headers["if-unmodified-since"])
  if (ifMatch !== undefined) {
    if (!lists(ifMatch, validators, "strong")) return "failed"
  } else if (unmodifiedSince !== undefined && validators.mtimeSeconds > unmodifiedSince) {
    return "failed"
  }
  const ifNoneMatch = headers["if-none-match"]
  if (ifNoneMatch !== undefined) return lists(ifNoneMatch, validators, "weak") ? "not-modified" : "proceed"
  const modifiedSince = parseDate(headers["if-modified-since"])
  return modifiedSince !== undefined && validators.mtimeSeconds <= modifiedSince ? "not-modified" : "proceed"
}

/**
 * Whether a range may be answered with a part. Only the exact tag allows it: by the time of a file, which has whole
 * seconds here, nobody can be sure to add to the right one.
 */
export const allowsRange = (headers: RequestHeaders, { etag }: Validators): boolean => {
  const ifRange = headers["if-range"]
  return ifRange === undefined || ifRange.trim() === etag
}
