/**
 * A SHA-256 digest as 64 lower-case hex digits: the name of a chunk, the checksum of an index or of a blob
 * file.
 *
 * Text is the form for names, maps of moderate size and messages; where millions are handled they stay 32 raw
 * bytes (see `DigestTable` and the indexes in `format/`).
 */
import type * as Brand from "effect/Brand"
import { refuse } from "./InvalidName.ts"

export type Digest = string & Brand.Brand<"Digest">

/** Size of the raw form. */
export const lengthBytes = 32

const pattern = /^[0-9a-f]{64}$/

const brand = (text: string): Digest => text as Digest

export const isDigest = (text: string): text is Digest => pattern.test(text)

export const parse = (text: string): Digest =>
  isDigest(text) ? text : refuse("digest", text, "64 lower-case hex digits")

/** Reads the 32 bytes at `offset`; fewer bytes there are a mistake of the caller. */
export const fromBytes = (bytes: Uint8Array, offset = 0): Digest => {
  if (offset < 0 || offset + lengthBytes > bytes.length) {
    throw new RangeError(`a digest needs ${lengthBytes} bytes at ${offset}, there are ${bytes.length}`)
  }
  return brand(Buffer.from(bytes.buffer, bytes.byteOffset + offset, lengthBytes).toString("hex"))
}

export const toBytes = (digest: Digest): Uint8Array => {
  const bytes = new Uint8Array(lengthBytes)
  Buffer.from(bytes.buffer).write(digest, "hex")
  return bytes
}

/** The first four hex digits: the folder of `.chunks` that holds the chunk. */
export const prefix = (digest: Digest): string => digest.slice(0, 4)
