/**
 * One zstd frame (RFC 8878) around the binding in `node:zlib`: compression as the reference does it, and
 * decompression that is bounded before it starts.
 *
 * The binding ignores what follows the first frame and believes a frame's word about its size. So the frame
 * is walked first, block header by block header: it must end exactly with the input, and what it claims to
 * contain must fit into its blocks. A frame of n bytes can never make more than n / 4 blocks of 128 KiB.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib"
import { ByteReader } from "./ByteReader.ts"
import { FormatError, type FormatName } from "./FormatError.ts"

const frameMagic = 0xfd2f_b528

const blockSizeMaxBytes = 128 * 1024

/** Every decoder should take windows up to 8 MiB; larger ones are taken only for larger limits. */
const windowLogDefault = 23

interface FrameHeader {
  /** Absent when the writer did not know it beforehand. */
  readonly contentSizeBytes: number | undefined
  readonly hasChecksum: boolean
}

/** What a frame says about itself, checked against its blocks. */
export interface FrameSize {
  readonly contentSizeBytes: number | undefined
  /** More than this cannot come out of the frame. */
  readonly contentSizeMaxBytes: number
}

const readContentSize = (reader: ByteReader, code: number, isSingleSegment: boolean): number | undefined => {
  const what = "frame content size"
  if (code === 0) return isSingleSegment ? reader.u8(what) : undefined
  if (code === 1) return reader.u8(what) + reader.u8(what) * 256 + 256
  return code === 2 ? reader.u32(what) : reader.size(what)
}

const readHeader = (reader: ByteReader): FrameHeader => {
  const magic = reader.u32("zstd magic")
  if (magic !== frameMagic) reader.fail("a zstd frame", `magic ${magic.toString(16)}`, reader.base)
  const descriptor = reader.u8("frame descriptor")
  if ((descriptor & 0b1000) !== 0) reader.fail("the reserved bit of the frame descriptor unset", "set")
  if ((descriptor & 0b11) !== 0) reader.fail("a frame without dictionary", "a dictionary id")
  const isSingleSegment = (descriptor & 0b10_0000) !== 0
  if (!isSingleSegment) reader.skip(1, "window descriptor")
  return {
    contentSizeBytes: readContentSize(reader, descriptor >>> 6, isSingleSegment),
    hasChecksum: (descriptor & 0b100) !== 0
  }
}

/** Skips all blocks and returns the most that can come out of them. */
const walkBlocks = (reader: ByteReader): number => {
  let contentSizeMaxBytes = 0
  for (;;) {
    const low = reader.u8("block header")
    const word = low | (reader.u8("block header") << 8) | (reader.u8("block header") << 16)
    const sizeBytes = word >>> 3
    const type = (word >>> 1) & 0b11
    if (type === 3) reader.fail("a known block type", "the reserved one")
    if (sizeBytes > blockSizeMaxBytes) reader.fail("a block of at most 128 KiB", `${sizeBytes} bytes`)
    // Type 0 is raw, type 1 one byte repeated, type 2 compressed.
    reader.skip(type === 1 ? 1 : sizeBytes, "block")
    contentSizeMaxBytes += type === 2 ? blockSizeMaxBytes : sizeBytes
    if ((word & 1) !== 0) return contentSizeMaxBytes
  }
}

/** Walks the single frame that `bytes` must be. */
export const measure = (format: FormatName, bytes: Uint8Array, base = 0): FrameSize => {
  const reader = new ByteReader(format, bytes, base)
  const { contentSizeBytes, hasChecksum } = readHeader(reader)
  const contentSizeMaxBytes = walkBlocks(reader)
  if (hasChecksum) reader.skip(4, "frame checksum")
  reader.end("the zstd frame")
  if (contentSizeBytes !== undefined && contentSizeBytes > contentSizeMaxBytes) {
    reader.fail(`at most ${contentSizeMaxBytes} bytes of content`, `a claim of ${contentSizeBytes}`, base)
  }
  return { contentSizeBytes, contentSizeMaxBytes }
}

/** The smallest power of two, as its exponent, that holds the whole content. */
const windowLogFor = (sizeBytes: number): number =>
  Math.min(31, Math.max(windowLogDefault, Math.ceil(Math.log2(Math.max(1, sizeBytes)))))

/** Decompresses the single frame that `bytes` must be; more than `maxSizeBytes` is a `FormatError`. */
export const decompress = (
  format: FormatName,
  bytes: Uint8Array,
  maxSizeBytes: number,
  base = 0
): Uint8Array => {
  const { contentSizeBytes, contentSizeMaxBytes } = measure(format, bytes, base)
  const refuse = (expected: string, found: string): never => {
    throw new FormatError({ format, offset: base, expected, found })
  }
  const limitBytes = contentSizeBytes ?? Math.min(maxSizeBytes, contentSizeMaxBytes)
  if (limitBytes > maxSizeBytes) refuse(`at most ${maxSizeBytes} bytes of content`, `${limitBytes}`)
  let content: Uint8Array
  try {
    content = zstdDecompressSync(bytes, {
      maxOutputLength: Math.max(1, limitBytes),
      // One byte more than needed: a buffer that is filled to the last makes the binding ask for another one.
      chunkSize: Math.max(64, (contentSizeBytes ?? blockSizeMaxBytes) + 1),
      params: { [constants.ZSTD_d_windowLogMax]: windowLogFor(maxSizeBytes) }
    })
  } catch (error) {
    return refuse(`a sound zstd frame of at most ${limitBytes} bytes`, reasonOf(error))
  }
  if (contentSizeBytes !== undefined && content.length !== contentSizeBytes) {
    refuse(`${contentSizeBytes} bytes of content`, `${content.length}`)
  }
  return content
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Compresses into one frame that states its content size. */
export const compress = (data: Uint8Array, level: number): Uint8Array =>
  zstdCompressSync(data, {
    // Room for the worst case, so that the binding makes one pass into one buffer.
    chunkSize: data.length + (data.length >>> 8) + 1024,
    pledgedSrcSize: data.length,
    params: { [constants.ZSTD_c_compressionLevel]: level }
  })
