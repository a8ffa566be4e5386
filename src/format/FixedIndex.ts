/**
 * The fixed index (`.fidx`): chunks of one size, only the last may be shorter. Used for images of disks,
 * whose blocks change in place. Little endian.
 *
 *     offset  size  field
 *          0    64  common header (see `ChunkIndex`), magic 2f7f41ed91fd0fcd
 *         64     8  size of the image
 *         72     8  size of a chunk, a power of two
 *         80  4016  zero
 *       4096  32 n  digests, n = ceil(size / chunk size), at least one
 *
 * The checksum covers the digests only.
 */
import * as Digest from "../model/Digest.ts"
import { ByteReader } from "./ByteReader.ts"
import {
  checkChunk,
  checkDigestLength,
  checksumOf,
  type ChunkIndex,
  commonHeaderSizeBytes,
  type EncodedIndex,
  headerSizeBytes,
  type IndexIdentity,
  readCommonHeader,
  writeCommonHeader
} from "./ChunkIndex.ts"
import { fail } from "./FormatError.ts"

export interface FixedIndex extends ChunkIndex {
  readonly kind: "fixed"
  readonly chunkSizeBytes: number
}

const format = "fixed index"

export const magic = 0xcd0f_fd91_ed41_7f2fn

/** What Proxmox Backup Server uses for every image. */
export const defaultChunkSizeBytes = 4 * 1024 * 1024

/** Division by a power of two is exact up to 2^53, so logarithms and quotients need no care here. */
const isPowerOfTwo = (value: number): boolean =>
  Number.isSafeInteger(value) &&
  value > 0 &&
  Number.isInteger(Math.log2(value)) &&
  2 ** Math.log2(value) === value

export const decode = (bytes: Uint8Array): FixedIndex => {
  const reader = new ByteReader(format, bytes)
  const header = readCommonHeader(reader, magic)
  const sizeBytes = reader.size("image size")
  const chunkSizeBytes = reader.size("chunk size")
  if (!isPowerOfTwo(chunkSizeBytes)) {
    reader.fail("a power of two as chunk size", String(chunkSizeBytes), commonHeaderSizeBytes + 8)
  }
  reader.skip(headerSizeBytes - reader.position, "header")
  const count = Math.ceil(sizeBytes / chunkSizeBytes)
  if (count === 0) reader.fail("an image that is not empty", "size 0", commonHeaderSizeBytes)
  if (reader.remaining !== count * Digest.lengthBytes) {
    reader.fail(`${count} digests for ${sizeBytes} bytes of image`, `${reader.remaining} bytes`)
  }
  const entries = reader.take(reader.remaining, "digests")
  const digestOffset = (chunk: number): number => {
    checkChunk(chunk, count)
    return chunk * Digest.lengthBytes
  }
  return {
    kind: "fixed",
    ...header,
    count,
    sizeBytes,
    chunkSizeBytes,
    entries,
    start: (chunk) => {
      checkChunk(chunk, count)
      return chunk * chunkSizeBytes
    },
    end: (chunk) => {
      checkChunk(chunk, count)
      return Math.min((chunk + 1) * chunkSizeBytes, sizeBytes)
    },
    digestOffset,
    digestBytes: (chunk) => entries.subarray(digestOffset(chunk), digestOffset(chunk) + Digest.lengthBytes),
    digest: (chunk) => Digest.fromBytes(entries, digestOffset(chunk)),
    find: (offset) => (offset >= 0 && offset < sizeBytes ? Math.floor(offset / chunkSizeBytes) : -1),
    computeChecksum: () => checksumOf(entries)
  }
}

const initialChunks = 128

export interface FixedIndexShape {
  /** A power of two; 4 MiB when absent. */
  readonly chunkSizeBytes?: number
  /** Size of the image; when absent it grows with the chunks until a short one ends it. */
  readonly sizeBytes?: number
}

/**
 * Collects the digests of a new fixed index, in any order. A chunk may be set again; the last digest counts.
 */
export class FixedIndexBuilder {
  readonly chunkSizeBytes: number
  /** In both cases known and unknown: chunks must end here when defined. */
  #finalSizeBytes: number | undefined
  #grownSizeBytes = 0
  #digests: Uint8Array

  constructor(shape: FixedIndexShape = {}) {
    this.chunkSizeBytes = shape.chunkSizeBytes ?? defaultChunkSizeBytes
    if (!isPowerOfTwo(this.chunkSizeBytes)) {
      fail(format, commonHeaderSizeBytes + 8, "a power of two as chunk size", String(this.chunkSizeBytes))
    }
    const { sizeBytes } = shape
    if (sizeBytes !== undefined && (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1)) {
      fail(format, commonHeaderSizeBytes, "an image size from 1 to 2^53", String(sizeBytes))
    }
    this.#finalSizeBytes = sizeBytes
    const chunks = sizeBytes === undefined ? initialChunks : Math.ceil(sizeBytes / this.chunkSizeBytes)
    this.#digests = new Uint8Array(chunks * Digest.lengthBytes)
  }

