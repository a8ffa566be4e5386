/**
 * Decides which chunks of the previous payload stream go into the new one as they are, and where the contents in them
 * stand then.
 *
 * Contents that can be taken over come in the order of the walk. As long as each begins in the last chunk of the one
 * before they form a run, and it is open whether its chunks are worth it: they are when at most a tenth of them is
 * padding, that is, bytes of contents that are gone. `settle` decides, and the caller must do so before it writes
 * anything else to the payload stream.
 *
 * Invariants: within the new stream contents keep their order and distances, so their offsets increase strictly; a
 * chunk that stands at the end of the new stream is not put there a second time when a later run begins in it.
 */
import type { ChunkIndex } from "../../format/ChunkIndex.ts"

/** A content in the previous payload stream, its header included. */
export interface PayloadRange {
  readonly offset: number
  readonly endOffset: number
}

/** Neighbouring chunks of the previous payload stream. */
export interface ChunkSpan {
  readonly first: number
  readonly last: number
}

/** Chunks are taken over when at most this part of them is padding. */
const PADDING_SHARE = 0.1

interface Run {
  /** The first chunk that is not in the new stream yet. */
  readonly firstChunk: number
  lastChunk: number
  usedBytes: number
  endOffset: number
}

/** The last chunk that was taken over, as long as nothing follows it in the new stream. */
interface Tail {
  readonly chunk: number
  endOffset: number
}

export class ReusePlan {
  readonly #index: ChunkIndex
  #run: Run | undefined
  #tail: Tail | undefined
  /** From an offset in the previous stream to that in the new one, as far as the tail reaches. */
  #shiftBytes = 0

  constructor(index: ChunkIndex) {
    this.#index = index
  }

  /** Whether contents wait for a decision. */
  get isOpen(): boolean {
    return this.#run !== undefined
  }

  /**
   * Adds a content. `placed`: the chunks that it is in stand in the new stream already. `waiting`: it is part of the
   * open run. `apart`: it does not belong to the open run, which must be settled before it can be added. So does a
   * content that begins with a chunk of its own: what came before it is decided at once, while the run is short.
   */
  add({ offset, endOffset }: PayloadRange): "placed" | "waiting" | "apart" {
    const first = this.#index.find(offset)
    const last = this.#index.find(endOffset - 1)
    if (this.#run !== undefined) {
      if (offset < this.#run.endOffset || first !== this.#run.lastChunk) return "apart"
      this.#run.lastChunk = last
      this.#run.usedBytes += endOffset - offset
      this.#run.endOffset = endOffset
      return "waiting"
    }
    const tail = this.#tail
    const follows = tail !== undefined && offset >= tail.endOffset && first === tail.chunk
    if (follows && last === tail.chunk) {
      tail.endOffset = endOffset
      return "placed"
    }
    const firstChunk = follows ? first + 1 : first
    const usedBytes = endOffset - Math.max(offset, this.#index.start(firstChunk))
    this.#run = { firstChunk, lastChunk: last, usedBytes, endOffset }
    return "waiting"
  }

  /**
   * Ends the open run and answers which chunks to put into the new stream; undefined when its contents are to be read
   * instead. A run that may go on (`isComplete` false) is judged by what is known of it: the rest of its last chunk
   * counts neither way.
   */
  settle(isComplete: boolean): ChunkSpan | undefined {
    const run = this.#run
    this.#run = undefined
    if (run === undefined) return undefined
    const endOffset = isComplete ? this.#index.end(run.lastChunk) : run.endOffset
    const totalBytes = endOffset - this.#index.start(run.firstChunk)
    if (totalBytes - run.usedBytes > totalBytes * PADDING_SHARE) {
      this.#tail = undefined
      return undefined
    }
    this.#tail = { chunk: run.lastChunk, endOffset: run.endOffset }
    return { first: run.firstChunk, last: run.lastChunk }
  }

  /** The chunks go into the new stream at that offset. */
  place({ first }: ChunkSpan, payloadOffset: number): void {
    this.#shiftBytes = payloadOffset - this.#index.start(first)
  }

  /** Something else follows in the new stream. */
  interrupt(): void {
    this.#tail = undefined
  }

  /** Where a content stands in the new stream; undefined when its chunks were not taken over. */
  placeOf({ offset }: PayloadRange): number | undefined {
    return this.#tail === undefined ? undefined : offset + this.#shiftBytes
  }
}
