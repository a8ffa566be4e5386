/**
 * Window: the chunks that are fetched ahead for one who reads in order.
 *
 * It begins with one chunk and doubles whenever the reader has to wait for the next one, up to as many as the store can
 * fetch at once: so a store far away gets many requests, and one that keeps up anyway few. All windows of a mount share
 * a number of bytes evenly. Chunks of zeros need no fetch and take no place.
 *
 * Invariants: what is under way and nobody has come to yet is at most a window; nothing begins unless somebody reads;
 * who has not read for a while has nothing fetched for him any more (`ReadersInOrder`).
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../../format/ChunkIndex.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import type { DecodedChunks, HeldChunk } from "./DecodedChunks.ts"
import type { Holes } from "./Holes.ts"
import type { ReaderInOrder } from "./ReadersInOrder.ts"

export interface WindowSource {
  readonly decoded: DecodedChunks
  readonly index: ChunkIndex
  readonly crypt: CryptConfig | undefined
  readonly holes: Holes
}

/** How far it looks past holes: places in the index for each fetch. */
const placesPerFetch = 16

interface Coming {
  readonly chunk: number
  readonly held: HeldChunk
}

export class Window implements ReaderInOrder {
  hasRead = false
  readonly #source: WindowSource
  readonly #coming: Array<Coming> = []
  #sizeChunks = 1
  #heldBytes = 0
  /** The first chunk that was not looked at. */
  #nextChunk = 0
  /** The furthest one that was used. */
  #usedChunk = -1
  #waitedFor = -1
  /** The chunk of the last `fill` that found everything it wanted. */
  #filledAt = -1
  #isFilling = false
  #isEnded = false

  constructor(source: WindowSource) {
    this.#source = source
  }

  get isOpen(): boolean {
    return this.#coming.length > 0
  }

  /** False when the reader is still, or again, at a chunk that he has used. */
  uses(chunk: number): boolean {
    if (chunk <= this.#usedChunk) return false
    this.#usedChunk = chunk
    return true
  }

  /** The reader has to wait for a chunk. */
  waitsFor(chunk: number): void {
    if (chunk <= this.#waitedFor) return
    this.#waitedFor = chunk
    this.#sizeChunks = Math.min(this.#sizeChunks * 2, this.#source.decoded.parallelism)
    this.#filledAt = -1
  }

  isFilled(chunk: number): boolean {
    return chunk <= this.#filledAt || this.#isFilling
  }

  /** Lets go of what lies before chunk `first`, and begins what is wanted behind chunk `last`, up to `until`. */
  fill(first: number, last: number, until: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#isFilling || this.#isEnded) return Effect.void
      this.#isFilling = true
      const { decoded, holes } = this.#source
      return Effect.andThen(holes.prepare, decoded.readers.enter(this)).pipe(
        Effect.andThen(this.#beginBehind(first, last, until)),
        Effect.ensuring(Effect.sync(() => void (this.#isFilling = false)))
      )
    }).pipe(Effect.uninterruptible)
  }

  /** The reader has gone for good. */
  end(): void {
    this.#isEnded = true
    this.#source.decoded.readers.leave(this)
    this.stop()
  }

  stop(): void {
    for (const { held } of this.#coming.splice(0)) held.letGo()
    this.#heldBytes = 0
    this.#sizeChunks = 1
    this.#nextChunk = 0
    this.#filledAt = -1
  }

  #beginBehind(first: number, last: number, until: number): Effect.Effect<void> {
    const { index, holes } = this.#source
    return Effect.gen({ self: this }, function* () {
      this.#pass(first)
      this.#nextChunk = Math.max(this.#nextChunk, last + 1)
      const furthest = last + this.#sizeChunks * placesPerFetch
      while (this.#nextChunk < index.count && index.start(this.#nextChunk) < until) {
        if (this.#countBehind(last) >= this.#sizeChunks || this.#nextChunk > furthest) break
        if (!holes.isHole(this.#nextChunk) && !(yield* this.#begin(this.#nextChunk))) return
        this.#nextChunk += 1
      }
      this.#filledAt = last
    })
  }

  /** False when there is no room for it now. */
  #begin(chunk: number): Effect.Effect<boolean> {
    const { crypt, decoded, index } = this.#source
    const sizeBytes = index.end(chunk) - index.start(chunk)
    const shareBytes = decoded.holdBytesMax / decoded.readers.count
    if (this.#heldBytes > 0 && this.#heldBytes + sizeBytes > shareBytes) return Effect.succeed(false)
    const wanted = { digest: index.digest(chunk), sizeBytes, crypt }
    return Effect.map(decoded.hold(wanted), (held) => {
      if (this.#isEnded) held?.letGo()
      if (held === undefined || this.#isEnded) return false
      this.#coming.push({ chunk, held })
      this.#heldBytes += held.sizeBytes
      return true
    })
  }

  /** What is still on its way may be wanted by a read that comes late. */
  #pass(first: number): void {
    for (let [passed] = this.#coming; passed !== undefined; [passed] = this.#coming) {
      if (passed.chunk >= first || (passed.chunk === first - 1 && !passed.held.isHere())) return
      this.#coming.shift()
      this.#heldBytes -= passed.held.sizeBytes
      passed.held.letGo()
    }
  }

  #countBehind(last: number): number {
    return this.#coming.length - this.#coming.filter(({ chunk }) => chunk <= last).length
  }
}
