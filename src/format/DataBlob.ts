/**
 * The data blob: the container of every chunk and of every small file in a snapshot. Little endian.
 *
 *     offset  size  field
 *          0     8  magic: which of the four kinds
 *          8     4  CRC-32 of everything after the header
 *         12    16  initialisation vector (encrypted kinds only)
 *         28    16  GCM tag               (encrypted kinds only)
 *    12 / 44     n  payload: the data, a zstd frame, or either of them encrypted
 *
 * Each magic is the first eight bytes of the SHA-256 of a sentence naming the kind. Data is compressed before
 * it is encrypted, and stays uncompressed when that makes it no longer. The CRC notices decay, not intent: it
 * can be recomputed by anyone; what data is, its digest says.
 */
import { crc32 } from "node:zlib"
import { ByteReader } from "./ByteReader.ts"
import { type CryptConfig, ivSizeBytes, tagSizeBytes } from "./CryptConfig.ts"
import { fail } from "./FormatError.ts"
import { releaseMemory } from "./releaseMemory.ts"
import * as ZstdFrame from "./ZstdFrame.ts"

export type BlobKind = "plain" | "zstd" | "encrypted" | "encrypted-zstd"

const format = "data blob"

/** The magics as little-endian numbers. */
export const magics: Readonly<Record<BlobKind, bigint>> = {
  plain: 0xa170_83be_0738_ab42n,
  zstd: 0x7fa3_b66f_4258_b931n,
  encrypted: 0xf04c_2d22_be85_677bn,
  "encrypted-zstd": 0x0bd8_bf0b_bf1b_59e6n
}

const kinds: ReadonlyMap<bigint, BlobKind> = new Map([
  [magics.plain, "plain"],
  [magics.zstd, "zstd"],
  [magics.encrypted, "encrypted"],
  [magics["encrypted-zstd"], "encrypted-zstd"]
])

/** The most data one blob may hold. */
export const dataSizeMaxBytes = 128 * 1024 * 1024

export const isEncrypted = (kind: BlobKind): boolean => kind === "encrypted" || kind === "encrypted-zstd"

export const isCompressed = (kind: BlobKind): boolean => kind === "zstd" || kind === "encrypted-zstd"

const plainHeaderSizeBytes = 12

const encryptedHeaderSizeBytes = plainHeaderSizeBytes + ivSizeBytes + tagSizeBytes

export const headerSize = (kind: BlobKind): number =>
  isEncrypted(kind) ? encryptedHeaderSizeBytes : plainHeaderSizeBytes

/** The largest blob of that much data: compression that does not shrink is not kept. */
export const encodedSizeMax = (dataSizeBytes: number): number => encryptedHeaderSizeBytes + dataSizeBytes

export const largestBlobBytes = encodedSizeMax(dataSizeMaxBytes)

export interface EncodeOptions {
  readonly compress: boolean
  /** Encrypts when present. */
  readonly crypt?: CryptConfig
  /** zstd level; 1 as in the reference when absent. */
  readonly level?: number
  /** Where ciphertext goes; as long as the data at least. Memory of its own when absent. */
  readonly room?: Uint8Array
}

export interface BlobParts {
  readonly header: Uint8Array
  /** Everything after the header; may be the caller's own data, not copied. */
  readonly body: Uint8Array
  readonly kind: BlobKind
}

const probeFromBytes = 128 * 1024

const probePieceBytes = 16 * 1024

const probePieces = 4

/**
 * Compresses four pieces from all over a large input: when not even these shrink, the whole pass is saved.
 */
const looksCompressible = (data: Uint8Array, level: number): boolean => {
  if (data.length < probeFromBytes) return true
  const sample = new Uint8Array(probePieces * probePieceBytes)
  for (let piece = 0; piece < probePieces; piece++) {
    const start = Math.floor(((data.length - probePieceBytes) * piece) / (probePieces - 1))
    sample.set(data.subarray(start, start + probePieceBytes), piece * probePieceBytes)
  }
  return ZstdFrame.compress(sample, level).length < sample.length
}

/** The zstd frame of the data, or undefined when that would be longer than the data. */
const compressed = (data: Uint8Array, options: EncodeOptions): Uint8Array | undefined => {
  const level = options.level ?? 1
  if (!options.compress || !looksCompressible(data, level)) return undefined
  const frame = ZstdFrame.compress(data, level)
  return frame.length <= data.length ? frame : undefined
}

const makeHeader = (kind: BlobKind, body: Uint8Array): Uint8Array => {
  const header = new Uint8Array(headerSize(kind))
  const view = new DataView(header.buffer)
  view.setBigUint64(0, magics[kind], true)
  view.setUint32(8, crc32(body), true)
  return header
}

