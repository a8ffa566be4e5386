/** A growing little-endian byte buffer for encoders. `finish` hands out a view of what was written. */
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
    this.#view.setUint8(this.#reserve(1), value)
    return this
  }

  u32(value: number): this {
    this.#view.setUint32(this.#reserve(4), value, true)
    return this
  }

  u64(value: bigint | number): this {
    if (typeof value === "number") return this.#safeInteger(value)
    this.#view.setBigUint64(this.#reserve(8), value, true)
    return this
  }

  i64(value: bigint | number): this {
    if (typeof value === "number") return this.#safeInteger(value)
    this.#view.setBigInt64(this.#reserve(8), value, true)
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
    this.#bytes.set(value, this.#reserve(value.length))
    return this
  }

  zeros(count: number): this {
    this.#bytes.fill(0, this.#reserve(count), this.#length)
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
