/** A growing little-endian byte buffer for encoders. `finish` hands out a view of what was written. */
export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  constructor(initialCapacityBytes = 256) {
    this.#bytes = new Uint8Array(initialCapacityBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get length(): number {
    return this.#length
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
    this.#view.setBigUint64(this.#reserve(8), BigInt(value), true)
    return this
  }

  i64(value: bigint | number): this {
    this.#view.setBigInt64(this.#reserve(8), BigInt(value), true)
    return this
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

  /** What was written, as bytes of its own. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }
}
