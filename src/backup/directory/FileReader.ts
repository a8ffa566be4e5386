/**
 * Reads the content of one open file, exactly as many bytes as were announced for it, whatever happens to the file
 * meanwhile: what is missing becomes zeros, what is too much is left out, and a warning says so.
 *
 * Holes of sparse files are not read. A file that one read delivers whole is not looked at again; any other is compared
 * with its earlier state at the end.
 */
import { closeSync, readSync } from "node:fs"
import * as Posix from "../../platform/Posix.ts"
import { errnoOf } from "./DirectoryListing.ts"

/** Unit of `st_blocks`, whatever the file system's blocks are. */
const BLOCK_BYTES = 512

export class FileReader {
  readonly #fd: number
  readonly #stat: Posix.PosixStat
  readonly #warn: (message: string) => void
  readonly #sizeBytes: number
  #position = 0
  /** The known piece of data at or behind the position; before it is a hole. */
  #dataStart = 0
  #dataEnd: number
  #isWhole = false
  /** Set when no more can be had from the file. */
  #isExhausted = false

  /** Takes over the descriptor. */
  constructor(fd: number, stat: Posix.PosixStat, warn: (message: string) => void) {
    this.#fd = fd
    this.#stat = stat
    this.#warn = warn
    this.#sizeBytes = stat.sizeBytes
    this.#dataEnd = stat.blocks * BLOCK_BYTES < stat.sizeBytes ? 0 : stat.sizeBytes
  }

  get remainingBytes(): number {
    return this.#sizeBytes - this.#position
  }

  /** Fills all of `target`, or its beginning when fewer bytes remain; returns how many it wrote. */
  read(target: Uint8Array): number {
    const wanted = Math.min(target.length, this.remainingBytes)
    for (let filled = 0; filled < wanted;) {
      const count = this.#readPiece(target.subarray(filled, wanted))
      this.#position += count
      filled += count
    }
    return wanted
  }

  /** Looks whether the file changed, and closes it. */
  finish(): void {
    try {
      if (!this.#isExhausted && !this.#isWhole) this.#compare(Posix.statAt(this.#fd, ""))
    } catch (error) {
      this.#warn(`it may have changed while it was read: it cannot be looked at again (${errnoOf(error)})`)
    } finally {
      closeSync(this.#fd)
    }
  }

  /** Closes the file wherever reading has come to. */
  abandon(): void {
    closeSync(this.#fd)
  }

  #readPiece(target: Uint8Array): number {
    if (!this.#isExhausted && this.#position >= this.#dataEnd) this.#findData()
    if (this.#isExhausted) {
      target.fill(0)
      return target.length
    }
    const holeBytes = Math.min(target.length, this.#dataStart - this.#position)
    if (holeBytes > 0) {
      target.fill(0, 0, holeBytes)
      return holeBytes
    }
    return this.#readData(target.subarray(0, this.#dataEnd - this.#position))
  }

  #readData(target: Uint8Array): number {
    try {
      const count = readSync(this.#fd, target, 0, target.length, this.#position)
      if (count === 0) this.#giveUp("it shrank while it was read: the rest is stored as zeros")
      this.#isWhole = count === this.#sizeBytes
      return count
    } catch (error) {
      this.#giveUp(`it cannot be read on (${errnoOf(error)}): the rest is stored as zeros`)
      return 0
    }
  }

  /** Asks where the next data is; a file system that cannot tell has data everywhere. */
  #findData(): void {
    const from = this.#position
    try {
      const start = Math.min(Posix.nextData(this.#fd, from) ?? this.#sizeBytes, this.#sizeBytes)
      const end = start < this.#sizeBytes ? (Posix.nextHole(this.#fd, start) ?? this.#sizeBytes) : start
      this.#dataStart = start
      // Somebody may punch the hole between the two calls: go on by a byte at least.
      this.#dataEnd = Math.min(Math.max(end, start + 1), this.#sizeBytes)
    } catch {
      this.#dataStart = from
      this.#dataEnd = this.#sizeBytes
    }
  }

  #giveUp(message: string): void {
    this.#isExhausted = true
    this.#warn(message)
  }

  #compare(after: Posix.PosixStat): void {
    const before = this.#stat
    if (after.sizeBytes < before.sizeBytes) this.#warn("it shrank while it was read")
    else if (after.sizeBytes > before.sizeBytes) {
      this.#warn(`it grew while it was read: only the first ${before.sizeBytes} bytes are stored`)
    } else if (after.mtimeSeconds !== before.mtimeSeconds || after.mtimeNanos !== before.mtimeNanos) {
      this.#warn("it changed while it was read")
    }
  }
}
