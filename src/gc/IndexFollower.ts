/**
 * IndexFollower: goes through an index beside the one before it, and finds the places where both say the same.
 *
 * Indexes of one group repeat each other for long stretches. What the index before has named is marked already, and
 * comparing two places that are read one after the other takes a tenth of the time of looking into a large table, where
 * nearly every look waits for the memory. Where the two part, every 64th digest of the index before serves as a
 * landmark at which they meet again.
 *
 * Invariant: `repeated` counts only places that are equal to a place of the index before, all 32 bytes.
 */
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import * as Digest from "../model/Digest.ts"

const landmarkDistance = 64
const wordsPerDigest = Digest.lengthBytes / 4

/** The digests of an index as words: the one of place n begins at `first + n * stride`. */
interface Places {
  readonly words: Int32Array
  readonly first: number
  readonly stride: number
  readonly count: number
}

/** Undefined for entries that do not lie as words do. */
const placesOf = ({ count, digestOffset, entries }: ChunkIndex): Places | undefined => {
  if (count === 0) return undefined
  const first = digestOffset(0)
  const stride = count > 1 ? digestOffset(1) - first : Digest.lengthBytes
  const isAligned = entries.byteOffset % 4 === 0 && first % 4 === 0 && stride % 4 === 0
  if (!isAligned) return undefined
  const words = new Int32Array(entries.buffer, entries.byteOffset, entries.length >> 2)
  return { words, first: first >> 2, stride: stride >> 2, count }
}

const isSame = (left: Int32Array, leftAt: number, right: Int32Array, rightAt: number): boolean => {
  for (let word = 0; word < wordsPerDigest; word++) {
    if (left[leftAt + word] !== right[rightAt + word]) return false
  }
  return true
}

/** Digests are uniform: their first 32 bits tell nearly all of them apart. */
const firstWord = (places: Places, place: number): number =>
  places.words[places.first + place * places.stride] ?? 0

const landmarksOf = (places: Places | undefined): ReadonlyMap<number, number> => {
  const landmarks = new Map<number, number>()
  if (places === undefined) return landmarks
  for (let place = 0; place < places.count; place += landmarkDistance) {
    landmarks.set(firstWord(places, place), place)
  }
  return landmarks
}

export class IndexFollower {
  #now: Places | undefined
  #before: Places | undefined
  #landmarks: ReadonlyMap<number, number> = new Map()
  /** Where in the index before the next equal place is expected. */
  #expected = 0

  /** Turns to the next index; the last one, gone through to its end, is the one before from now on. */
  begin(index: ChunkIndex): void {
    this.#before = this.#now
    this.#landmarks = landmarksOf(this.#before)
    this.#now = placesOf(index)
    this.#expected = 0
  }

  /**
   * Goes through places `from` to `end` (exclusive), in order and each once an index; hands runs of places that the
   * index before does not repeat to `visit`, and answers how many it does repeat.
   */
  repeated(from: number, end: number, visit: (place: number, count: number) => void): number {
    const now = this.#now
    const before = this.#before
    if (now === undefined || before === undefined) {
      visit(from, end - from)
      return 0
    }
    let repeated = 0
    for (let place = from; place < end;) {
      const same = this.#countSame(now, before, place, end)
      repeated += same
      place += same
      if (place === end) break
      const next = this.#nextMeeting(now, before, place, end)
      visit(place, next - place)
      place = next
    }
    return repeated
  }

  #countSame(now: Places, before: Places, from: number, end: number): number {
    const limit = Math.min(end - from, before.count - this.#expected)
    let same = 0
    let at = now.first + from * now.stride
    let beforeAt = before.first + this.#expected * before.stride
    while (same < limit && isSame(now.words, at, before.words, beforeAt)) {
      same++
      at += now.stride
      beforeAt += before.stride
    }
    this.#expected += same
    return same
  }

  /** The next place behind `from` that is a landmark. */
  #nextMeeting(now: Places, before: Places, from: number, end: number): number {
    for (let place = from + 1; place < end; place++) {
      const at = now.first + place * now.stride
      const found = this.#landmarks.get(firstWord(now, place))
      if (found === undefined) continue
      if (!isSame(now.words, at, before.words, before.first + found * before.stride)) continue
      this.#expected = found
      return place
    }
    return end
  }
}
