/**
 * Cuts a stream into chunks of one size, a power of two; only the last may be shorter. Disk images are stored
 * so: their blocks keep their places, and a chunk's number is then a shift of its offset.
 */

/** Chunk size of disk images; Proxmox Backup Server accepts no other for them. */
export const imageChunkSizeBytes = 4 * 1024 * 1024

/** Far above any use, and far below where bit operators end. */
const chunkSizeBytesMax = 1024 * 1024 * 1024

export interface FixedChunker {
  readonly chunkSizeBytes: number
  /**
   * As `DynamicChunker.next`: the length of the chunk in progress, or 0 while it takes more bytes to tell.
   */
  next(start: number, available: number, isEnd: boolean): number
  reset(): void
}

export const makeFixedChunker = (chunkSizeBytes: number = imageChunkSizeBytes): FixedChunker => {
  const isPowerOfTwo = chunkSizeBytes > 0 && (chunkSizeBytes & (chunkSizeBytes - 1)) === 0
  if (!Number.isInteger(chunkSizeBytes) || chunkSizeBytes > chunkSizeBytesMax || !isPowerOfTwo) {
    throw new RangeError(`chunk size must be a power of two, not ${chunkSizeBytes}`)
  }
  return {
    chunkSizeBytes,
    next: (_start, available, isEnd) =>
      available >= chunkSizeBytes ? chunkSizeBytes : isEnd ? available : 0,
    reset: () => {}
  }
}
