/**
 * What fixed and dynamic indexes have in common: an archive is the chunks of its index, one after the other.
 *
 * An index keeps the bytes of its file as they are and answers out of them; millions of entries cost no
 * objects. The bytes given to a decoder belong to the index from then on and must not be changed.
 *
 * Both files begin with the same 64 bytes of a 4096-byte header, little endian; the rest of it is zero or the
 * format's:
 *
 *     offset  size  field
 *          0     8  magic
 *          8    16  uuid
 *         24     8  creation time, seconds since 1970, signed
 *         32    32  checksum: SHA-256 over all entries
 */
import { hash } from "node:crypto"
import * as Digest from "../model/Digest.ts"
import type { ByteReader } from "./ByteReader.ts"
import { fail } from "./FormatError.ts"

export interface ChunkIndex {
  readonly kind: "fixed" | "dynamic"
  readonly uuid: Uint8Array
  /** Creation time in seconds since 1970. */
  readonly ctime: number
  /** As the header states it; `verifyChecksum` compares it with the entries. */
  readonly checksum: Digest.Digest
  /** Number of chunks, at least one. */
  readonly count: number
  /** Size of the archive. */
  readonly sizeBytes: number
  /** Everything after the header. */
  readonly entries: Uint8Array
  /** Offset of the chunk's first byte in the archive. */
  readonly start: (chunk: number) => number
  /** Offset behind the chunk's last byte in the archive. */
  readonly end: (chunk: number) => number
  /** Where the chunk's digest begins in `entries`: for loops over many digests. */
  readonly digestOffset: (chunk: number) => number
  /** The 32 bytes of the chunk's digest: a view. */
  readonly digestBytes: (chunk: number) => Uint8Array
  readonly digest: (chunk: number) => Digest.Digest
  /** The chunk that holds the byte at that offset of the archive, or -1 when the archive has no such byte. */
  readonly find: (offset: number) => number
  /** The checksum of the entries as they are; manifests name it as the archive's. */
  readonly computeChecksum: () => Digest.Digest
}

/** What a new index is given besides its entries. */
export interface IndexIdentity {
  /** 16 random bytes. */
  readonly uuid: Uint8Array
  /** Seconds since 1970. */
  readonly ctime: number
}

/** Size of the largest chunk the index speaks of. An index may claim anything: compare before allocating. */
export const largestChunkBytes = (index: ChunkIndex): number => {
  let largest = 0
  for (let chunk = 0; chunk < index.count; chunk++) {
    largest = Math.max(largest, index.end(chunk) - index.start(chunk))
  }
  return largest
}

/** A finished index, and what the manifest says of it. */
export interface EncodedIndex {
  readonly bytes: Uint8Array
  readonly checksum: Digest.Digest
  readonly sizeBytes: number
  readonly count: number
}

export const headerSizeBytes = 4096

/** Where the fields that the two formats do not share begin. */
export const commonHeaderSizeBytes = 64

export const uuidSizeBytes = 16

export const checksumOf = (entries: Uint8Array): Digest.Digest => Digest.parse(hash("sha256", entries, "hex"))

/** Throws when the header's checksum is not that of the entries. */
export const verifyChecksum = (index: ChunkIndex): void => {
  const computed = index.computeChecksum()
  if (computed === index.checksum) return
  fail(index.kind === "fixed" ? "fixed index" : "dynamic index", 32, `checksum ${computed}`, index.checksum)
}

export interface CommonHeader extends IndexIdentity {
  readonly checksum: Digest.Digest
}

/** Reads the shared 64 bytes. */
export const readCommonHeader = (reader: ByteReader, magic: bigint): CommonHeader => {
  const found = reader.u64("index magic")
  if (found !== magic) {
    reader.fail(`magic 0x${magic.toString(16)}`, `0x${found.toString(16).padStart(16, "0")}`, reader.base)
  }
  const uuid = reader.take(uuidSizeBytes, "uuid")
  const ctime = Number(reader.i64("creation time"))
  if (!Number.isSafeInteger(ctime)) reader.fail("a creation time below 2^53", String(ctime))
  return { uuid, ctime, checksum: Digest.fromBytes(reader.take(Digest.lengthBytes, "checksum")) }
}

/** Writes the shared 64 bytes to the beginning of `bytes`. */
export const writeCommonHeader = (bytes: Uint8Array, magic: bigint, header: CommonHeader): void => {
  if (header.uuid.length !== uuidSizeBytes) {
    throw new RangeError(`a uuid has ${uuidSizeBytes} bytes, not ${header.uuid.length}`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  view.setBigUint64(0, magic, true)
  bytes.set(header.uuid, 8)
  view.setBigInt64(24, BigInt(header.ctime), true)
  bytes.set(Digest.toBytes(header.checksum), 32)
}

/** Chunk numbers come from loops and from `find`: one outside is a mistake of the caller. */
export const checkChunk = (chunk: number, count: number): void => {
  if (!Number.isInteger(chunk) || chunk < 0 || chunk >= count) {
    throw new RangeError(`the index has chunks 0 to ${count - 1}, not ${chunk}`)
  }
}

export const checkDigestLength = (digestBytes: Uint8Array): void => {
  if (digestBytes.length !== Digest.lengthBytes) {
    throw new RangeError(`a digest has ${Digest.lengthBytes} bytes, not ${digestBytes.length}`)
  }
}
