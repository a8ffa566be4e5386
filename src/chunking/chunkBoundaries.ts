/**
 * The chunk boundaries of bytes at hand or of a stream of them, for inspection and for tests: a backup
 * session feeds the chunkers itself, from buffers it shares with its workers.
 */
import { makeDynamicChunker } from "./DynamicChunker.ts"
import { makeScanner } from "./makeScanner.ts"
import type { Scanner, ScannerKind } from "./Scanner.ts"

export interface ChunkBoundary {
  /** Offset of the chunk's first byte in the stream. */
  readonly start: number
  /** Offset behind its last byte. */
  readonly end: number
}

export interface ChunkBoundariesOptions {
  readonly averageBytes: number
  readonly prefer?: ScannerKind
}

/** Room beyond one chunk, so that the bytes of the next one are moved to the front only now and then. */
const roomFactor = 2

class BoundaryFinder {
  readonly #scanner: Scanner
  readonly #next: (start: number, available: number, isEnd: boolean) => number
  #start: number
  #available = 0
  #position = 0

  constructor({ averageBytes, prefer }: ChunkBoundariesOptions) {
    const memoryBytes = averageBytes * 4 * roomFactor
    this.#scanner = makeScanner(
      memoryBytes,
      prefer === undefined ? { shared: false } : { shared: false, prefer }
    )
    const chunker = makeDynamicChunker(this.#scanner, averageBytes)
    this.#next = chunker.next
    this.#start = this.#scanner.dataOffset
  }

  *push(bytes: Uint8Array): Generator<ChunkBoundary> {
    for (let consumed = 0; consumed < bytes.length;) {
      const taken = this.#append(bytes.subarray(consumed))
      consumed += taken
      yield* this.#chunks(false)
    }
  }

  end(): Generator<ChunkBoundary> {
    return this.#chunks(true)
  }

  /**
   * Copies as many bytes as fit behind the chunk in progress; at least one, for no chunk fills the region.
   */
  #append(bytes: Uint8Array): number {
    const region = this.#scanner.bytes
    if (this.#start + this.#available === region.length) {
      region.copyWithin(this.#scanner.dataOffset, this.#start, this.#start + this.#available)
      this.#start = this.#scanner.dataOffset
    }
    const end = this.#start + this.#available
    const taken = Math.min(bytes.length, region.length - end)
    region.set(bytes.subarray(0, taken), end)
    this.#available += taken
    return taken
  }

  *#chunks(isEnd: boolean): Generator<ChunkBoundary> {
    for (;;) {
      const length = this.#next(this.#start, this.#available, isEnd)
      if (length === 0) return
      this.#start += length
      this.#available -= length
      this.#position += length
      yield { start: this.#position - length, end: this.#position }
    }
  }
}

/** Boundaries of the dynamic chunker over the pieces of one stream. */
export const chunkBoundaries = function* (
  pieces: Uint8Array | Iterable<Uint8Array>,
  options: ChunkBoundariesOptions
): Generator<ChunkBoundary> {
  const finder = new BoundaryFinder(options)
  for (const piece of pieces instanceof Uint8Array ? [pieces] : pieces) yield* finder.push(piece)
  yield* finder.end()
}

/** The same over pieces that arrive in time. */
export const chunkBoundariesAsync = async function* (
  pieces: AsyncIterable<Uint8Array>,
  options: ChunkBoundariesOptions
): AsyncGenerator<ChunkBoundary> {
  const finder = new BoundaryFinder(options)
  for await (const piece of pieces) yield* finder.push(piece)
  yield* finder.end()
}
