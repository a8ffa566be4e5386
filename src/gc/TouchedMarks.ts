/**
 * TouchedMarks: marks as access times, the way of Proxmox Backup Server: every chunk that an index needs is touched,
 * and the sweep goes by times alone.
 *
 * So that a chunk of many snapshots is not touched for each of them, the digests touched last are remembered, in two
 * generations: when the younger one is full it becomes the older one, and what the older one held is forgotten. What is
 * looked up in the older one moves to the younger: those in use stay.
 *
 * A chunk that is not there is remembered as missing, and its condemned copies are touched instead: they may be all
 * that is left of it, and are kept until a good one comes.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import { Files } from "../platform/Files.ts"
import type { ChunkStore } from "../store/ChunkStore.ts"
import { chunkPath, type StoreLayout } from "../store/StoreLayout.ts"
import type { Marks, MarkStatistics } from "./Marks.ts"
import type { StorageError } from "../store/StorageError.ts"

/** Remembers about the last `capacity` digests. */
export class RecentDigests {
  readonly #generationMax: number
  readonly #seed: number
  #younger: DigestTable
  #older: DigestTable

  constructor(capacity: number, seed: number) {
    this.#generationMax = Math.ceil(capacity / 2)
    this.#seed = seed
    this.#younger = new DigestTable(0, seed)
    this.#older = new DigestTable(0, seed)
  }

  /** True when the digest was there; now it is. */
  add(bytes: Uint8Array, offset: number): boolean {
    if (this.#generationMax === 0) return false
    if (this.#younger.has(bytes, offset)) return true
    const wasOlder = this.#older.has(bytes, offset)
    if (this.#younger.size >= this.#generationMax) {
      this.#older = this.#younger
      this.#younger = new DigestTable(0, this.#seed)
    }
    this.#younger.add(bytes, offset)
    return wasOlder
  }
}

const badNumbers = Array.from({ length: 10 }, (_, number) => number)
const entriesPerBatch = 1024

export interface TouchedMarksOptions {
  readonly layout: StoreLayout
  readonly chunks: ChunkStore["Service"]
  readonly seed: number
  /** How many touched digests are remembered; 0 for none. */
  readonly capacity: number
}

export const make = (options: TouchedMarksOptions): Effect.Effect<Marks, never, Files> =>
  Effect.map(Files, (files) => {
    const { chunks, layout } = options
    const recent = new RecentDigests(options.capacity, options.seed)
    const missing = new DigestTable(0, options.seed)
    const statistics: MarkStatistics = { entries: 0, hits: 0, misses: 0 }

    const touch = (bytes: Uint8Array): Effect.Effect<void, StorageError> =>
      Effect.gen(function* () {
        const digest = Digest.fromBytes(bytes)
        if (yield* chunks.touch(digest)) return
        missing.add(bytes)
        const file = chunkPath(layout, digest)
        yield* Effect.forEach(badNumbers, (number) => files.touch(`${file}.${number}.bad`), { discard: true })
      })

    /** Those of a stretch of the index that have to be touched. */
    const select = (index: ChunkIndex, from: number, end: number): ReadonlyArray<Uint8Array> => {
      const wanted: Array<Uint8Array> = []
      for (let chunk = from; chunk < end; chunk++) {
        const bytes = index.digestBytes(chunk)
        if (recent.add(bytes, 0)) statistics.hits += 1
        else wanted.push(bytes)
      }
      statistics.entries += end - from
      statistics.misses += wanted.length
      return wanted
    }

    const mark = (index: ChunkIndex) =>
      Effect.gen(function* () {
        for (let from = 0; from < index.count; from += entriesPerBatch) {
          const wanted = select(index, from, Math.min(index.count, from + entriesPerBatch))
          yield* Effect.forEach(wanted, touch, { concurrency: chunks.parallelism, discard: true })
        }
      })

    return {
      mark,
      statistics,
      keeps: () => false,
      keepsFound: (digestBytes) => {
        missing.delete(digestBytes)
        return false
      },
      notFound: () => missing.toBytes()
    }
  })
