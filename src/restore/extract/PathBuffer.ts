/**
 * The path of the entry at hand, below the root of the archive and without a leading slash. One growing
 * buffer, because a path of its own for each of a deep tree's folders would take memory that is quadratic in
 * the depth.
 */
const SLASH = 0x2f
const INITIAL_CAPACITY_BYTES = 4096

export class PathBuffer {
  #buffer = new Uint8Array(INITIAL_CAPACITY_BYTES)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** A view that is valid until the next change. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Goes down to `name`. */
  push(name: Uint8Array): void {
    const nameStart = this.#length === 0 ? 0 : this.#length + 1
    const end = nameStart + name.length
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.#buffer.length * 2))
      grown.set(this.bytes)
      this.#buffer = grown
    }
    if (nameStart > 0) this.#buffer[nameStart - 1] = SLASH
    this.#buffer.set(name, nameStart)
    this.#length = end
  }

  /** Runs `action` as if the path ended at `length` already. */
  at<A>(length: number, action: () => A): A {
    const fullLength = this.#length
    this.truncate(length)
    try {
      return action()
    } finally {
      this.#length = fullLength
    }
  }

  /** Goes back up to where the path had `length` bytes. */
  truncate(length: number): void {
    this.#length = Math.min(length, this.#length)
  }
}
