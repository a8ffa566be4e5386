/**
 * A bounds-checked cursor over bytes, little endian. Every read proves first that the bytes are there, so a
 * decoder built on it cannot run past its input, whatever lengths the input claims.
 */
import { fail, type FormatName } from "./FormatError.ts"

/** High half of the largest u64 that a JavaScript number holds exactly. */
const MAX_SAFE_HIGH = 0x1f_ffff

export class ByteReader {
  readonly format: FormatName
  readonly bytes: Uint8Array
  /** Absolute position of `bytes[0]` in the whole input; only used in error messages. */
  readonly base: number
  readonly #view: DataView
  #position = 0

  constructor(format: FormatName, bytes: Uint8Array, base = 0) {
    this.format = format
    this.bytes = bytes
    this.base = base
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get position(): number {
    return this.#position
  }

  get remaining(): number {
    return this.bytes.length - this.#position
  }

  /** Position in the whole input, for messages. */
  get offset(): number {
    return this.base + this.#position
  }

  fail(expected: string, found: string, offset: number = this.offset): never {
    return fail(this.format, offset, expected, found)
  }

  #take(count: number, what: string): number {
    if (count > this.remaining) this.fail(`${count} bytes of ${what}`, `${this.remaining} bytes left`)
    const start = this.#position
    this.#position += count
    return start
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#take(1, what))
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#take(4, what), true)
  }

  u64(what: string): bigint {
    return this.#view.getBigUint64(this.#take(8, what), true)
  }

  i64(what: string): bigint {
    return this.#view.getBigInt64(this.#take(8, what), true)
  }

  /** A u64 that must be exactly representable as a JavaScript number. */
  size(what: string): number {
    const start = this.#take(8, what)
    const high = this.#view.getUint32(start + 4, true)
    if (high > MAX_SAFE_HIGH) {
      const found = this.#view.getBigUint64(start, true)
      this.fail(`${what} below 2^53`, String(found), this.base + start)
    }
    return high * 0x1_0000_0000 + this.#view.getUint32(start, true)
  }

  /** An i64 that must be exactly representable as a JavaScript number. */
  integer(what: string): number {
    const start = this.#take(8, what)
    const value = this.#view.getInt32(start + 4, true) * 0x1_0000_0000 + this.#view.getUint32(start, true)
    if (!Number.isSafeInteger(value)) {
      const found = this.#view.getBigInt64(start, true)
      this.fail(`${what} between -2^53 and 2^53`, String(found), this.base + start)
    }
    return value
  }

  /** A view (no copy) of the next `count` bytes. */
  take(count: number, what: string): Uint8Array {
    const start = this.#take(count, what)
    return this.bytes.subarray(start, start + count)
  }

  skip(count: number, what: string): void {
    this.#take(count, what)
  }

  /** The rest must be empty. */
  end(what: string): void {
    if (this.remaining !== 0) this.fail(`end of ${what}`, `${this.remaining} more bytes`)
  }
}
