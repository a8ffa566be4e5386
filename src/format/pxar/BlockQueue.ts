/**
 * Blocks of a stream as they arrive, read as one. Bytes that lie in one block come as views of it; only what
 * straddles a border is copied.
 */
const NONE = new Uint8Array(0)

export class BlockQueue {
  readonly #blocks: Array<Uint8Array> = []
  /** Index of the front block in `#blocks`. */
  #front = 0
  #at = 0
  #availableBytes = 0
  #position = 0

  get availableBytes(): number {
    return this.#availableBytes
  }

  /** Offset of the next byte in the stream. */
  get position(): number {
    return this.#position
  }

  push(block: Uint8Array): void {
    if (block.length === 0) return
    this.#blocks.push(block)
    this.#availableBytes += block.length
  }

  /** The next `count` bytes, which must be available. */
  take(count: number): Uint8Array {
    if (count > this.#availableBytes)
      throw new Error(`${count} bytes wanted, ${this.#availableBytes} available`)
    const first = this.takeUpTo(count)
    if (first.length === count) return first
    const gathered = new Uint8Array(count)
    gathered.set(first)
    for (let filled = first.length; filled < count;) {
      const piece = this.takeUpTo(count - filled)
      gathered.set(piece, filled)
      filled += piece.length
    }
    return gathered
  }

  /** A view of at most `limit` of the next bytes; empty only when none is available or wanted. */
  takeUpTo(limit: number): Uint8Array {
    const block = this.#blocks[this.#front]
    if (block === undefined) return NONE
    const end = Math.min(block.length, this.#at + limit)
    const piece = block.subarray(this.#at, end)
    this.#at = end
    this.#availableBytes -= piece.length
    this.#position += piece.length
    if (end === block.length) this.#dropFront()
    return piece
  }

  /** Drops at most `limit` bytes and says how many. */
  skipUpTo(limit: number): number {
    const start = this.#position
    while (this.#availableBytes > 0 && this.#position - start < limit) {
      this.takeUpTo(limit - (this.#position - start))
    }
    return this.#position - start
  }

  /** Leaves out the next `count` bytes, which will not be pushed; everything that was pushed must have been taken. */
  passBy(count: number): void {
    if (this.#availableBytes > 0)
      throw new Error(`${this.#availableBytes} bytes come before what is left out`)
    this.#position += count
  }

  /** Copies what is left of the last block, whose memory may be used for something else from then on. */
  detachLast(): void {
    const last = this.#blocks.length - 1
    const block = this.#blocks[last]
    if (block === undefined || block.length === 0) return
    const at = last === this.#front ? this.#at : 0
    this.#blocks[last] = block.slice(at)
    if (last === this.#front) this.#at = 0
  }

  #dropFront(): void {
    this.#at = 0
    // Emptied at once, so that a block already read is not kept alive; compacted seldom, so that pushing many
    // small blocks does not cost a move of all the others each.
    this.#blocks[this.#front++] = NONE
    if (this.#front * 2 >= this.#blocks.length) {
      this.#blocks.splice(0, this.#front)
      this.#front = 0
    }
  }
}
