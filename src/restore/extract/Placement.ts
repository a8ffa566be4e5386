/**
 * Makes new names in an open directory and decides what becomes of something that has the name already.
 *
 * "never" leaves it as it is; "always" removes it first, unless it is a directory; "newer" does so only when
 * the archive's is of a later time. Nothing is ever written into a file that was there before, and existing
 * directories are entered, never replaced. A symbolic link is not a directory, wherever it leads.
 */
import type { FileMetadata } from "../../model/FileMetadata.ts"
import { kindOfMode } from "../../model/FileMetadata.ts"
import { linkAt, makeDirectoryAt, openAt, type PosixStat, statAt, unlinkAt } from "../../platform/Posix.ts"
import { errnoOf } from "./ExtractError.ts"
import { CREATE_FILE, OPEN_DIRECTORY } from "./OpenFlags.ts"
import type { Report } from "./Report.ts"
import { deviceOf } from "./RestoredFiles.ts"

export type Overwrite = "never" | "always" | "newer"

export type ModificationTime = Pick<FileMetadata, "mtimeSeconds" | "mtimeNanos">

export const isNewer = (left: ModificationTime, right: ModificationTime): boolean =>
  left.mtimeSeconds > right.mtimeSeconds ||
  (left.mtimeSeconds === right.mtimeSeconds && left.mtimeNanos > right.mtimeNanos)

const PRIVATE_DIRECTORY_MODE = 0o700
const PRIVATE_FILE_MODE = 0o600

const isTaken = (error: unknown): boolean => errnoOf(error) === "EEXIST"

export class Placement {
  readonly overwrite: Overwrite
  readonly #report: Report

  constructor(overwrite: Overwrite, report: Report) {
    this.overwrite = overwrite
    this.#report = report
  }

  /** Makes a directory that only its owner may enter, or enters the one that is there. */
  directory(
    parentFd: number,
    name: Uint8Array,
    time: ModificationTime
  ): { readonly fd: number; readonly isNew: boolean } | undefined {
    try {
      makeDirectoryAt(parentFd, name, PRIVATE_DIRECTORY_MODE)
    } catch (error) {
      if (!isTaken(error)) throw error
      if (kindOfMode(statAt(parentFd, name).mode) === "directory") {
        return { fd: openAt(parentFd, name, OPEN_DIRECTORY), isNew: false }
      }
      if (!this.#makeRoom(parentFd, name, time)) return undefined
      makeDirectoryAt(parentFd, name, PRIVATE_DIRECTORY_MODE)
    }
    return { fd: openAt(parentFd, name, OPEN_DIRECTORY), isNew: true }
  }

  /** Makes an empty file that only its owner may read, and opens it for writing. */
  file(parentFd: number, name: Uint8Array, time: ModificationTime): number | undefined {
    return this.#make(parentFd, name, time, () => openAt(parentFd, name, CREATE_FILE, PRIVATE_FILE_MODE))
  }

  /** Makes something by `make`, which must fail when the name is taken. False when what is there stays. */
  other(parentFd: number, name: Uint8Array, time: ModificationTime, make: () => void): boolean {
    return this.#make(parentFd, name, time, () => (make(), true)) ?? false
  }

  /** Gives a file that this run made, and that `target` describes, another name. */
  hardlink(
    from: { readonly fd: number; readonly name: Uint8Array; readonly stat: PosixStat },
    parentFd: number,
    name: Uint8Array
  ): boolean {
    const isMade = this.other(parentFd, name, from.stat, () => linkAt(from.fd, from.name, parentFd, name))
    if (!isMade) return false
    const made = statAt(parentFd, name)
    if (made.inode === from.stat.inode && deviceOf(made) === deviceOf(from.stat)) return true
    // Somebody put another file in the target's place a moment ago; theirs is none of ours.
    unlinkAt(parentFd, name)
    this.#report.warn("hardlink", "the file it is another name of was replaced meanwhile")
    return false
  }

  #make<A>(parentFd: number, name: Uint8Array, time: ModificationTime, make: () => A): A | undefined {
    try {
      return make()
    } catch (error) {
      if (!isTaken(error)) throw error
      return this.#makeRoom(parentFd, name, time) ? make() : undefined
    }
  }

  /** Removes what has the name, if that is allowed; says why when it is not. */
  #makeRoom(parentFd: number, name: Uint8Array, time: ModificationTime): boolean {
    const existing = statAt(parentFd, name)
    if (this.overwrite === "never") {
      this.#report.warn("exists", "it exists already and was left as it is")
      return false
    }
    if (kindOfMode(existing.mode) === "directory") {
      this.#report.warn("exists", "a directory of this name exists and was left as it is")
      return false
    }
    if (this.overwrite === "newer" && !isNewer(time, existing)) {
      this.#report.count("kept")
      return false
    }
    unlinkAt(parentFd, name)
    return true
  }
}
