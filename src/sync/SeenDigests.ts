/**
 * SeenDigests: a set of digests that takes about the same memory for each of them, however many there are.
 *
 * A table of digests doubles when it is full, so a digest of one takes from 53 to 106 bytes, and while it doubles half
 * as much again. So there are sixteen, whose shares of all digests differ by a sixteenth of a doubling from one to the
 * next: they double one after the other, and together a digest takes some 76 bytes at every size, and less than 90
 * while one of them doubles. That holds for digests as they are; somebody who makes content for the
 * purpose can come to what a single table would take.
 *
 * Invariant: which table a digest is in, its first byte alone says.
 */
import { DigestTable } from "../model/DigestTable.ts"

const tableCount = 16

/** The table of each first byte: shares fall from table to table, by half from the first to one behind the last. */
const tableOfByte: Uint8Array = (() => {
  const shares = Array.from({ length: tableCount }, (_, table) => 2 ** (-table / tableCount))
  const all = shares.reduce((sum, share) => sum + share, 0)
  const tables = new Uint8Array(256)
  let from = 0
  let part = 0
  shares.forEach((share, table) => {
    part += share
    const until = Math.round((part / all) * 256)
    tables.fill(table, from, until)
    from = until
  })
  return tables
})()

export class SeenDigests {
  readonly #tables: ReadonlyArray<DigestTable>

  /** A random seed protects against digests made to collide. */
  constructor(seed?: number) {
    this.#tables = Array.from({ length: tableCount }, () => new DigestTable(0, seed))
  }

  get size(): number {
    return this.#tables.reduce((sum, { size }) => sum + size, 0)
  }

  /** Adds the 32 bytes at `offset`; true when they were not there yet. */
  add(bytes: Uint8Array, offset = 0): boolean {
    return this.#tableOf(bytes, offset).add(bytes, offset)
  }

  has(bytes: Uint8Array, offset = 0): boolean {
    return this.#tableOf(bytes, offset).has(bytes, offset)
  }

  /** True when the digest was there. */
  delete(bytes: Uint8Array, offset = 0): boolean {
    return this.#tableOf(bytes, offset).delete(bytes, offset)
  }

  #tableOf(bytes: Uint8Array, offset: number): DigestTable {
    const table = this.#tables[tableOfByte[bytes[offset] ?? 0] ?? 0]
    if (table === undefined) throw new RangeError("a first byte has no table")
    return table
  }
}
