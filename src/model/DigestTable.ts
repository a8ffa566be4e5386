/**
 * A set of digests in their raw form, with an optional 32-bit number for each: open addressing with linear
 * probing over typed arrays. It is for millions of digests, where a `Set` of hex texts takes several times
 * the time and memory.
 *
 * Invariants: at most 5/8 of the slots are taken; a slot is taken exactly when its tag is not 0; between the
 * slot a digest hashes to and the slot it is in there is no free one (deleting moves later digests back to
 * keep it so).
 *
 * Digests come from indexes that anybody may have written, so they are not taken to be spread evenly: the
 * slot comes from two multilinear hashes (Lemire and Kaser, "Strongly universal string hashing is fast") with
 * 32 numbers drawn from the seed. Whoever does not know the seed cannot do better than chance at making
 * digests collide.
 */
import * as Digest from "./Digest.ts"

const wordsPerDigest = 8

const slotCountMin = 16

/**
 * About as many reads as a processor has under way at once; with more of them, early ones are out of its cache
 * again.
 */
const digestsAtOnce = 16

/** Slots are a power of two; 2^28 of them take 9 GiB and hold 167 million digests. */
const slotCountMax = 2 ** 28

const defaultSeed = 0x9e37_79b9

/** Numbers from a seed: a counter through an avalanche function. */
const makeSummands = (seed: number): Int32Array => {
  const summands = new Int32Array(4 * wordsPerDigest)
  let state = seed | 0
  for (let index = 0; index < summands.length; index++) {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97)
    summands[index] = mixed ^ (mixed >>> 15)
  }
  return summands
}

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** The bytes as words, copied when they do not lie where words may lie. */
const wordsOf = (bytes: Uint8Array, offset: number, endOffset: number): Int32Array => {
  const start = bytes.byteOffset + offset
  const count = (endOffset - offset) >> 2
  if (start % 4 === 0) return new Int32Array(bytes.buffer, start, count)
  return new Int32Array(Uint8Array.from(bytes.subarray(offset, endOffset)).buffer, 0, count)
}

const slotCountFor = (digestCount: number): number => {
  let slotCount = slotCountMin
  while (slotCount * 5 < digestCount * 8) slotCount *= 2
  if (slotCount > slotCountMax) throw new RangeError(`${digestCount} digests do not fit into one table`)
  return slotCount
}

export class DigestTable {
  readonly #summands: Int32Array
  /** The digest that is looked up at the moment, as words. */
  readonly #wanted = new Int32Array(wordsPerDigest)
  /**
   * 0 for a free slot, otherwise 1 to 255 out of the hash: most misses end here without touching the digest.
   */
  #tags: Uint8Array
  #words: Int32Array
  /** Allocated by the first `set`. */
  #values: Uint32Array | undefined
  #mask: number
  #size = 0
  /** Of `addMany`, allocated by its first call. */
  #hashes: Int32Array | undefined

  /** `seed` is any 32-bit number; a random one protects against digests made to collide. */
  constructor(expectedCount = 0, seed: number = defaultSeed) {
    const slotCount = slotCountFor(expectedCount)
    this.#summands = makeSummands(seed)
    this.#tags = new Uint8Array(slotCount)
    this.#words = new Int32Array(slotCount * wordsPerDigest)
    this.#mask = slotCount - 1
  }

  get size(): number {
    return this.#size
  }

  /** Adds the 32 bytes at `offset`; true when they were not there yet. */
  add(bytes: Uint8Array, offset = 0): boolean {
    const hash = this.#load(bytes, offset)
    return this.#find(hash) < 0 && this.#insert(hash) >= 0
  }

  /**
   * Adds the `count` digests that begin every `stride` bytes from `offset` on; answers how many were not there yet.
   *
   * In a large table nearly every look at a slot waits for the memory. So some slots are asked for at once, before any
   * of them is needed: that is twice as fast as one digest after the other.
   */
  addMany(bytes: Uint8Array, offset: number, stride: number, count: number): number {
    if (count === 0) return 0
    const endOffset = offset + (count - 1) * stride + Digest.lengthBytes
    if (offset < 0 || stride < 0 || endOffset > bytes.length) {
      throw new RangeError(`${count} digests do not lie within ${bytes.length} bytes`)
    }
    const before = this.#size
    if (!isLittleEndian || stride % 4 !== 0) {
      for (let number = 0; number < count; number++) this.add(bytes, offset + number * stride)
      return this.#size - before
    }
    const source = wordsOf(bytes, offset, endOffset)
    for (let from = 0; from < count; from += digestsAtOnce) {
      this.#addSome(source, (from * stride) >> 2, stride >> 2, Math.min(digestsAtOnce, count - from))
    }
    return this.#size - before
  }

