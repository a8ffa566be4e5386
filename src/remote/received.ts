/** received: the pieces of an answer on their way into memory, which never holds more than the answer may have. */
export interface Received {
  /** False when the answer is larger than it may be. */
  readonly add: (piece: Uint8Array) => boolean
  readonly sizeBytes: () => number
  /** In memory of its own, which may be handed to another thread. */
  readonly whole: () => Uint8Array
}

export const make = (maxBytes: number): Received => {
  const pieces: Array<Uint8Array> = []
  let total = 0
  return {
    add: (piece) => {
      total += piece.length
      if (total > maxBytes) return false
      pieces.push(piece)
      return true
    },
    sizeBytes: () => total,
    whole: () => {
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