  /** Size of the image: the known one, or as far as chunks reach by now. */
  get sizeBytes(): number {
    return this.#finalSizeBytes ?? this.#grownSizeBytes
  }

  /**
   * Sets the chunk at `position`; `lengthBytes` is needed only for a short chunk of an image of unknown size.
   */
  set(position: number, digestBytes: Uint8Array, lengthBytes?: number): void {
    checkDigestLength(digestBytes)
    const start = position * this.chunkSizeBytes
    const expectedEnd = Math.min(start + this.chunkSizeBytes, this.#finalSizeBytes ?? Number.MAX_SAFE_INTEGER)
    const end = lengthBytes === undefined ? expectedEnd : start + lengthBytes
    this.#checkPlace(position, start, end)
    if (this.#finalSizeBytes === undefined) {
      this.#grownSizeBytes = Math.max(this.#grownSizeBytes, end)
      if (end - start < this.chunkSizeBytes) this.#finalSizeBytes = end
    }
    this.#reserve(position + 1)
    this.#digests.set(digestBytes, position * Digest.lengthBytes)
  }

  /** Sets the chunk that begins at that offset of the image. */
  add(startOffset: number, lengthBytes: number, digestBytes: Uint8Array): void {
    this.set(startOffset / this.chunkSizeBytes, digestBytes, lengthBytes)
  }

  /** A chunk is full, or it is the last one and ends with the image. */
  #checkPlace(position: number, start: number, end: number): void {
    const at = headerSizeBytes + Math.floor(position) * Digest.lengthBytes
    if (!Number.isInteger(position) || position < 0 || end > Number.MAX_SAFE_INTEGER) {
      fail(format, at, `a start on a multiple of ${this.chunkSizeBytes}`, String(start))
    }
    const length = end - start
    const final = this.#finalSizeBytes
    const isFull = length === this.chunkSizeBytes
    const endsImage = final === undefined ? end >= this.#grownSizeBytes : end === final
    const isPlaced =
      Number.isInteger(length) && length > 0 && (isFull || (endsImage && length < this.chunkSizeBytes))
    if (!isPlaced || (final !== undefined && end > final)) {
      fail(
        format,
        at,
        `${this.chunkSizeBytes} bytes within the image, or its last bytes`,
        `${start} to ${end}`
      )
    }
  }

  #reserve(chunks: number): void {
    const capacity = this.#digests.length / Digest.lengthBytes
    if (chunks <= capacity) return
    const grown = new Uint8Array(2 ** Math.ceil(Math.log2(chunks)) * Digest.lengthBytes)
    grown.set(this.#digests)
    this.#digests = grown
  }

  /** The file. An index without chunks, or with a chunk that was never set, is refused. */
  finish(identity: IndexIdentity): EncodedIndex {
    const { chunkSizeBytes, sizeBytes } = this
    const count = Math.ceil(sizeBytes / chunkSizeBytes)
    if (count === 0) fail(format, headerSizeBytes, "at least one digest", "none")
    const bytes = new Uint8Array(headerSizeBytes + count * Digest.lengthBytes)
    bytes.set(this.#digests.subarray(0, count * Digest.lengthBytes), headerSizeBytes)
    const entries = bytes.subarray(headerSizeBytes)
    const missing = firstUnset(entries, count)
    if (missing !== -1)
      fail(format, headerSizeBytes, `the digests of ${count} chunks`, `chunk ${missing} unset`)
    const checksum = checksumOf(entries)
    writeCommonHeader(bytes, magic, { ...identity, checksum })
    const view = new DataView(bytes.buffer)
    view.setBigUint64(commonHeaderSizeBytes, BigInt(sizeBytes), true)
    view.setBigUint64(commonHeaderSizeBytes + 8, BigInt(chunkSizeBytes), true)
    return { bytes, checksum, sizeBytes, count }
  }
}

/** The first chunk whose digest is all zero, which no digest of data is; -1 when every chunk was set. */
const firstUnset = (entries: Uint8Array, count: number): number => {
  for (let chunk = 0; chunk < count; chunk++) {
    const start = chunk * Digest.lengthBytes
    if (entries.subarray(start, start + Digest.lengthBytes).every((byte) => byte === 0)) return chunk
  }
  return -1
}

/** A whole index at once. */
export const encode = (
  options: IndexIdentity & {
    readonly sizeBytes: number
    readonly chunkSizeBytes?: number
    readonly entries: Iterable<Digest.Digest>
  }
): EncodedIndex => {
  const builder = new FixedIndexBuilder(options)
  let position = 0
  for (const digest of options.entries) builder.set(position++, Digest.toBytes(digest))
  return builder.finish(options)
}
