/**
 * The path of the entry that a walk stands at, relative to its root, in one buffer that grows and shrinks with the
 * walk. So an entry costs a copy of its name, however deep it is, and a whole path exists only where somebody asks
 * for it.
 */
const SLASH = 0x2f

export class PathBuffer {
  #bytes = new Uint8Array(1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Goes from the directory whose path has `directoryLength` bytes to its child `name`. */
  moveTo(directoryLength: number, name: Uint8Array): void {
    const start = directoryLength === 0 ? 0 : directoryLength + 1
    const length = start + name.length
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(2 * length)
      grown.set(this.#bytes.subarray(0, directoryLength))
      this.#bytes = grown
    }
    if (start > 0) this.#bytes[directoryLength] = SLASH
    this.#bytes.set(name, start)
    this.#length = length
  }

  /** The path until the next move. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** The path as bytes of its own. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }
}
