/**
 * The directories between the target folder and the entry at hand, each open by a descriptor of its own, so
 * that no path is ever looked up twice and no symbolic link is followed.
 *
 * A directory that is not wanted itself stays "pending" until something below it is, and comes into being
 * then. While a new directory is being filled only its owner may enter it; it gets its metadata when it is
 * left. Deep trees do not run out of descriptors: above `openLimit` levels the outer ones are closed and
 * opened again by way of `..`, which is checked to lead to the very same directory.
 */
import { closeSync } from "node:fs"
import type { FileMetadata } from "../../model/FileMetadata.ts"
import * as Posix from "../../platform/Posix.ts"
import { ACCESS_XATTR, DEFAULT_XATTR } from "./AclXattr.ts"
import { applyFlags, applyToDescriptor, clearAcls } from "./applyMetadata.ts"
import { OPEN_DIRECTORY } from "./OpenFlags.ts"
import type { PathBuffer } from "./PathBuffer.ts"
import { isNewer, type Placement } from "./Placement.ts"
import type { Report } from "./Report.ts"
import { deviceOf, type RestoredFiles, ROOT_PLACE } from "./RestoredFiles.ts"
import type { Choice } from "./Selection.ts"

/** A directory that is there and can take children. */
interface Made {
  /** Undefined while set aside. */
  fd: number | undefined
  /** As it was when it was opened. */
  readonly found: Posix.PosixStat
  readonly isNew: boolean
  readonly getsMetadata: boolean
  /** Whether what is made in it comes with access control lists. */
  readonly hasDefaultAcl: boolean
  /** In `RestoredFiles`. */
  readonly place: number
}

export interface OpenDirectory {
  readonly name: Uint8Array
  readonly metadata: FileMetadata
  readonly pathLength: number
  readonly isSelected: boolean
  /** Nothing below it is restored. */
  isSkipped: boolean
  made: Made | undefined
  /** Of the children that had their turn, byte for byte as characters. */
  readonly names: Set<string>
}

export interface ReadyDirectory {
  readonly fd: number
  readonly hasDefaultAcl: boolean
  readonly place: number
}

export interface DirectoryStackOptions {
  readonly targetFd: number
  readonly placement: Placement
  readonly files: RestoredFiles
  readonly path: PathBuffer
  readonly report: Report
  readonly openLimit: number
}

const NO_NAME = new Uint8Array(0)
const OWNER_BITS = 0o700
const PERMISSION_BITS = 0o7777
const DEFAULT_OPEN_LIMIT = 256

const hasXattr = (fd: number, name: Uint8Array): boolean => {
  try {
    return Posix.getXattr(fd, name) !== undefined
  } catch (error) {
    if (error instanceof Posix.PosixError) return false
    throw error
  }
}

export class DirectoryStack {
  readonly #options: DirectoryStackOptions
  readonly #directories: Array<OpenDirectory> = []

  constructor(options: Omit<DirectoryStackOptions, "openLimit">, openLimit = DEFAULT_OPEN_LIMIT) {
    this.#options = { ...options, openLimit: Math.max(1, openLimit) }
  }

  get depth(): number {
    return this.#directories.length
  }

  get top(): OpenDirectory {
    const top = this.#directories.at(-1)
    if (top === undefined) throw new Error("the root of the archive was not entered")
    return top
  }

  /** Begins with the target folder, which the caller keeps open. */
  enterRoot(
    metadata: FileMetadata,
    isSelected: boolean,
    takesMetadata: (found: Posix.PosixStat) => boolean
  ): void {
    const { targetFd } = this.#options
    const found = Posix.statAt(targetFd, NO_NAME)
    const getsMetadata = takesMetadata(found)
    const hasDefaultAcl = hasXattr(targetFd, DEFAULT_XATTR)
    const made = { fd: targetFd, found, isNew: false, getsMetadata, hasDefaultAcl, place: ROOT_PLACE }
    this.#push(NO_NAME, metadata, isSelected, made)
  }

  enter(name: Uint8Array, metadata: FileMetadata, choice: Choice): void {
    const isBelowSkipped = this.top.isSkipped
    this.#push(name, metadata, choice === "selected", undefined)
    if (isBelowSkipped || choice === "excluded") this.top.isSkipped = true
    else if (choice === "selected") this.ready()
  }

  /** False when an entry of this name had its turn in the current directory already. */
  claim(name: Uint8Array): boolean {
    return this.#claimIn(this.top, name)
  }

  /** The current directory, made now if it was not yet; undefined when it cannot be had. */
  ready(): ReadyDirectory | undefined {
    const { top } = this
    if (top.isSkipped) return undefined
    if (top.made === undefined) this.#makePending()
    const { made } = top
    if (made?.fd === undefined) return undefined
    return { fd: made.fd, hasDefaultAcl: made.hasDefaultAcl, place: made.place }
  }

