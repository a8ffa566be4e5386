/**
 * Writes the content of one new file, piece after piece. Zeros that fill whole pages are not written, so the file gets
 * holes there; nothing may have been written to the file before.
 *
 * The content of large files is gathered in blocks that go past the page cache, where the file system can do
 * that: it is quicker, and a restored disk image does not push everything else out of memory.
 */
import { closeSync, ftruncateSync, writeSync } from "node:fs"
import * as BulkFile from "../../platform/BulkFile.ts"
import { errnoOf } from "./ExtractError.ts"

const PAGE_BYTES = BulkFile.alignmentBytes
const ZEROS = Buffer.alloc(PAGE_BYTES)

/** Files from this size on are written in blocks. */
const LARGE_BYTES = 8 * 1024 * 1024
const BLOCK_BYTES = 2 * 1024 * 1024

const isZero = (bytes: Buffer, start: number, end: number): boolean =>
  bytes[start] === 0 && bytes[end - 1] === 0 && bytes.compare(ZEROS, 0, end - start, start, end) === 0

/** One block for all: files are written one after the other. Made when the first large file comes. */
let sharedBlock: Buffer | undefined

const block = (): Buffer => {
  if (sharedBlock === undefined) {
    const { buffer, byteOffset, length } = BulkFile.alignedMemory(BLOCK_BYTES)
    sharedBlock = Buffer.from(buffer, byteOffset, length)
  }
  return sharedBlock
}

export class FileWriter {
  readonly fd: number
  readonly #sizeBytes: number
  /** Bytes that wait in the block; always 0 for a file that is not large. */
  #gatheredBytes = 0
  /** Where the next byte goes that was not gathered. */
  #position = 0
  #writtenEnd = 0

  constructor(fd: number, sizeBytes: number) {
    this.fd = fd
    this.#sizeBytes = sizeBytes
  }

  write(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    if (this.#sizeBytes < LARGE_BYTES) return this.#writeSparsely(bytes, this.fd)
    for (let at = 0; at < bytes.length;) {
      const count = bytes.copy(block(), this.#gatheredBytes, at)
      this.#gatheredBytes += count
      at += count
      if (this.#gatheredBytes === BLOCK_BYTES) this.#writeBlock()
    }
  }

  /** Writes what was gathered, and gives the file its full size where it ends in a hole. */
  finish(): void {
    if (this.#gatheredBytes > 0) this.#writeBlock()
    if (this.#writtenEnd < this.#sizeBytes) ftruncateSync(this.fd, this.#sizeBytes)
  }

  #writeBlock(): void {
    const pagesEnd = this.#gatheredBytes - (this.#gatheredBytes % PAGE_BYTES)
    const pages = block().subarray(0, pagesEnd)
    const rest = block().subarray(pagesEnd, this.#gatheredBytes)
    const direct = BulkFile.reopenDirect(this.fd)
    try {
      this.#writeSparsely(pages, direct ?? this.fd)
    } finally {
      if (direct !== undefined) closeSync(direct)
    }
    this.#writeSparsely(rest, this.fd)
    this.#gatheredBytes = 0
  }

  #writeSparsely(bytes: Buffer, fd: number): void {
    let dataStart = 0
    if (this.#sizeBytes >= PAGE_BYTES) {
      for (let at = 0; at < bytes.length;) {
        const pageEnd = at + PAGE_BYTES - ((this.#position + at) % PAGE_BYTES)
        const end = Math.min(pageEnd, bytes.length)
        if (isZero(bytes, at, end)) {
          this.#writeRange(bytes, dataStart, at, fd)
          dataStart = end
        }
        at = end
      }
    }
    this.#writeRange(bytes, dataStart, bytes.length, fd)
    this.#position += bytes.length
  }

  #writeRange(bytes: Buffer, start: number, end: number, fd: number): void {
    for (let at = start; at < end;) {
      at += this.#writeSome(bytes, at, end, fd)
      this.#writtenEnd = this.#position + at
    }
  }

  /** A file system that refuses a direct write takes an ordinary one. */
  #writeSome(bytes: Buffer, start: number, end: number, fd: number): number {
    try {
      return writeSync(fd, bytes, start, end - start, this.#position + start)
    } catch (error) {
      if (fd === this.fd || errnoOf(error) !== "EINVAL") throw error
      return writeSync(this.fd, bytes, start, end - start, this.#position + start)
    }
  }
}
