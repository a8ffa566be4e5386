/**
 * ChunkRoom: a fixed stretch of shared memory in which chunks lie while they are on their way out of a store, or into
 * it.
 *
 * A chunk gets the first gap that it fits into. So many small chunks may lie where few large ones would, and memory
 * that is not needed is never touched: the system gives only the pages that are written.
 *
 * Invariants: parts do not overlap; whatever is given back is free at once; a chunk of at most `sizeBytes` always finds
 * room when nothing else is there.
 */

/** Parts begin at pages, so that none shares one with another. */
const pageBytes = 4096

/** What a chunk of that size takes. */
export const wholePages = (sizeBytes: number): number =>
  Math.max(1, Math.ceil(sizeBytes / pageBytes)) * pageBytes

interface Part {
  readonly start: number
  readonly end: number
  readonly view: Uint8Array
}

export class ChunkRoom {
  readonly #sizeBytes: number
  /** By their place. */
  readonly #parts: Array<Part> = []
  #memory: Uint8Array | undefined

  constructor(sizeBytes: number) {
    this.#sizeBytes = wholePages(sizeBytes)
  }

  /** Undefined when there is no gap of that size now. */
  take(sizeBytes: number): Uint8Array | undefined {
    const neededBytes = wholePages(sizeBytes)
    let start = 0
    let place = 0
    for (const part of this.#parts) {
      if (part.start - start >= neededBytes) break
      start = part.end
      place += 1
    }
    if (start + neededBytes > this.#sizeBytes) return undefined
    this.#memory ??= new Uint8Array(new SharedArrayBuffer(this.#sizeBytes))
    const view = this.#memory.subarray(start, start + sizeBytes)
    this.#parts.splice(place, 0, { start, end: start + neededBytes, view })
    return view
  }

  /** Gives back what lies behind the first `sizeBytes` of a part; answers what is left of it. */
  shrink(view: Uint8Array, sizeBytes: number): Uint8Array {
    const place = this.#placeOf(view)
    const left = view.subarray(0, sizeBytes)
    const start = this.#parts[place]?.start ?? 0
    this.#parts[place] = { start, end: start + wholePages(left.length), view: left }
    return left
  }

  giveBack(view: Uint8Array): void {
    this.#parts.splice(this.#placeOf(view), 1)
  }

  #placeOf(view: Uint8Array): number {
    const place = this.#parts.findIndex((part) => part.view === view)
    if (place < 0) throw new Error("this part of the room was given back already")
    return place
  }
}
