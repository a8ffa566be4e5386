/**
 * A dynamic chunker that prefers to cut where files begin. The encoder of a split archive suggests the
 * payload offset of each file before it writes the file; a suggestion that makes a chunk of permitted size
 * wins over the hash, so that an unchanged file is found again as the same chunks. The rules are those of
 * Proxmox Backup Server's `PayloadChunker`.
 *
 * Unlike with the dynamic chunker, the boundaries depend on how much is known at the time of a call: the hash
 * may cut before a suggestion whose bytes have not arrived yet. Readers accept any boundaries.
 */
import { type DynamicChunker, makeDynamicChunker } from "./DynamicChunker.ts"
import type { Scanner } from "./Scanner.ts"

export interface PayloadChunker extends DynamicChunker {
  /** Offset in the payload stream at which the chunk in progress begins. */
  readonly position: () => number
  /**
   * Suggests a boundary at `streamOffset`; meant to be called in ascending order, and what is past is
   * ignored.
   */
  suggest(streamOffset: number): void
  /**
   * Accounts for reused chunks that go into the index between two chunks of this stream. Only between chunks:
   * end the one in progress first, with `isEnd`.
   */
  inject(sizeBytes: number): void
}

/** Drops the consumed front of a queue only when it is worth moving the rest. */
const compactionThreshold = 1024

const checkOffset = (value: number, what: string): void => {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`${what} must be a whole number, not ${value}`)
}

export const makePayloadChunker = (scanner: Scanner, averageBytes: number): PayloadChunker => {
  const chunker = makeDynamicChunker(scanner, averageBytes)
  const { minimumBytes, maximumBytes } = chunker
  let suggestions: Array<number> = []
  let suggestionsUsed = 0
  let position = 0
  let seenBytes = 0

  const dropSuggestion = (): void => {
    suggestionsUsed++
    if (suggestionsUsed >= compactionThreshold && suggestionsUsed * 2 >= suggestions.length) {
      suggestions = suggestions.slice(suggestionsUsed)
      suggestionsUsed = 0
    }
  }

  /**
   * The chunk length that the next usable suggestion asks for; 0 to leave the decision to the hash.
   */
  const suggestedLength = (available: number): number => {
    for (;;) {
      const suggestion = suggestions[suggestionsUsed]
      if (suggestion === undefined || suggestion > position + available) return 0
      const length = suggestion - position
      // A suggestion that is too far for this chunk may suit the next one.
      if (length > maximumBytes) return 0
      dropSuggestion()
      // Behind what was already looked at, or too close to the start: the next suggestion may do.
      if (length < seenBytes || length < minimumBytes) continue
      // It came too late: up to here the hash has spoken.
      return length === seenBytes ? 0 : length
    }
  }

  const reset = (): void => {
    chunker.reset()
    seenBytes = 0
  }

  const next = (start: number, available: number, isEnd: boolean): number => {
    const length = suggestedLength(available) || chunker.next(start, available, isEnd)
    if (length === 0 && !isEnd) {
      seenBytes = available
      return 0
    }
    reset()
    position += length
    return length
  }

  const suggest = (streamOffset: number): void => {
    checkOffset(streamOffset, "a suggested boundary")
    suggestions.push(streamOffset)
  }

  const inject = (sizeBytes: number): void => {
    checkOffset(sizeBytes, "the size of injected chunks")
    if (seenBytes !== 0)
      throw new Error(`chunks cannot be injected into the chunk that begins at ${position}`)
    position += sizeBytes
  }

  return { averageBytes, minimumBytes, maximumBytes, next, reset, suggest, inject, position: () => position }
}
