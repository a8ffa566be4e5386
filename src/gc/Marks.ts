/**
 * Marks: which chunks the indexes of a store need. Two ways to keep them:
 *
 * - `set`: a table of digests in memory. Touches nothing on the disk, so it works whatever a file system does with
 *   access times. About 70 bytes a chunk, 105 at worst.
 * - `atime`: as Proxmox Backup Server does it, every needed chunk's access time is moved to now (see `TouchedMarks`).
 *
 * Invariant: once `mark` of an index has ended, no chunk of it can be swept by the collection that these marks belong
 * to.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import { DigestTable } from "../model/DigestTable.ts"
import { IndexFollower } from "./IndexFollower.ts"
import type { StorageError } from "../store/StorageError.ts"

export interface MarkStatistics {
  /** Places in indexes. */
  entries: number
  /** Places whose chunk was marked already. */
  hits: number
  misses: number
}

export interface Marks {
  readonly mark: (index: ChunkIndex) => Effect.Effect<void, StorageError>
  /** Whether the sweep keeps the chunk because of its mark, whatever its times say. */
  readonly keeps: (digestBytes: Uint8Array) => boolean
  /** The same for a chunk that the sweep has found on the disk, whole. */
  readonly keepsFound: (digestBytes: Uint8Array) => boolean
  /** Marked chunks that were not found, 32 bytes each. To be asked when everything has been looked at. */
  readonly notFound: () => Uint8Array
  readonly statistics: MarkStatistics
}

/** Other fibers get their turn after so many places: some milliseconds. */
const entriesPerTurn = 32_768

/** Runs over stretches of an index: `count` digests from `offset` in the entries on, `stride` bytes apart. */
export const forEachStretch = (
  index: ChunkIndex,
  visit: (offset: number, stride: number, count: number) => void
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const first = index.digestOffset(0)
    const stride = index.count > 1 ? index.digestOffset(1) - first : 0
    for (let from = 0; from < index.count; from += entriesPerTurn) {
      const count = Math.min(index.count - from, entriesPerTurn)
      visit(first + from * stride, stride, count)
      if (from + count < index.count) yield* Effect.yieldNow
    }
  })

const foundNumber = 1

/** Marks in memory. `seed` is any 32-bit number. */
export const makeSet = (seed: number): Marks => {
  const table = new DigestTable(0, seed)
  const follower = new IndexFollower()
  const statistics: MarkStatistics = { entries: 0, hits: 0, misses: 0 }
  const mark = (index: ChunkIndex): Effect.Effect<void> => {
    if (index.count === 0) return Effect.void
    const first = index.digestOffset(0)
    const stride = index.count > 1 ? index.digestOffset(1) - first : 0
    let added = 0
    const add = (place: number, count: number): void => {
      added += table.addMany(index.entries, first + place * stride, stride, count)
    }
    return Effect.gen(function* () {
      follower.begin(index)
      for (let from = 0; from < index.count; from += entriesPerTurn) {
        added = 0
        const end = Math.min(index.count, from + entriesPerTurn)
        follower.repeated(from, end, add)
        statistics.entries += end - from
        statistics.misses += added
        statistics.hits += end - from - added
        if (end < index.count) yield* Effect.yieldNow
      }
    })
  }
  return {
    statistics,
    mark,
    keeps: (digestBytes) => table.has(digestBytes),
    keepsFound: (digestBytes) => {
      const isMarked = table.has(digestBytes)
      if (isMarked) table.set(digestBytes, 0, foundNumber)
      return isMarked
    },
    notFound: () => table.toBytes((number) => number !== foundNumber)
  }
}
