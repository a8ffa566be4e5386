/**
 * What a chunk's blob must contain: the pure judgement behind all that `ChunkCodec` reads, and how one is made in
 * memory; shared by the inline codec and the worker threads.
 */
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import { FormatError } from "../format/FormatError.ts"
import * as Digest from "../model/Digest.ts"
import { hash } from "node:crypto"
import { releaseMemory } from "../format/releaseMemory.ts"

/** No blob file is larger. */
export const largestBlobBytes = DataBlob.encodedSizeMax(DataBlob.dataSizeMaxBytes)

export interface ExpectedChunk {
  readonly digest: Digest.Digest
  readonly sizeBytes: number | undefined
  readonly crypt: CryptConfig | undefined
}

export interface Unusable {
  readonly reason: "Corrupt" | "KeyNeeded"
  readonly detail: string
}

/** What became of looking at a chunk's file. Only `corrupt` condemns it. */
export type Verdict =
  | {
      readonly state: "good"
      readonly kind: DataBlob.BlobKind
      readonly encodedSizeBytes: number
      /** False when the checksum is all that could be looked at: the chunk is encrypted with a key not given. */
      readonly isProven: boolean
    }
  | { readonly state: "missing" }
  | { readonly state: "corrupt"; readonly detail: string }
  | { readonly state: "unreadable"; readonly detail: string }

export const digestOf = (data: Uint8Array, crypt: CryptConfig | undefined): Digest.Digest =>
  crypt === undefined ? Digest.parse(hash("sha256", data, "hex")) : crypt.chunkDigest(data)

/** The same as bytes. */
export const digestBytesOf = (data: Uint8Array, crypt: CryptConfig | undefined): Uint8Array =>
  crypt === undefined ? hash("sha256", data, "buffer") : Digest.toBytes(crypt.chunkDigest(data))

/** Why decoded bytes are not the expected ones; undefined when they are. */
export const contentFault = (
  data: Uint8Array,
  expected: ExpectedChunk,
  encrypted: boolean
): string | undefined => {
  if (expected.sizeBytes !== undefined && data.length !== expected.sizeBytes) {
    return `its index says ${expected.sizeBytes} bytes, it holds ${data.length}`
  }
  const found = digestOf(data, encrypted ? expected.crypt : undefined)
  return found === expected.digest ? undefined : `its content has the digest ${found}`
}

/** The whole blob of a chunk, at the beginning of the room or in memory of its own. Only what is stored gets there. */
export const encodeChunk = <Memory extends ArrayBufferLike = ArrayBuffer>({
  data,
  compress,
  crypt,
  room
}: {
  readonly data: Uint8Array
  readonly compress: boolean
  readonly crypt: CryptConfig | undefined
  /** As large as the blob at least (`DataBlob.encodedSizeMax`). */
  readonly room?: Uint8Array<Memory>
}): { readonly blob: Uint8Array<Memory | ArrayBuffer>; readonly kind: DataBlob.BlobKind } => {
  const { header, body, kind } = DataBlob.encodeParts(data, { compress, ...(crypt ? { crypt } : {}) })
  const blobBytes = header.length + body.length
  const blob = room === undefined ? new Uint8Array(blobBytes) : room.subarray(0, blobBytes)
  blob.set(header)
  blob.set(body, header.length)
  releaseMemory(body, data)
  return { blob, kind }
}

/** The kind the bytes begin as; undefined for anything that is no blob. */
export const kindOf = (bytes: Uint8Array): DataBlob.BlobKind | undefined => {
  try {
    return DataBlob.peekKind(bytes)
  } catch {
    return undefined
  }
}

/** Decodes a chunk file and proves it; everything wrong with it comes back as a value. */
export const decodeChunk = (
  blob: Uint8Array,
  expected: ExpectedChunk,
  overwrites = false
): Uint8Array | Unusable => {
  try {
    const encrypted = DataBlob.isEncrypted(DataBlob.peekKind(blob))
    if (encrypted && expected.crypt === undefined) return { reason: "KeyNeeded", detail: "it is encrypted" }
    DataBlob.verifyCrc(blob)
    return decodeProven(blob, expected, { encrypted, overwrites })
  } catch (error) {
    if (error instanceof FormatError) return { reason: "Corrupt", detail: error.message }
    throw error
  }
}

/** The CRC is right: from here on a failing decryption means a wrong key, not damage. */
const decodeProven = (
  blob: Uint8Array,
  expected: ExpectedChunk,
  { encrypted, overwrites }: { readonly encrypted: boolean; readonly overwrites: boolean }
): Uint8Array | Unusable => {
  let data: Uint8Array
  try {
    const crypt = expected.crypt ? { crypt: expected.crypt } : {}
    data = DataBlob.decode(blob, { ...crypt, verifyCrc: false, overwrites })
  } catch (error) {
    if (encrypted && error instanceof FormatError) {
      return { reason: "KeyNeeded", detail: "the given key is not the one it was encrypted with" }
    }
    throw error
  }
  const fault = contentFault(data, expected, encrypted)
  return fault === undefined ? data : { reason: "Corrupt", detail: fault }
}

/**
 * Judges a chunk file. Encrypted chunks are judged by their CRC alone when their key is not at hand: a wrong key must
 * never condemn a good chunk.
 */
export const checkBlob = (blob: Uint8Array, expected: ExpectedChunk, overwrites = false): Verdict => {
  try {
    const kind = DataBlob.peekKind(blob)
    const encrypted = DataBlob.isEncrypted(kind)
    const found = { state: "good", kind, encodedSizeBytes: blob.length } as const
    DataBlob.verifyCrc(blob)
    if (encrypted && expected.crypt === undefined) return { ...found, isProven: false }
    const outcome = decodeProven(blob, expected, { encrypted, overwrites })
    if (outcome instanceof Uint8Array) {
      releaseMemory(outcome, blob)
      return { ...found, isProven: true }
    }
    const { detail, reason } = outcome
    return reason === "Corrupt" ? { state: "corrupt", detail } : { ...found, isProven: false }
  } catch (error) {
    if (error instanceof FormatError) return { state: "corrupt", detail: error.message }
    throw error
  }
}