  /** Gives the current directory its metadata and goes back to its parent. */
  leave(): void {
    const directory = this.#directories.pop()
    const made = directory?.made
    if (directory === undefined || made?.fd === undefined) return
    const { report, targetFd } = this.#options
    try {
      this.#reopenParent(made.fd)
      if (!made.getsMetadata) return
      if (!made.isNew && (made.hasDefaultAcl || hasXattr(made.fd, ACCESS_XATTR))) this.#clearAcls(made.fd)
      applyToDescriptor(made.fd, directory.metadata, made.found, report)
      applyFlags(made.fd, directory.metadata.flags, report)
    } finally {
      if (made.fd !== targetFd) closeSync(made.fd)
    }
  }

  /** Closes what is open, as it is. */
  close(): void {
    for (const { made } of this.#directories.splice(0)) {
      if (made?.fd !== undefined && made.fd !== this.#options.targetFd) closeSync(made.fd)
    }
  }

  #push(name: Uint8Array, metadata: FileMetadata, isSelected: boolean, made: Made | undefined): void {
    const pathLength = this.#options.path.length
    const names = new Set<string>()
    this.#directories.push({ name, metadata, pathLength, isSelected, isSkipped: false, made, names })
  }

  #claimIn(directory: OpenDirectory, name: Uint8Array): boolean {
    const key = Buffer.from(name.buffer, name.byteOffset, name.length).toString("latin1")
    const { size } = directory.names
    if (directory.names.add(key).size > size) return true
    this.#options.report.warn("duplicate", "a second entry of this name, which was left out")
    return false
  }

  /** Makes the current directory and those above it that are pending, from the outermost on. */
  #makePending(): void {
    const first = this.#directories.findIndex(({ made }) => made === undefined)
    for (let level = first; level < this.#directories.length; level++) {
      const directory = this.#directories[level]
      const parent = this.#directories[level - 1]
      if (directory === undefined || parent?.made?.fd === undefined)
        throw new Error("a gap in the directories")
      directory.made = this.#options.path.at(directory.pathLength, () => this.#make(parent, directory))
      if (directory.made === undefined) {
        for (const skipped of this.#directories.slice(level)) skipped.isSkipped = true
        return
      }
      this.#setAside(level - this.#options.openLimit)
    }
  }

  #make(parent: OpenDirectory, { isSelected, metadata, name }: OpenDirectory): Made | undefined {
    const { files, placement, report } = this.#options
    const parentMade = parent.made
    if (parentMade?.fd === undefined || !this.#claimIn(parent, name)) return undefined
    let fd: number | undefined
    try {
      const placed = placement.directory(parentMade.fd, name, metadata)
      if (placed === undefined) return undefined
      fd = placed.fd
      if (placed.isNew && parentMade.hasDefaultAcl) this.#clearAcls(fd)
      const before = Posix.statAt(fd, NO_NAME)
      const getsMetadata = placed.isNew || (isSelected && this.#replaces(metadata, before))
      const found = !placed.isNew && getsMetadata ? this.#makeEnterable(fd, before) : before
      const hasDefaultAcl = (!placed.isNew || parentMade.hasDefaultAcl) && hasXattr(fd, DEFAULT_XATTR)
      if (placed.isNew) report.count("directories")
      const place = files.addDirectory(parentMade.place, name)
      return { fd, found, isNew: placed.isNew, getsMetadata, hasDefaultAcl, place }
    } catch (error) {
      if (fd !== undefined) closeSync(fd)
      report.failed(error)
      return undefined
    }
  }

  /** Whether the archive's metadata replaces that of a directory that was there before. */
  #replaces(metadata: FileMetadata, found: Posix.PosixStat): boolean {
    const { overwrite } = this.#options.placement
    return overwrite === "always" || (overwrite === "newer" && isNewer(metadata, found))
  }

  /**
   * Lets an owner who took the right from himself write into a directory whose mode is about to be set
   * anyway.
   */
  #makeEnterable(fd: number, before: Posix.PosixStat): Posix.PosixStat {
    if ((before.mode & OWNER_BITS) === OWNER_BITS) return before
    try {
      Posix.changeMode(fd, (before.mode & PERMISSION_BITS) | OWNER_BITS)
    } catch (error) {
      if (!(error instanceof Posix.PosixError)) throw error
    }
    return Posix.statAt(fd, NO_NAME)
  }

  #clearAcls(fd: number): void {
    try {
      clearAcls(fd, "directory")
    } catch (error) {
      this.#options.report.refused("access control list", error)
    }
  }

  #setAside(level: number): void {
    const made = this.#directories[level]?.made
    if (made?.fd === undefined || made.fd === this.#options.targetFd) return
    closeSync(made.fd)
    made.fd = undefined
  }

  #reopenParent(childFd: number): void {
    const made = this.#directories.at(-1)?.made
    if (made === undefined || made.fd !== undefined) return
    const fd = Posix.openAt(childFd, "..", OPEN_DIRECTORY)
    const stat = Posix.statAt(fd, NO_NAME)
    if (stat.inode !== made.found.inode || deviceOf(stat) !== deviceOf(made.found)) {
      closeSync(fd)
      throw new Posix.PosixError({ syscall: "openat", code: "ESTALE" })
    }
    made.fd = fd
  }
}
