/**
 * Streams: which reads of an archive go on where others ended, told by their places alone, for whoever reads has opened
 * nothing.
 *
 * Several streams are followed at once. A read that begins exactly where one has come to goes on with it; so does one
 * that begins a little behind (what lies between two small files in an archive), and one that comes late (kernels send
 * neighbouring reads in any order). Little gaps alone prove little: it takes some of them until a stream counts as in
 * order, so that reads all over the place are not taken for one.
 *
 * Invariants: as many streams are followed as there is room for, and those in order are forgotten last; who is
 * forgotten lets go of what was fetched for him.
 */
import type { Window } from "./Window.ts"

/** Streams of one archive. */
export const streamsMax = 16

/** What a read that goes on exactly counts, and what a stream needs to be in order. */
const exactEvidence = 4
const nearEvidence = 1
const evidenceNeeded = 4

/** From where on it is worth while to look ahead: those who look something up read some pieces in order as well. */
const coveredBytesNeeded = 64 * 1024

const gapBytes = 64 * 1024

/** After that many contents in order, one after the other, the next one is expected as well. */
const contentsOfTour = 3

export class Stream {
  readonly window: Window
  /** Behind the furthest byte that was read. */
  position: number
  #evidence = 0
  #contents = 1
  #coveredBytes: number
  #contentEnd: number
  #firstChunk: number

  constructor(window: Window, start: number, end: number, contentEnd: number, firstChunk: number) {
    this.window = window
    this.position = end
    this.#coveredBytes = end - start
    this.#contentEnd = contentEnd
    this.#firstChunk = firstChunk
  }

  goOn(start: number, end: number, contentEnd: number): void {
    if (end <= this.position) return
    if (start >= this.position) {
      this.#evidence += start === this.position ? exactEvidence : nearEvidence
      this.#coveredBytes += end - start
    }
    this.position = end
    if (contentEnd === this.#contentEnd) return
    this.#contentEnd = contentEnd
    this.#contents += 1
  }

  /** Whether the chunks behind `chunk` will be wanted. */
  isInOrder(chunk: number): boolean {
    if (this.#evidence < evidenceNeeded) return false
    return this.#coveredBytes >= coveredBytesNeeded || chunk > this.#firstChunk
  }

  /** Where the reader is expected to end. */
  expectedEnd(sizeBytes: number): number {
    return this.#contents >= contentsOfTour ? sizeBytes : this.#contentEnd
  }
}

export class Streams {
  readonly #sizeBytes: number
  readonly #makeWindow: () => Window
  /** Read last comes first. */
  readonly #streams: Array<Stream> = []

  constructor(sizeBytes: number, makeWindow: () => Window) {
    this.#sizeBytes = sizeBytes
    this.#makeWindow = makeWindow
  }

  /** The stream that this read belongs to, perhaps a new one. */
  follow(start: number, end: number, contentEnd: number, firstChunk: number): Stream {
    const nearBytes = Math.min(Math.max(gapBytes, 2 * (end - start)), this.#sizeBytes / 256)
    const place = this.#nearest(start, nearBytes)
    const stream = this.#streams[place]
    if (stream === undefined) return this.#begin(start, end, contentEnd, firstChunk)
    stream.goOn(start, end, contentEnd)
    if (place > 0) {
      this.#streams.splice(place, 1)
      this.#streams.unshift(stream)
    }
    return stream
  }

  end(): void {
    for (const stream of this.#streams.splice(0)) stream.window.end()
  }

  #nearest(start: number, nearBytes: number): number {
    let best = -1
    let bestDistance = Infinity
    for (let place = 0; place < this.#streams.length; place++) {
      const distance = Math.abs(start - (this.#streams[place]?.position ?? Infinity))
      if (distance === 0) return place
      if (distance > nearBytes || distance >= bestDistance) continue
      best = place
      bestDistance = distance
    }
    return best
  }

  #begin(start: number, end: number, contentEnd: number, firstChunk: number): Stream {
    if (this.#streams.length >= streamsMax) {
      const idle = this.#streams.findLastIndex(({ window }) => !window.isOpen)
      const [forgotten] = this.#streams.splice(idle === -1 ? streamsMax - 1 : idle, 1)
      forgotten?.window.end()
    }
    const stream = new Stream(this.#makeWindow(), start, end, contentEnd, firstChunk)
    this.#streams.unshift(stream)
    return stream
  }
}
