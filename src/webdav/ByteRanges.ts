/**
 * ByteRanges: which bytes of a file a `Range` header asks for (RFC 9110, section 14).
 *
 * A header that is not understood is passed over, as the standard wants, and so is one with more than 16 ranges: the
 * answer is the whole file then. Ranges that overlap are put together, so no byte is ever sent twice.
 */

export interface ByteRange {
  readonly start: number
  /** Behind the last byte. */
  readonly end: number
}

/** Never empty lists; `unsatisfiable` when all that is asked for lies behind the end. */
export type Ranges = "whole" | "unsatisfiable" | ReadonlyArray<ByteRange>

const rangesMax = 16

/** Undefined when it is no range; `end <= start` when the file has nothing of it. */
const parseOne = (text: string, sizeBytes: number): ByteRange | undefined => {
  const [, first, last] = /^(\d*)-(\d*)$/.exec(text.trim()) ?? []
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined
  if (first === "") return { start: Math.max(0, sizeBytes - Number(last)), end: sizeBytes }
  if (last !== "" && Number(last) < Number(first)) return undefined
  return { start: Number(first), end: last === "" ? sizeBytes : Math.min(sizeBytes, Number(last) + 1) }
}

const merge = (ranges: ReadonlyArray<ByteRange>): ReadonlyArray<ByteRange> => {
  const sorted = ranges.toSorted((a, b) => a.start - b.start)
  const overlaps = sorted.some((range, index) => index > 0 && range.start < (sorted[index - 1]?.end ?? 0))
  if (!overlaps) return ranges
  const merged: Array<ByteRange> = []
  for (const range of sorted) {
    const last = merged.at(-1)
    if (last === undefined || range.start > last.end) merged.push(range)
    else merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, range.end) }
  }
  return merged
}

export const parse = (header: string | undefined, sizeBytes: number): Ranges => {
  const [, list] = /^\s*bytes\s*=(.*)$/i.exec(header ?? "") ?? []
  if (list === undefined) return "whole"
  const parts = list.split(",").filter((part) => part.trim() !== "")
  if (parts.length === 0 || parts.length > rangesMax) return "whole"
  const ranges: Array<ByteRange> = []
  for (const part of parts) {
    const range = parseOne(part, sizeBytes)
    if (range === undefined) return "whole"
    if (range.end > range.start) ranges.push(range)
  }
  return ranges.length === 0 ? "unsatisfiable" : merge(ranges)
}

/** As a `Content-Range` header says it. */
export const format = ({ start, end }: ByteRange, sizeBytes: number): string =>
  `bytes ${start}-${end - 1}/${sizeBytes}`
