/**
 * A growing little-endian byte buffer for encoders. An encoder of one thing takes it all with `finish`; one
 * of a stream takes piece after piece with `drain`, while `position` goes on counting.
 */

const MAXIMUM_U64 = 2n ** 64n - 1n

export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  #length = 0
  #drainedBytes = 0

  constructor(initialCapacityBytes = 256) {
    this.#bytes = new Uint8Array(initialCapacityBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get length(): number {
    return this.#length
  }

  /** Bytes since the beginning of the stream: drained, passed by and still here. */
  get position(): number {
    return this.#drainedBytes + this.#length
  }

  /**
   * Makes room and gives its start. It may replace `#bytes` and `#view`: fetch those after the call, never
   * before.
   */
  #reserve(count: number): number {
    const start = this.#length
    const needed = start + count
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, start))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#length = needed
    return start
  }

  u8(value: number): this {
    const start = this.#reserve(1)
    this.#view.setUint8(start, value)
    return this
  }

  u32(value: number): this {
    const start = this.#reserve(4)
    this.#view.setUint32(start, value, true)
    return this
  }

  u64(value: bigint | number): this {
    if (value < 0) throw new RangeError(`${value} is negative`)
    if (typeof value === "number") return this.#safeInteger(value)
    if (value > MAXIMUM_U64) throw new RangeError(`${value} has more than 64 bits`)
    const start = this.#reserve(8)
    this.#view.setBigUint64(start, value, true)
    return this
  }

  i64(value: bigint | number): this {
    if (typeof value === "number") return this.#safeInteger(value)
    const start = this.#reserve(8)
    this.#view.setBigInt64(start, value, true)
    return this
  }

  /** A u64 given as its two halves, for ids and hashes that must not go through a bigint. */
  u64Halves(low: number, high: number): this {
    const start = this.#reserve(8)
    this.#view.setUint32(start, low, true)
    this.#view.setUint32(start + 4, high, true)
    return this
  }

  /** Two's complement of an exact integer: the setters take each half modulo 2^32. */
  #safeInteger(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not an exact integer`)
    return this.u64Halves(value, Math.floor(value / 0x1_0000_0000))
  }

  bytes(value: Uint8Array): this {
    const start = this.#reserve(value.length)
    this.#bytes.set(value, start)
    return this
  }

  zeros(count: number): this {
    const start = this.#reserve(count)
    this.#bytes.fill(0, start, this.#length)
    return this
  }

  /** Forgets what was written and keeps the memory. */
  reset(): void {
    this.#length = 0
  }

  /** What was written so far: a view that the next write may invalidate. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Forgets what was written after the buffer had `length` bytes. */
  rewind(length: number): void {
    if (length > this.#length) throw new RangeError(`cannot rewind from ${this.#length} to ${length}`)
    this.#length = length
  }

  /** Hands out what was written since the last drain, as bytes of its own, and goes on behind it. */
  drain(): Uint8Array {
    const drained = this.finish()
    this.#drainedBytes += this.#length
    this.#length = 0
    return drained
  }

  /** Counts bytes of the stream that its owner wrote past this buffer; what came before must be drained. */
  passBy(count: number): void {
    if (this.#length !== 0) throw new Error(`${this.#length} bytes must be drained before others pass by`)
    this.#drainedBytes += count
  }

  /** What was written, as bytes of its own. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }
}
