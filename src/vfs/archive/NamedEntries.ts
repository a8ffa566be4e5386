/**
 * NamedEntries: decodes entries with their names out of bytes that hold many of them: a directory in one synchronous
 * go.
 *
 * Decoders are plain functions that throw `FormatError`. They answer with a number when they need that many bytes, as
 * in `EntryDecoder`. What they hand out never keeps the bytes alive that it came from.
 */
import { fail } from "../../format/FormatError.ts"
import type { Entry } from "../../format/pxar/Entry.ts"
import { decodeEntry } from "../../format/pxar/EntryDecoder.ts"
import { decodeFileName } from "../../format/pxar/FileName.ts"
import type { ChildExtent } from "../../format/pxar/GoodbyeTable.ts"

/** An entry in its place, hard links as they are stored. */
export interface NamedEntry {
  readonly name: Uint8Array
  /** Of the FILENAME item. */
  readonly fileOffset: number
  readonly entryStart: number
  /** Of the entry; of its attributes in case of a directory. */
  readonly endOffset: number
  readonly entry: Entry
}

/** Decodes the entry whose FILENAME item is the first of `bytes`, and that ends before `limitOffset`. */
export const decodeNamed = (
  version: 1 | 2,
  bytes: Uint8Array,
  fileOffset: number,
  limitOffset: number
): NamedEntry | number => {
  const named = decodeFileName(bytes, fileOffset, limitOffset)
  if (typeof named === "number") return named
  const { entryStart, name } = named
  const nameBytes = entryStart - fileOffset
  const range = { fileOffset, entryStart, endOffset: limitOffset }
  const decoded = decodeEntry(version, bytes.subarray(nameBytes), range)
  if (typeof decoded === "number") return nameBytes + decoded
  return { name, fileOffset, entryStart, endOffset: decoded.endOffset, entry: decoded.entry }
}

/** Decodes one child of a directory, which must be as long as the directory's table says. */
export const decodeChild = (
  version: 1 | 2,
  bytes: Uint8Array,
  { endOffset, fileOffset, sizeBytes }: ChildExtent
): NamedEntry | number => {
  const decoded = decodeNamed(version, bytes, fileOffset, endOffset)
  if (typeof decoded === "number") return decoded
  const isDirectory = decoded.entry.kind === "directory"
  const isWhole = isDirectory ? sizeBytes === endOffset - fileOffset : decoded.endOffset === endOffset
  if (!isWhole) {
    const found = isDirectory ? `${sizeBytes} bytes` : `one up to ${decoded.endOffset}`
    fail("pxar archive", fileOffset, `an entry up to ${endOffset}`, found)
  }
  return decoded
}

/** Bytes that are read in one piece, and which children begin in them. */
export interface Run {
  readonly offset: number
  readonly endOffset: number
  readonly firstChild: number
  readonly endChild: number
}

/** Nearly every entry without its content is shorter. */
const headBytes = 2048

/** Contents and subtrees up to this size are read over, rather than asking again behind them. */
const gapBytes = 32 * 1024

/** Keeps a very large directory from being held in memory twice. */
const runBytes = 1024 * 1024

/** Where to read so that all children come, and as little else as possible. */
export const planRuns = (children: ReadonlyArray<ChildExtent>): ReadonlyArray<Run> => {
  const runs: Array<Run> = []
  let run: { offset: number; endOffset: number; firstChild: number } | undefined
  for (const [index, { endOffset, fileOffset }] of children.entries()) {
    const headEnd = Math.min(endOffset, fileOffset + headBytes)
    if (run !== undefined && fileOffset - run.endOffset <= gapBytes && headEnd - run.offset <= runBytes) {
      run.endOffset = headEnd
      continue
    }
    if (run !== undefined) runs.push({ ...run, endChild: index })
    run = { offset: fileOffset, endOffset: headEnd, firstChild: index }
  }
  if (run !== undefined) runs.push({ ...run, endChild: children.length })
  return runs
}
