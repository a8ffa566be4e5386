/**
 * KnownSizes: the chunks that a session's client may name in an index, with the size of their content: those that it
 * has uploaded, and those of an index of the previous snapshot that it has asked for. A client cannot name a chunk that
 * it has not shown to have: so nobody reads what belongs to others by guessing digests.
 */
import type { ChunkIndex } from "../../format/ChunkIndex.ts"
import { DigestTable } from "../../model/DigestTable.ts"

export class KnownSizes {
  readonly #table: DigestTable

  constructor(seed: number) {
    this.#table = new DigestTable(0, seed)
  }

  get count(): number {
    return this.#table.size
  }

  add(digestBytes: Uint8Array, sizeBytes: number): void {
    this.#table.set(digestBytes, 0, sizeBytes)
  }

  /** Undefined for a chunk that is not known. */
  sizeOf(digestBytes: Uint8Array): number | undefined {
    return this.#table.get(digestBytes)
  }

  /** Takes some chunks of an index for known. */
  addFrom(index: ChunkIndex, first: number, end: number): void {
    for (let chunk = first; chunk < end; chunk++) {
      this.#table.set(index.entries, index.digestOffset(chunk), index.end(chunk) - index.start(chunk))
    }
  }
}
