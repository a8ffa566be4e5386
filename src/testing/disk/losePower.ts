/**
 * losePower: what becomes of a memory disk's state when the power goes: the fault model of `MemoryDisk`, carried out.
 *
 * Every decision goes through `choose`, in an order that depends on the disk alone; 0 always means that the data
 * survives.
 */
import type { InodeTable } from "./InodeTable.ts"
import type { NameJournal, NameOperation } from "./NameJournal.ts"

/** Picks one of `count` outcomes, from 0 on. */
export type Choose = (count: number) => number

/** What a disk holds in memory only. */
export interface Unsynced {
  readonly names: NameJournal
  /** Files with content that was not flushed. */
  readonly contents: Set<number>
  /** Files with access times that were not flushed, and the times on the disk. */
  readonly accessTimes: Map<number, number>
}

const undo = (table: InodeTable, { changes }: NameOperation): void => {
  for (const { directory, name, before } of changes.toReversed()) table.setEntry(directory, name, before)
}

/** The content of a file that was not flushed; undefined when it survives. */
const tornContent = (content: Uint8Array, choose: Choose): Uint8Array | undefined => {
  const { length } = content
  if (length === 0) return undefined
  // One byte can only be there or not: what lies between empty and whole begins with two.
  switch (choose(length === 1 ? 3 : 4)) {
    case 0:
      return undefined
    case 1:
      return content.slice(0, 0)
    case 2:
      return zeroedFrom(content, choose(length))
    default:
      return content.slice(0, 1 + choose(length - 1))
  }
}

/** The size arrived, the blocks behind `start` did not. */
const zeroedFrom = (content: Uint8Array, start: number): Uint8Array => content.slice().fill(0, start)

const describeTorn = (before: Uint8Array, after: Uint8Array): string => {
  if (after.length < before.length) return `holds ${after.length} of ${before.length} bytes`
  const end = after.findLastIndex((byte) => byte !== 0) + 1
  return `is zero from byte ${end} of ${before.length} on`
}

/** Changes table and unsynced state to what is found after the power is back; tells what was lost. */
export const losePower = (table: InodeTable, unsynced: Unsynced, choose: Choose): ReadonlyArray<string> => {
  const { kept, lost } = unsynced.names.lose(() => choose(2) === 1)
  const told = lost.map(({ operation, path }) => `lost: ${operation} ${path}`).toReversed()
  for (const operation of lost) undo(table, operation)
  for (const { changes } of [...kept, ...lost]) {
    for (const { before, after } of changes) {
      if (before !== undefined) table.dropNameless(before)
      if (after !== undefined) table.dropNameless(after)
    }
  }
  let paths: ReadonlyMap<number, string> | undefined
  const pathOf = (number: number): string => (paths ??= table.paths()).get(number) ?? ""
  const inOrder = [...unsynced.contents].toSorted((left, right) => left - right)
  for (const number of inOrder) {
    const inode = table.find(number)
    const torn = inode === undefined ? undefined : tornContent(inode.content, choose)
    if (inode === undefined || torn === undefined) continue
    told.push(`torn: ${pathOf(number)} ${describeTorn(inode.content, torn)}`)
    table.setContent(number, torn)
  }
  for (const [number, atimeMillis] of [...unsynced.accessTimes].toSorted(([left], [right]) => left - right)) {
    if (table.find(number) === undefined || choose(2) === 0) continue
    told.push(`lost: access time of ${pathOf(number)}`)
    table.own(number).atimeMillis = atimeMillis
  }
  unsynced.contents.clear()
  unsynced.accessTimes.clear()
  return told
}