/** Header and body apart, for writers that can write both without putting them together first. */
export const encodeParts = (data: Uint8Array, options: EncodeOptions): BlobParts => {
  if (data.length > dataSizeMaxBytes) {
    return fail(format, 0, `at most ${dataSizeMaxBytes} bytes of data`, `${data.length} bytes`)
  }
  const frame = compressed(data, options)
  const payload = frame ?? data
  if (options.crypt === undefined) {
    const kind = frame === undefined ? "plain" : "zstd"
    return { header: makeHeader(kind, payload), body: payload, kind }
  }
  const kind = frame === undefined ? "encrypted" : "encrypted-zstd"
  const { iv, tag, ciphertext } = options.crypt.encrypt(
    payload,
    options.room === undefined ? {} : { room: options.room }
  )
  if (frame !== undefined) releaseMemory(frame, data)
  const header = makeHeader(kind, ciphertext)
  header.set(iv, plainHeaderSizeBytes)
  header.set(tag, plainHeaderSizeBytes + ivSizeBytes)
  return { header, body: ciphertext, kind }
}

export const encode = (data: Uint8Array, options: EncodeOptions): Uint8Array => {
  const { header, body } = encodeParts(data, options)
  const blob = new Uint8Array(header.length + body.length)
  blob.set(header)
  blob.set(body, header.length)
  return blob
}

const magicSizeBytes = 8

/** Which kind the bytes begin as, undefined when as none; nothing beyond the magic is looked at. */
export const kindOfMagic = (bytes: Uint8Array): BlobKind | undefined =>
  bytes.length < magicSizeBytes ? undefined : kinds.get(new ByteReader(format, bytes).u64("blob magic"))

/** The same, where anything else is a failure. */
export const peekKind = (bytes: Uint8Array): BlobKind => {
  const kind = kindOfMagic(bytes)
  if (kind !== undefined) return kind
  const found = Buffer.from(bytes.subarray(0, magicSizeBytes)).toString("hex")
  return fail(format, 0, "the magic of a data blob", found === "" ? "nothing" : found)
}

/** Whether the bytes begin as a blob whose payload is the data itself. */
export const isPlain = (bytes: Uint8Array): boolean => kindOfMagic(bytes) === "plain"

interface Header {
  readonly kind: BlobKind
  readonly crc: number
  readonly iv: Uint8Array
  readonly tag: Uint8Array
  readonly body: Uint8Array
}

const none = new Uint8Array(0)

const readHeader = (blob: Uint8Array): Header => {
  const kind = peekKind(blob)
  const reader = new ByteReader(format, blob)
  reader.skip(magicSizeBytes, "blob magic")
  const crc = reader.u32("blob checksum")
  const iv = isEncrypted(kind) ? reader.take(ivSizeBytes, "initialisation vector") : none
  const tag = isEncrypted(kind) ? reader.take(tagSizeBytes, "authentication tag") : none
  return { kind, crc, iv, tag, body: reader.take(reader.remaining, "payload") }
}

const hex8 = (value: number): string => value.toString(16).padStart(8, "0")

const checkCrc = ({ body, crc }: Header): void => {
  const actual = crc32(body)
  if (actual !== crc) fail(format, 8, `checksum ${hex8(actual)} of the payload`, hex8(crc))
}

/**
 * The header is complete and the checksum fits; the most that can be said of an encrypted blob without its
 * key.
 */
export const verifyCrc = (blob: Uint8Array): void => checkCrc(readHeader(blob))

export interface DecodeOptions {
  /** Needed for the encrypted kinds only. */
  readonly crypt?: CryptConfig
  /** More data than this is refused; 128 MiB when absent. */
  readonly maxSizeBytes?: number
  /** Only for blobs whose checksum was verified before; true when absent. */
  readonly verifyCrc?: boolean
  /** Whether the blob's memory may be overwritten; false when absent. */
  readonly overwrites?: boolean
}

const decrypt = (header: Header, { crypt, overwrites = false }: DecodeOptions): Uint8Array => {
  if (crypt === undefined)
    return fail(format, 0, "an unencrypted blob, or the key", "an encrypted blob and no key")
  const encrypted = { iv: header.iv, tag: header.tag, ciphertext: header.body }
  const data = crypt.decrypt(encrypted, overwrites ? header.body : undefined)
  return data ?? fail(format, 28, "data encrypted with this key", "a tag that does not fit")
}

/** The data of a blob. For the plain kind (or any that `overwrites`) it is a view of the blob, not a copy. */
export const decode = (blob: Uint8Array, options: DecodeOptions = {}): Uint8Array => {
  const header = readHeader(blob)
  const maxSizeBytes = options.maxSizeBytes ?? dataSizeMaxBytes
  if (options.verifyCrc ?? true) checkCrc(header)
  const payloadStart = headerSize(header.kind)
  if (!isCompressed(header.kind) && header.body.length > maxSizeBytes) {
    fail(format, payloadStart, `at most ${maxSizeBytes} bytes of data`, `${header.body.length} bytes`)
  }
  const payload = isEncrypted(header.kind) ? decrypt(header, options) : header.body
  if (!isCompressed(header.kind)) return payload
  const data = ZstdFrame.decompress(format, payload, maxSizeBytes, payloadStart)
  releaseMemory(payload, blob)
  return data
}
