/**
 * RecordTable: what was once uploaded under a chunk's digest, in records of fixed size, and the table that holds them.
 *
 * A record is 56 bytes: the digest (32), the ETag (16: an ETag that is an MD5 sum as its bytes, any other as the
 * beginning of its SHA-256), the object's size (4, little endian) and the CRC-32 of all that (4). A record whose CRC is
 * wrong was torn by a crash and counts as not there.
 *
 * Invariant: a digest may have several records, and they have no order. Every one of them tells of an object that was
 * good when it was uploaded, and equal ETags of one key mean equal bytes: so an object that is like any of them is
 * good, and one that is like none may still be.
 */
import { hash } from "node:crypto"
import { crc32 } from "node:zlib"
import * as Digest from "../../model/Digest.ts"
import { DigestTable } from "../../model/DigestTable.ts"

export interface Uploaded {
  readonly sizeBytes: number
  readonly etag: string
}

/** What is known of an object without reading it. */
export interface Seen {
  readonly sizeBytes: number
  readonly etag: string | undefined
}

export type Comparison = "as recorded" | "another" | "no record"

export const recordBytes = 56

const etagBytes = 16
const sizeAt = Digest.lengthBytes + etagBytes
const crcAt = sizeAt + 4

const md5Pattern = /^[0-9a-f]{32}$/

const etagToBytes = (etag: string): Uint8Array =>
  md5Pattern.test(etag) ? Buffer.from(etag, "hex") : hash("sha256", etag, "buffer").subarray(0, etagBytes)

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Writes a record at an offset. */
export const encode = (
  target: Uint8Array,
  offset: number,
  digest: Digest.Digest,
  uploaded: Uploaded
): void => {
  const view = viewOf(target)
  target.set(Digest.toBytes(digest), offset)
  target.set(etagToBytes(uploaded.etag), offset + Digest.lengthBytes)
  view.setUint32(offset + sizeAt, uploaded.sizeBytes, true)
  view.setUint32(offset + crcAt, crc32(target.subarray(offset, offset + crcAt)), true)
}

const isWhole = (view: DataView, bytes: Uint8Array, offset: number): boolean =>
  view.getUint32(offset + crcAt, true) === crc32(bytes.subarray(offset, offset + crcAt))

const roomMin = 1024

export class RecordTable {
  /** The number of a digest's record that came last; `#earlier` leads on to the others, one more than their numbers. */
  readonly #latest = new DigestTable()
  #records = new Uint8Array(roomMin * recordBytes)
  #earlier = new Uint32Array(roomMin)
  #count = 0

  /** Different records. */
  get count(): number {
    return this.#count
  }

  /** Takes the records of a file over, without those that are torn or known. */
  addAll(bytes: Uint8Array): void {
    const view = viewOf(bytes)
    for (let offset = 0; offset + recordBytes <= bytes.length; offset += recordBytes) {
      if (isWhole(view, bytes, offset)) this.#add(bytes, offset)
    }
  }

  has(digests: Uint8Array, offset: number): boolean {
    return this.#latest.has(digests, offset)
  }

  /** The size that was recorded, the largest of several; undefined without a record. */
  sizeBytes(digests: Uint8Array, offset: number): number | undefined {
    const latest = this.#latest.get(digests, offset)
    if (latest === undefined) return undefined
    const view = viewOf(this.#records)
    let largest = 0
    for (let next = latest + 1; next !== 0; next = this.#earlier[next - 1] ?? 0) {
      largest = Math.max(largest, view.getUint32((next - 1) * recordBytes + sizeAt, true))
    }
    return largest
  }

  /** Whether an object is like what was uploaded; where its ETag is not known, by its size. */
  compare(digests: Uint8Array, offset: number, { sizeBytes, etag }: Seen): Comparison {
    const latest = this.#latest.get(digests, offset)
    if (latest === undefined) return "no record"
    const wanted = etag === undefined ? undefined : Buffer.from(etagToBytes(etag))
    const view = viewOf(this.#records)
    for (let next = latest + 1; next !== 0; next = this.#earlier[next - 1] ?? 0) {
      const start = (next - 1) * recordBytes
      if (view.getUint32(start + sizeAt, true) !== sizeBytes) continue
      const found = this.#records.subarray(start + Digest.lengthBytes, start + sizeAt)
      if (wanted === undefined || wanted.equals(found)) return "as recorded"
    }
    return "another"
  }

  /** All records but those of some digests, in pieces of at most so many records. */
  *pieces(countMax: number, dropped = new DigestTable()): IterableIterator<Uint8Array> {
    let piece = new Uint8Array(Math.min(countMax, this.#count) * recordBytes)
    let filled = 0
    for (let number = 0; number < this.#count; number++) {
      const start = number * recordBytes
      if (dropped.has(this.#records, start)) continue
      if (filled === piece.length) {
        yield piece
        piece = new Uint8Array(piece.length)
        filled = 0
      }
      piece.set(this.#records.subarray(start, start + recordBytes), filled)
      filled += recordBytes
    }
    if (filled > 0) yield piece.subarray(0, filled)
  }

  #add(bytes: Uint8Array, offset: number): void {
    const latest = this.#latest.get(bytes, offset)
    if (latest !== undefined && this.#knows(latest, bytes, offset)) return
    if (this.#count === this.#earlier.length) this.#grow()
    this.#records.set(bytes.subarray(offset, offset + recordBytes), this.#count * recordBytes)
    this.#earlier[this.#count] = latest === undefined ? 0 : latest + 1
    this.#latest.set(bytes, offset, this.#count)
    this.#count += 1
  }

  #knows(latest: number, bytes: Uint8Array, offset: number): boolean {
    const wanted = Buffer.from(bytes.buffer, bytes.byteOffset + offset, recordBytes)
    for (let next = latest + 1; next !== 0; next = this.#earlier[next - 1] ?? 0) {
      const start = (next - 1) * recordBytes
      if (wanted.equals(this.#records.subarray(start, start + recordBytes))) return true
    }
    return false
  }

  #grow(): void {
    const [records, earlier] = [this.#records, this.#earlier]
    this.#records = new Uint8Array(records.length * 2)
    this.#records.set(records)
    this.#earlier = new Uint32Array(earlier.length * 2)
    this.#earlier.set(earlier)
  }
}
