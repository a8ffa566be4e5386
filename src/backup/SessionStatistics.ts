/**
 * SessionStatistics: what a backup session counts of its chunks, over all its archives.
 *
 * Invariant: a chunk that was stored is either new or a duplicate (`countStored`); one that was known before it came is
 * counted as reused by whoever knows it.
 */

/** Counts over all archives of the session. */
export interface SessionStatistics {
  chunks: number
  sizeBytes: number
  /** Chunks known from the previous snapshot or from this session. */
  reusedChunks: number
  reusedBytes: number
  /** Chunks that another backup had stored already. */
  duplicateChunks: number
  duplicateBytes: number
  newChunks: number
  newBytes: number
  /** What the new chunks take in the store. */
  storedBytes: number
  /** Encoded size of new and duplicate chunks, as PBS counts it. */
  encodedBytes: number
}

export const emptyStatistics = (): SessionStatistics => ({
  chunks: 0,
  sizeBytes: 0,
  reusedChunks: 0,
  reusedBytes: 0,
  duplicateChunks: 0,
  duplicateBytes: 0,
  newChunks: 0,
  newBytes: 0,
  storedBytes: 0,
  encodedBytes: 0
})

/** Counts a chunk that went to the store; `encodedBytes` is what it takes there, a duplicate's too. */
export const countStored = (
  statistics: SessionStatistics,
  chunk: { readonly sizeBytes: number; readonly encodedBytes: number; readonly isDuplicate: boolean }
): void => {
  statistics.encodedBytes += chunk.encodedBytes
  if (chunk.isDuplicate) {
    statistics.duplicateChunks += 1
    statistics.duplicateBytes += chunk.sizeBytes
  } else {
    statistics.newChunks += 1
    statistics.newBytes += chunk.sizeBytes
    statistics.storedBytes += chunk.encodedBytes
  }
}
