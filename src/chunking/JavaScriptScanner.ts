/**
 * The scanner for hosts without WebAssembly SIMD, and for callers whose bytes lie in memory of their own.
 *
 * It rolls the complement of the hash rather than the hash: rotation and xor commute with complementing one
 * operand, so the loop is the same, and "all these bits set" becomes "none of these bits set", one operation
 * a byte cheaper. The main loop reads four bytes at a time; aligned words keep the engine from checking
 * bounds per byte.
 */
import { buzhashTable } from "./BuzhashTable.ts"
import { boundaryMask, checkScanRange, type Scanner, windowSizeBytes } from "./Scanner.ts"

/**
 * The lowest two bits of the complement; both set means the hash ends in 00, the one ending that does not
 * pass.
 */
const lowBits = 3

/** The complement of a zero hash. */
const zeroHash = -1

const windowSizeWords = windowSizeBytes / 4

/** Many short calls instead of a few long ones: engines then optimise the word loop sooner, and better. */
const blockSizeBytes = 32 * 1024

/** The word loop takes the lowest byte first; elsewhere everything is scanned byte by byte. */
const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

export class JavaScriptScanner implements Scanner {
  readonly kind = "javascript"
  readonly bytes: Uint8Array
  readonly dataOffset: number
  /** The aligned part of `bytes` as words; word w starts at byte `4 * w + #wordsStart` of `bytes`. */
  readonly #words: Int32Array
  readonly #wordsStart: number

  constructor(bytes: Uint8Array, dataOffset = 0) {
    this.bytes = bytes
    this.dataOffset = dataOffset
    this.#wordsStart = -bytes.byteOffset & 3
    const wordCount = Math.max(0, Math.floor((bytes.length - this.#wordsStart) / 4))
    // Of an empty tail there is no aligned offset inside the buffer, so it starts at 0.
    const wordsOffset = wordCount === 0 ? 0 : bytes.byteOffset + this.#wordsStart
    this.#words = new Int32Array(bytes.buffer, wordsOffset, wordCount)
  }

  findCut(from: number, to: number, averageBytes: number): number {
    const mask = boundaryMask(averageBytes)
    checkScanRange(this, from, to)
    if (from > to) return -1
    const highBits = mask & ~lowBits
    const complement = this.#complementAt(from)
    if ((complement & highBits) === 0 && (complement & lowBits) !== lowBits) return from
    // Bytes up to the first aligned one, whole words, and the rest; each part begins with a fresh window.
    const wordsFrom = Math.min(to, from + ((this.#wordsStart - from) & 3))
    const wordsTo = isLittleEndian ? to - ((to - wordsFrom) & 3) : wordsFrom
    let cut = this.#scanBytes(from, wordsFrom, highBits)
    for (let block = wordsFrom; block < wordsTo && cut === -1; block += blockSizeBytes) {
      cut = this.#scanWords(block, Math.min(wordsTo, block + blockSizeBytes), highBits)
    }
    if (cut === -1) cut = this.#scanBytes(wordsTo, to, highBits)
    return cut
  }

  /** The complement of the hash of the window that ends at `position`. */
  #complementAt(position: number): number {
    const { bytes } = this
    let complement = zeroHash
    for (let index = position - windowSizeBytes; index < position; index++) {
      complement = ((complement << 1) | (complement >>> 31)) ^ buzhashTable[bytes[index]!]!
    }
    return complement
  }

  /** Positions after `from` up to `to`, byte by byte. */
  #scanBytes(from: number, to: number, highBits: number): number {
    if (from >= to) return -1
    const { bytes } = this
    let complement = this.#complementAt(from)
    for (let index = from; index < to; index++) {
      const leaving = buzhashTable[bytes[index - windowSizeBytes]!]!
      complement = ((complement << 1) | (complement >>> 31)) ^ leaving ^ buzhashTable[bytes[index]!]!
      if ((complement & highBits) === 0 && (complement & lowBits) !== lowBits) return index + 1
    }
    return -1
  }

  /**
   * The same over whole words: `from` is aligned in memory and `to - from` a multiple of four. `hash` is the
   * complement here, too.
   */
  #scanWords(from: number, to: number, highBits: number): number {
    if (from >= to) return -1
    const words = this.#words
    const table = buzhashTable
    const firstWord = (from - this.#wordsStart) / 4
    const endWord = (to - this.#wordsStart) / 4
    const cutAfter = (word: number, byte: number): number => word * 4 + this.#wordsStart + byte
    let hash = this.#complementAt(from)
    for (let word = firstWord; word < endWord; word++) {
      const entering = words[word]!
      const leaving = words[word - windowSizeWords]!
      hash = ((hash << 1) | (hash >>> 31)) ^ table[leaving & 255]! ^ table[entering & 255]!
      if ((hash & highBits) === 0 && (hash & lowBits) !== lowBits) return cutAfter(word, 1)
      hash = ((hash << 1) | (hash >>> 31)) ^ table[(leaving >>> 8) & 255]! ^ table[(entering >>> 8) & 255]!
      if ((hash & highBits) === 0 && (hash & lowBits) !== lowBits) return cutAfter(word, 2)
      hash = ((hash << 1) | (hash >>> 31)) ^ table[(leaving >>> 16) & 255]! ^ table[(entering >>> 16) & 255]!
      if ((hash & highBits) === 0 && (hash & lowBits) !== lowBits) return cutAfter(word, 3)
      hash = ((hash << 1) | (hash >>> 31)) ^ table[leaving >>> 24]! ^ table[entering >>> 24]!
      if ((hash & highBits) === 0 && (hash & lowBits) !== lowBits) return cutAfter(word, 4)
      if (hash === zeroHash) word = this.#skipRepetition(word + 1, endWord) - 1
    }
    return -1
  }

  /** With a zero hash before `word`: the first word up to `endWord` that differs from the one that leaves. */
  #skipRepetition(word: number, endWord: number): number {
    const words = this.#words
    let next = word
    while (next < endWord && words[next] === words[next - windowSizeWords]) next++
    return next
  }
}
