/**
 * Cuts a stream into chunks of variable size where the content says so. A chunk ends at the first position,
 * at least `average / 4` bytes in, that passes the boundary test, and at `average * 4` bytes at the latest;
 * what remains at the end of the stream is the last chunk. The boundaries are those of Proxmox Backup
 * Server's `ChunkerImpl`.
 *
 * The bytes are the caller's: it keeps the chunk in progress contiguous in the scanner's region and asks,
 * whenever more of it has arrived, whether its end is known. The chunker remembers how far it has looked, so
 * no byte is scanned twice and the boundaries do not depend on how the bytes arrive.
 */
import { boundaryMask, type Scanner, windowSizeBytes } from "./Scanner.ts"

/** Average chunk size of archives of files. */
export const archiveAverageBytes = 4 * 1024 * 1024

/** Average chunk size of the catalog, which is small and changes all over. */
export const catalogAverageBytes = 512 * 1024

export interface DynamicChunker {
  readonly averageBytes: number
  readonly minimumBytes: number
  readonly maximumBytes: number
  /**
   * Of the chunk that begins at offset `start` of the scanner's region `available` bytes are there. Returns
   * the chunk's length when its end is known, and is then ready for the next chunk; returns 0 when it takes
   * more bytes to tell. At the end of the stream (`isEnd`) the remaining bytes are a chunk.
   *
   * Until the chunk ends `available` must not shrink; `start` may move together with the bytes.
   */
  next(start: number, available: number, isEnd: boolean): number
  /** Forgets the chunk in progress: the next call is about the first bytes of another one. */
  reset(): void
}

export const makeDynamicChunker = (scanner: Scanner, averageBytes: number): DynamicChunker => {
  boundaryMask(averageBytes)
  const minimumBytes = averageBytes / 4
  const maximumBytes = averageBytes * 4
  // The window has to be full before a byte more can be tested: with an average of 256 bytes a chunk of
  // exactly the minimum never ends at its hash.
  const firstTestedBytes = Math.max(minimumBytes, windowSizeBytes + 1)
  let testedNextBytes = firstTestedBytes

  const reset = (): void => {
    testedNextBytes = firstTestedBytes
  }

  const scan = (start: number, available: number): number => {
    const scannable = Math.min(available, maximumBytes)
    if (scannable >= testedNextBytes) {
      const cut = scanner.findCut(start + testedNextBytes, start + scannable, averageBytes)
      if (cut !== -1) return cut - start
      testedNextBytes = scannable + 1
    }
    return available >= maximumBytes ? maximumBytes : 0
  }

  const next = (start: number, available: number, isEnd: boolean): number => {
    const length = scan(start, available) || (isEnd ? available : 0)
    if (length !== 0 || isEnd) reset()
    return length
  }

  return { averageBytes, minimumBytes, maximumBytes, next, reset }
}
