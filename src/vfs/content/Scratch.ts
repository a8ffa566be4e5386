/**
 * Scratch: memory in which reads are put together that lie in several chunks, used again and again: fresh memory costs
 * more than what is copied into it.
 *
 * Invariant: what was taken belongs to the taker until he gives it back.
 */

/** The largest read of a kernel. */
const pieceBytes = 1024 * 1024

const keptMax = 4

export class Scratch {
  readonly #free: Array<Uint8Array> = []

  /** Memory of exactly that size; what is in it is no matter. */
  take(sizeBytes: number): Uint8Array {
    if (sizeBytes > pieceBytes) return new Uint8Array(sizeBytes)
    return (this.#free.pop() ?? new Uint8Array(pieceBytes)).subarray(0, sizeBytes)
  }

  /** Nobody uses it any more. */
  giveBack({ buffer }: Uint8Array): void {
    if (buffer.byteLength === pieceBytes && this.#free.length < keptMax)
      this.#free.push(new Uint8Array(buffer))
  }
}
