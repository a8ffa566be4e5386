/** received: the pieces of an answer on their way into memory, which never holds more than the answer may have. */
export interface Received {
  /** False when the answer is larger than it may be. */
  readonly add: (piece: Uint8Array) => boolean
  readonly sizeBytes: () => number
  /** In memory of its own, which may be handed to another thread. */
  readonly whole: () => Uint8Array
}

/** What is announced as no larger is put together as it comes: pieces that wait would outlive several collections. */
const togetherMaxBytes = 16 * 1024 * 1024 + 4096

const roomFor = (maxBytes: number, announcedBytes: number | undefined): Uint8Array | undefined =>
  announcedBytes !== undefined && announcedBytes <= Math.min(maxBytes, togetherMaxBytes)
    ? new Uint8Array(announcedBytes)
    : undefined

/** `announcedBytes`: what the answer says of its size, if it says anything. */
export const make = (maxBytes: number, announcedBytes?: number): Received => {
  const pieces: Array<Uint8Array> = []
  let total = 0
  let target = roomFor(maxBytes, announcedBytes)

  /** More came than was announced. */
  const outgrow = (filled: Uint8Array): void => {
    pieces.push(filled)
    target = undefined
  }

  return {
    add: (piece) => {
      total += piece.length
      if (total > maxBytes) return false
      const start = total - piece.length
      if (target !== undefined && total > target.length) outgrow(target.subarray(0, start))
      if (target === undefined) pieces.push(piece)
      else target.set(piece, start)
      return true
    },
    sizeBytes: () => total,
    whole: () => {
      if (target !== undefined) return total === target.length ? target : target.slice(0, total)
      const whole = new Uint8Array(total)
      let at = 0
      for (const piece of pieces) {
        whole.set(piece, at)
        at += piece.length
      }
      return whole
    }
  }
}
