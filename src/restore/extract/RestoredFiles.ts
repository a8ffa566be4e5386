/**
 * Where the regular files of this run are, for the hard links to them that come later: by the offset of their
 * entry in the archive, which is what a hard link speaks of. Packed, as there may be millions.
 *
 * Nothing but a file that this run made is ever handed out: its device and inode are kept and compared.
 */
import { closeSync } from "node:fs"
import { openAt, type PosixStat, statAt } from "../../platform/Posix.ts"
import { errnoOf } from "./ExtractError.ts"
import { OPEN_DIRECTORY } from "./OpenFlags.ts"

/** Stands for the target folder. */
export const ROOT_PLACE = 0

interface Place {
  readonly directory: number
  readonly name: Uint8Array
  readonly device: number
  readonly inode: bigint
}

const COLUMN = { fileOffset: 0, device: 1, directory: 2, nameStart: 3 } as const
const COLUMN_COUNT = 4
const INITIAL_ROWS = 256
const INITIAL_NAMES_BYTES = 4096

export const deviceOf = (stat: PosixStat): number => stat.deviceMajor * 0x1_0000_0000 + stat.deviceMinor

const grown = (bytes: Uint8Array<ArrayBuffer>, neededLength: number): Uint8Array<ArrayBuffer> => {
  if (neededLength <= bytes.length) return bytes
  const larger = new Uint8Array(Math.max(neededLength, 2 * bytes.length))
  larger.set(bytes)
  return larger
}

export class RestoredFiles {
  readonly #directories: Array<{ readonly parent: number; readonly name: Uint8Array }> = [
    { parent: ROOT_PLACE, name: new Uint8Array(0) }
  ]
  /** Files in the order of the archive, so by ascending offset. */
  #rows = new Float64Array(INITIAL_ROWS * COLUMN_COUNT)
  #inodes = new BigUint64Array(INITIAL_ROWS)
  #count = 0
  #names = new Uint8Array(INITIAL_NAMES_BYTES)
  #namesLength = 0
  /** The few that came out of this order. */
  readonly #late = new Map<number, Place>()

  /** Remembers a directory and gives its place. */
  addDirectory(parent: number, name: Uint8Array): number {
    return this.#directories.push({ parent, name }) - 1
  }

  /** Remembers a file by the next higher offset. */
  add(fileOffset: number, directory: number, name: Uint8Array, stat: PosixStat): void {
    if (this.#count === this.#inodes.length) this.#growRows()
    this.#rows.set([fileOffset, deviceOf(stat), directory, this.#namesLength], this.#count * COLUMN_COUNT)
    this.#inodes[this.#count++] = stat.inode
    this.#names = grown(this.#names, this.#namesLength + name.length)
    this.#names.set(name, this.#namesLength)
    this.#namesLength += name.length
  }

  /** Remembers a file that was passed over first and restored for the sake of a hard link to it. */
  addLate(fileOffset: number, directory: number, name: Uint8Array, stat: PosixStat): void {
    this.#late.set(fileOffset, { directory, name, device: deviceOf(stat), inode: stat.inode })
  }

  /**
   * Calls `use` with the folder of that file, open, and the name it has there; undefined when it is not to be
   * had.
   */
  locate<A>(
    targetFd: number,
    fileOffset: number,
    use: (directoryFd: number, name: Uint8Array, stat: PosixStat) => A
  ): A | undefined {
    const place = this.#find(fileOffset)
    if (place === undefined) return undefined
    const directoryFd = this.#openDirectory(targetFd, place.directory)
    if (directoryFd === undefined) return undefined
    try {
      const stat = ifThere(() => statAt(directoryFd, place.name))
      if (stat === undefined || stat.inode !== place.inode || deviceOf(stat) !== place.device)
        return undefined
      return use(directoryFd, place.name, stat)
    } finally {
      closeSync(directoryFd)
    }
  }

  #find(fileOffset: number): Place | undefined {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#column(middle, COLUMN.fileOffset) < fileOffset) low = middle + 1
      else high = middle
    }
    const isFound = low < this.#count && this.#column(low, COLUMN.fileOffset) === fileOffset
    return isFound ? this.#place(low) : this.#late.get(fileOffset)
  }

  #place(row: number): Place {
    const nameStart = this.#column(row, COLUMN.nameStart)
    const nameEnd = row + 1 < this.#count ? this.#column(row + 1, COLUMN.nameStart) : this.#namesLength
    return {
      directory: this.#column(row, COLUMN.directory),
      name: this.#names.slice(nameStart, nameEnd),
      device: this.#column(row, COLUMN.device),
      inode: this.#inodes[row] ?? 0n
    }
  }

  #column(row: number, column: number): number {
    return this.#rows[row * COLUMN_COUNT + column] ?? 0
  }

  #growRows(): void {
    const rows = new Float64Array(2 * this.#rows.length)
    rows.set(this.#rows)
    this.#rows = rows
    const inodes = new BigUint64Array(2 * this.#inodes.length)
    inodes.set(this.#inodes)
    this.#inodes = inodes
  }

  /** Walks down from the target folder, through directories only. */
  #openDirectory(targetFd: number, directory: number): number | undefined {
    const names: Array<Uint8Array> = []
    for (let at = directory; at !== ROOT_PLACE;) {
      const { name, parent } = this.#directories[at] ?? { name: new Uint8Array(0), parent: ROOT_PLACE }
      names.push(name)
      at = parent
    }
    let fd = openAt(targetFd, ".", OPEN_DIRECTORY)
    for (const name of names.toReversed()) {
      const parentFd = fd
      const opened = ifThere(() => openAt(parentFd, name, OPEN_DIRECTORY))
      closeSync(parentFd)
      if (opened === undefined) return undefined
      fd = opened
    }
    return fd
  }
}

/** What `call` gives, or undefined when something else stands there now, or nothing. */
const ifThere = <A>(call: () => A): A | undefined => {
  try {
    return call()
  } catch (error) {
    const code = errnoOf(error)
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return undefined
    throw error
  }
}
