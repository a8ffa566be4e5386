/**
 * Writes the content of one new file, piece after piece. Zeros that fill whole pages are not written, so the
 * file gets holes there; nothing may have been written to the file before.
 */
import { ftruncateSync, writeSync } from "node:fs"

const PAGE_BYTES = 4096
const ZEROS = Buffer.alloc(PAGE_BYTES)

const isZero = (bytes: Buffer, start: number, end: number): boolean =>
  bytes[start] === 0 && bytes[end - 1] === 0 && bytes.compare(ZEROS, 0, end - start, start, end) === 0

export class FileWriter {
  readonly fd: number
  readonly #sizeBytes: number
  #position = 0
  #writtenEnd = 0

  constructor(fd: number, sizeBytes: number) {
    this.fd = fd
    this.#sizeBytes = sizeBytes
  }

  write(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    let dataStart = 0
    if (this.#sizeBytes >= PAGE_BYTES) {
      for (let at = 0; at < bytes.length;) {
        const pageEnd = at + PAGE_BYTES - ((this.#position + at) % PAGE_BYTES)
        const end = Math.min(pageEnd, bytes.length)
        if (isZero(bytes, at, end)) {
          this.#writeRange(bytes, dataStart, at)
          dataStart = end
        }
        at = end
      }
    }
    this.#writeRange(bytes, dataStart, bytes.length)
    this.#position += bytes.length
  }

  /** Gives the file its full size where it ends in a hole. */
  finish(): void {
    if (this.#writtenEnd < this.#sizeBytes) ftruncateSync(this.fd, this.#sizeBytes)
  }

  #writeRange(bytes: Buffer, start: number, end: number): void {
    for (let at = start; at < end;) {
      const position = this.#position + at
      at += writeSync(this.fd, bytes, at, end - at, position)
      this.#writtenEnd = this.#position + at
    }
  }
}
