/**
 * The dynamic index (`.didx`): chunks of varying length, cut where the content says. Used for file archives
 * and the catalog. Little endian.
 *
 *     offset  size  field
 *          0    64  common header (see `ChunkIndex`), magic 1c914ea519bab3cd
 *         64  4032  zero
 *       4096  40 n  entries: u64 end offset of the chunk in the archive, 32-byte digest
 *
 * Ends increase strictly, so that every chunk holds at least one byte; at least one entry. The checksum
 * covers ends and digests.
 */
import * as Digest from "../model/Digest.ts"
import { ByteReader } from "./ByteReader.ts"
import {
  checkChunk,
  checkDigestLength,
  checksumOf,
  type ChunkIndex,
  type EncodedIndex,
  headerSizeBytes,
  type IndexIdentity,
  readCommonHeader,
  writeCommonHeader
} from "./ChunkIndex.ts"
import { fail } from "./FormatError.ts"

export interface DynamicIndex extends ChunkIndex {
  readonly kind: "dynamic"
}

const format = "dynamic index"

export const magic = 0xcdb3_ba19_a54e_911cn

export const entrySizeBytes = 40

const digestStart = 8

const readEnd = (view: DataView, chunk: number): number => {
  const at = chunk * entrySizeBytes
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true)
}

const checkEnds = (view: DataView, count: number): void => {
  let start = 0
  for (let chunk = 0; chunk < count; chunk++) {
    const end = readEnd(view, chunk)
    const at = headerSizeBytes + chunk * entrySizeBytes
    if (end > Number.MAX_SAFE_INTEGER) fail(format, at, "an end offset below 2^53", String(end))
    if (end <= start) fail(format, at, `an end offset above ${start}`, String(end))
    start = end
  }
}

/** The first chunk whose end lies behind the offset. */
const search = (view: DataView, count: number, offset: number): number => {
  let low = 0
  let high = count - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (readEnd(view, middle) > offset) high = middle
    else low = middle + 1
  }
  return low
}

export const decode = (bytes: Uint8Array): DynamicIndex => {
  const reader = new ByteReader(format, bytes)
  const header = readCommonHeader(reader, magic)
  reader.skip(headerSizeBytes - reader.position, "header")
  if (reader.remaining === 0) reader.fail("at least one entry", "none")
  if (reader.remaining % entrySizeBytes !== 0) {
    reader.fail(`whole entries of ${entrySizeBytes} bytes`, `${reader.remaining} bytes`)
  }
  const count = reader.remaining / entrySizeBytes
  const entries = reader.take(reader.remaining, "entries")
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength)
  checkEnds(view, count)
  const sizeBytes = readEnd(view, count - 1)
  const digestOffset = (chunk: number): number => {
    checkChunk(chunk, count)
    return chunk * entrySizeBytes + digestStart
  }
  return {
    kind: "dynamic",
    ...header,
    count,
    sizeBytes,
    entries,
    start: (chunk) => {
      checkChunk(chunk, count)
      return chunk === 0 ? 0 : readEnd(view, chunk - 1)
    },
    end: (chunk) => {
      checkChunk(chunk, count)
      return readEnd(view, chunk)
    },
    digestOffset,
    digestBytes: (chunk) => entries.subarray(digestOffset(chunk), digestOffset(chunk) + Digest.lengthBytes),
    digest: (chunk) => Digest.fromBytes(entries, digestOffset(chunk)),
    find: (offset) => (offset >= 0 && offset < sizeBytes ? search(view, count, offset) : -1),
    computeChecksum: () => checksumOf(entries)
  }
}

const initialEntries = 64

/** Collects the entries of a new dynamic index in the order of the archive. */
export class DynamicIndexBuilder {
  #bytes = new Uint8Array(headerSizeBytes + initialEntries * entrySizeBytes)
  #count = 0
  #sizeBytes = 0

  get count(): number {
    return this.#count
  }

  /** Size of the archive so far. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Appends the chunk that reaches from the end of the one before to `endOffset`. */
  add(endOffset: number, digestBytes: Uint8Array): void {
    checkDigestLength(digestBytes)
    const at = headerSizeBytes + this.#count * entrySizeBytes
    if (!Number.isSafeInteger(endOffset) || endOffset <= this.#sizeBytes) {
      fail(format, at, `an end offset above ${this.#sizeBytes} and below 2^53`, String(endOffset))
    }
    if (at + entrySizeBytes > this.#bytes.length) {
      const grown = new Uint8Array(headerSizeBytes + (this.#bytes.length - headerSizeBytes) * 2)
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    new DataView(this.#bytes.buffer).setBigUint64(at, BigInt(endOffset), true)
    this.#bytes.set(digestBytes, at + digestStart)
    this.#sizeBytes = endOffset
    this.#count++
  }

  /** The file; an index without chunks cannot be read by anyone and is refused. */
  finish(identity: IndexIdentity): EncodedIndex {
    if (this.#count === 0) fail(format, headerSizeBytes, "at least one entry", "none")
    const bytes = this.#bytes.slice(0, headerSizeBytes + this.#count * entrySizeBytes)
    const checksum = checksumOf(bytes.subarray(headerSizeBytes))
    writeCommonHeader(bytes, magic, { ...identity, checksum })
    return { bytes, checksum, sizeBytes: this.#sizeBytes, count: this.#count }
  }
}

export interface DynamicEntry {
  readonly end: number
  readonly digest: Digest.Digest
}

/** A whole index at once. */
export const encode = (
  options: IndexIdentity & { readonly entries: Iterable<DynamicEntry> }
): EncodedIndex => {
  const builder = new DynamicIndexBuilder()
  for (const { end, digest } of options.entries) builder.add(end, Digest.toBytes(digest))
  return builder.finish(options)
}