  has(bytes: Uint8Array, offset = 0): boolean {
    return this.#find(this.#load(bytes, offset)) >= 0
  }

  /** True when the digest was there. */
  delete(bytes: Uint8Array, offset = 0): boolean {
    const slot = this.#find(this.#load(bytes, offset))
    if (slot < 0) return false
    this.#free(slot)
    return true
  }

  /** Adds the digest when needed and gives it a number from 0 to 2^32 - 1. */
  set(bytes: Uint8Array, offset: number, value: number): void {
    const hash = this.#load(bytes, offset)
    const found = this.#find(hash)
    const slot = found < 0 ? this.#insert(hash) : found
    this.#values ??= new Uint32Array(this.#tags.length)
    this.#values[slot] = value
  }

  /** The digest's number: undefined when the digest is not there, 0 when it never got one. */
  get(bytes: Uint8Array, offset = 0): number | undefined {
    const slot = this.#find(this.#load(bytes, offset))
    if (slot < 0) return undefined
    return this.#values === undefined ? 0 : this.#values[slot]
  }

  addDigest(digest: Digest.Digest): boolean {
    return this.add(Digest.toBytes(digest))
  }

  hasDigest(digest: Digest.Digest): boolean {
    return this.has(Digest.toBytes(digest))
  }

  /** Every digest with its number, in no particular order. The table must not be changed meanwhile. */
  *entries(): IterableIterator<readonly [digest: Digest.Digest, value: number]> {
    const bytes = new Uint8Array(Digest.lengthBytes)
    for (let slot = 0; slot < this.#tags.length; slot++) {
      if (this.#tags[slot] === 0) continue
      this.#store(slot, bytes, 0)
      yield [Digest.fromBytes(bytes), this.#values?.[slot] ?? 0]
    }
  }

  /** All digests, or those whose numbers are wanted, 32 bytes each, in no particular order. */
  toBytes(isWanted: (value: number) => boolean = () => true): Uint8Array {
    const slots: Array<number> = []
    for (let slot = 0; slot < this.#tags.length; slot++) {
      if (this.#tags[slot] !== 0 && isWanted(this.#values?.[slot] ?? 0)) slots.push(slot)
    }
    const bytes = new Uint8Array(slots.length * Digest.lengthBytes)
    slots.forEach((slot, index) => this.#store(slot, bytes, index * Digest.lengthBytes))
    return bytes
  }

  #addSome(source: Int32Array, first: number, stride: number, count: number): void {
    const hashes = (this.#hashes ??= new Int32Array(digestsAtOnce + 1))
    const summands = this.#summands
    for (let number = 0, at = first; number < count; number++, at += stride) {
      hashes[number] = hashOf(source, at, summands)
    }
    this.#askFor(hashes, count)
    for (let number = 0, at = first; number < count; number++, at += stride) {
      const hash = hashes[number]!
      if (!this.#hasWords(source, at, hash)) {
        for (let index = 0; index < wordsPerDigest; index++) this.#wanted[index] = source[at + index]!
        this.#insert(hash)
      }
    }
  }

  /** As `#find`, for a digest that lies elsewhere. */
  #hasWords(source: Int32Array, at: number, hash: number): boolean {
    const tags = this.#tags
    const words = this.#words
    const mask = this.#mask
    const tag = tagOf(hash)
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const found = tags[slot]
      if (found === 0) return false
      if (found !== tag) continue
      const start = slot * wordsPerDigest
      // Written out: this is the innermost loop of marking.
      if (
        words[start] === source[at] &&
        words[start + 1] === source[at + 1] &&
        words[start + 2] === source[at + 2] &&
        words[start + 3] === source[at + 3] &&
        words[start + 4] === source[at + 4] &&
        words[start + 5] === source[at + 5] &&
        words[start + 6] === source[at + 6] &&
        words[start + 7] === source[at + 7]
      ) {
        return true
      }
    }
  }

  /** Reads from every slot where a search will begin; keeps the sum behind the hashes, lest the reads count as idle. */
  #askFor(hashes: Int32Array, count: number): void {
    const words = this.#words
    const mask = this.#mask
    let sum = 0
    for (let number = 0; number < count; number++) {
      const slot = hashes[number]! & mask
      sum ^= this.#tags[slot]! ^ words[slot * wordsPerDigest]!
    }
    hashes[digestsAtOnce] = sum
  }

  #store(slot: number, bytes: Uint8Array, offset: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    for (let index = 0; index < wordsPerDigest; index++) {
      view.setInt32(offset + index * 4, this.#words[slot * wordsPerDigest + index] ?? 0, true)
    }
  }

