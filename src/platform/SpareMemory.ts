/**
 * SpareMemory: memory of some MiB that is used again. New memory is filled with zeros page by page, which costs more
 * than reading a chunk into it.
 *
 * Invariant: memory is given out again only after its user has given it back; whoever cannot tell whether something
 * still reads from it keeps it, and the garbage collector has it in the end.
 */

/** Less is soon made anew. */
const worthwhileBytes = 256 * 1024

/** Lengths are whole numbers of these, so that one fits for another. */
const stepBytes = 64 * 1024

export class SpareMemory {
  readonly #keptMaxBytes: number
  readonly #kept: Array<ArrayBuffer> = []
  #keptBytes = 0

  /** No more than that waits to be used again. */
  constructor(keptMaxBytes: number) {
    this.#keptMaxBytes = keptMaxBytes
  }

  /** Holds anything. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer> {
    if (sizeBytes < worthwhileBytes) return new Uint8Array(sizeBytes)
    // The last one that was given back, for it is still near the processor; twice as much would be a waste.
    const place = this.#kept.findLastIndex(
      ({ byteLength }) => byteLength >= sizeBytes && byteLength <= 2 * sizeBytes
    )
    const [found] = place < 0 ? [] : this.#kept.splice(place, 1)
    this.#keptBytes -= found?.byteLength ?? 0
    const buffer = found ?? new ArrayBuffer(Math.ceil(sizeBytes / stepBytes) * stepBytes)
    return new Uint8Array(buffer, 0, sizeBytes)
  }

  /** All that was taken with one call; nobody uses it any more. */
  giveBack({ buffer }: Uint8Array): void {
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < worthwhileBytes) return
    if (this.#keptBytes + buffer.byteLength > this.#keptMaxBytes) return
    this.#kept.push(buffer)
    this.#keptBytes += buffer.byteLength
  }
}
