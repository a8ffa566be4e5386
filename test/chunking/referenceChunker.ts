/**
 * The dynamic chunker as the format describes it, one byte at a time with a ring of 64 bytes: the oracle that
 * the scanners and chunkers are compared with. Nothing here is shared with them but the table.
 */
import { buzhashTable } from "../../src/chunking/BuzhashTable.ts"

export const referenceSizes = (bytes: Uint8Array, averageBytes: number): Array<number> => {
  const sizes: Array<number> = []
  const window = new Uint8Array(64)
  const mask = averageBytes * 2 - 1
  let hash = 0
  let windowFill = 0
  let chunkSize = 0
  for (const byte of bytes) {
    if (windowFill < 64) {
      window[windowFill++] = byte
      hash = ((hash << 1) | (hash >>> 31)) ^ buzhashTable[byte]!
      chunkSize++
      continue
    }
    const slot = chunkSize & 63
    hash = ((hash << 1) | (hash >>> 31)) ^ buzhashTable[window[slot]!]! ^ buzhashTable[byte]!
    window[slot] = byte
    chunkSize++
    const isBoundary = chunkSize >= averageBytes / 4 && (hash & mask) >= mask - 2
    if (chunkSize >= averageBytes * 4 || isBoundary) {
      sizes.push(chunkSize)
      hash = 0
      windowFill = 0
      chunkSize = 0
    }
  }
  if (chunkSize > 0) sizes.push(chunkSize)
  return sizes
}

/** Whether the window that ends at `position` passes the boundary test, from the definition. */
export const isReferenceCut = (bytes: Uint8Array, position: number, averageBytes: number): boolean => {
  const mask = averageBytes * 2 - 1
  let hash = 0
  for (let index = position - 64; index < position; index++) {
    hash = ((hash << 1) | (hash >>> 31)) ^ buzhashTable[bytes[index]!]!
  }
  return (hash & mask) >= mask - 2
}