  /** Makes the bytes the wanted digest and returns its hash. */
  #load(bytes: Uint8Array, offset: number): number {
    if (offset < 0 || offset + Digest.lengthBytes > bytes.length) {
      throw new RangeError(
        `a digest needs ${Digest.lengthBytes} bytes at ${offset}, there are ${bytes.length}`
      )
    }
    const wanted = this.#wanted
    for (let index = 0, at = offset; index < wordsPerDigest; index++, at += 4) {
      wanted[index] = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    }
    return hashOf(wanted, 0, this.#summands)
  }

  /** The slot of the wanted digest, or -1. */
  #find(hash: number): number {
    const tags = this.#tags
    const tag = tagOf(hash)
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const found = tags[slot]
      if (found === 0) return -1
      if (found === tag && this.#isWanted(slot)) return slot
    }
  }

  #isWanted(slot: number): boolean {
    const start = slot * wordsPerDigest
    for (let index = 0; index < wordsPerDigest; index++) {
      if (this.#words[start + index] !== this.#wanted[index]) return false
    }
    return true
  }

  /** Puts the wanted digest, which must be new, into a free slot. */
  #insert(hash: number): number {
    if ((this.#size + 1) * 8 > this.#tags.length * 5) this.#grow()
    const slot = this.#freeSlot(hash)
    this.#tags[slot] = tagOf(hash)
    this.#words.set(this.#wanted, slot * wordsPerDigest)
    this.#size++
    return slot
  }

  #freeSlot(hash: number): number {
    let slot = hash & this.#mask
    while (this.#tags[slot] !== 0) slot = (slot + 1) & this.#mask
    return slot
  }

  #grow(): void {
    const slotCount = slotCountFor(this.#tags.length)
    const tags = this.#tags
    const words = this.#words
    const values = this.#values
    this.#tags = new Uint8Array(slotCount)
    this.#words = new Int32Array(slotCount * wordsPerDigest)
    if (values !== undefined) this.#values = new Uint32Array(slotCount)
    this.#mask = slotCount - 1
    for (let old = 0; old < tags.length; old++) {
      const tag = tags[old]!
      if (tag === 0) continue
      const start = old * wordsPerDigest
      const slot = this.#freeSlot(hashOf(words, start, this.#summands))
      this.#tags[slot] = tag
      for (let index = 0; index < wordsPerDigest; index++) {
        this.#words[slot * wordsPerDigest + index] = words[start + index]!
      }
      if (values !== undefined && this.#values !== undefined) this.#values[slot] = values[old]!
    }
  }

  /** Frees a slot and moves the digests behind it back where a free slot would hide them. */
  #free(slot: number): void {
    const words = this.#words
    let hole = slot
    for (let next = (hole + 1) & this.#mask; this.#tags[next] !== 0; next = (next + 1) & this.#mask) {
      const home = hashOf(words, next * wordsPerDigest, this.#summands) & this.#mask
      const distance = (next - home) & this.#mask
      if (distance < ((next - hole) & this.#mask)) continue
      this.#tags[hole] = this.#tags[next]!
      words.copyWithin(hole * wordsPerDigest, next * wordsPerDigest, (next + 1) * wordsPerDigest)
      if (this.#values !== undefined) this.#values[hole] = this.#values[next]!
      hole = next
    }
    this.#tags[hole] = 0
    if (this.#values !== undefined) this.#values[hole] = 0
    this.#size--
  }
}

/**
 * The upper halves of two sums of products of 16-bit pieces, each piece with a random 32-bit number added:
 * for two different digests each half is equal with a chance of 2^-16. The last two lines spread neighbouring
 * sums.
 */
const hashOf = (words: Int32Array, start: number, summands: Int32Array): number => {
  let first = 0
  let second = 0
  for (let index = 0, at = 0; index < wordsPerDigest; index++, at += 4) {
    const word = words[start + index]!
    const low = word & 0xffff
    const high = word >>> 16
    first = (first + Math.imul(low + summands[at]!, high + summands[at + 1]!)) | 0
    second = (second + Math.imul(low + summands[at + 2]!, high + summands[at + 3]!)) | 0
  }
  const mixed = Math.imul((first & 0xffff_0000) | (second >>> 16), 0x9e37_79b1)
  return mixed ^ (mixed >>> 15)
}

/** From the upper bits, as the lower ones choose the slot; never 0. */
const tagOf = (hash: number): number => (hash >>> 24) | 1
