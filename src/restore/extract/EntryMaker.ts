/**
 * Makes the entries of the current directory that are no directories: files with their content, links,
 * devices, fifos and sockets. At most one file is being written at a time; it is removed again unless it
 * becomes whole.
 *
 * The flags after which a file takes no other name (immutable, append only) wait until the end of the
 * archive, because hard links to it may come that far.
 */
import { closeSync } from "node:fs"
import type { DeviceEntry, HardlinkEntry, SpecialEntry, SymlinkEntry } from "../../format/pxar/Entry.ts"
import type { Device, FileMetadata } from "../../model/FileMetadata.ts"
import * as Posix from "../../platform/Posix.ts"
import { applyEarlyFlags, applyFlags, applyToDescriptor, applyToName, clearAcls } from "./applyMetadata.ts"
import type { DirectoryStack, ReadyDirectory } from "./DirectoryStack.ts"
import { errnoOf } from "./ExtractError.ts"
import { FileWriter } from "./FileWriter.ts"
import { isBeforeContent, isFinal, withoutFinal } from "../../model/InodeFlags.ts"
import { OPEN_FILE } from "./OpenFlags.ts"
import type { Placement } from "./Placement.ts"
import type { Report } from "./Report.ts"
import type { RestoredFiles } from "./RestoredFiles.ts"

export interface NewFile {
  readonly name: Uint8Array
  readonly metadata: FileMetadata
  readonly fileOffset: number
  readonly sizeBytes: number
  /** Read for the sake of a hard link, after its turn in the archive. */
  readonly isLate: boolean
}

interface OpenFile extends NewFile {
  readonly writer: FileWriter
  readonly directory: ReadyDirectory
  readonly found: Posix.PosixStat
}

export interface EntryMakerOptions {
  readonly targetFd: number
  readonly directories: DirectoryStack
  readonly placement: Placement
  readonly files: RestoredFiles
  readonly report: Report
}

const NO_NAME = new Uint8Array(0)
const NO_DEVICE: Device = { major: 0, minor: 0 }
const MAXIMUM_DEVICE_NUMBER = 0xffff_ffff
const PRIVATE_NODE_MODE = 0o600
const TYPE_BITS = 0o170000
/** What linkat answers where the file at hand, or the file system, takes no further name. */
const UNLINKABLE: ReadonlySet<string | undefined> = new Set([
  "EXDEV",
  "EMLINK",
  "EPERM",
  "EOPNOTSUPP",
  "ENOTSUP"
])

export class EntryMaker {
  readonly #options: EntryMakerOptions
  #file: OpenFile | undefined
  readonly #deferredFlags: Array<{ readonly fileOffset: number; readonly flags: number }> = []

  constructor(options: EntryMakerOptions) {
    this.#options = options
  }

  /**
   * Begins a file, whose content comes next by `write`. False when it is not to be had; the report knows why.
   */
  startFile(file: NewFile): boolean {
    const { directories, placement } = this.#options
    const directory = directories.ready()
    if (directory === undefined) return false
    const fd = this.#attempt(() => placement.file(directory.fd, file.name, file.metadata))
    if (fd === undefined) return false
    const found = Posix.statAt(fd, NO_NAME)
    this.#file = { ...file, writer: new FileWriter(fd, file.sizeBytes), directory, found }
    if (directory.hasDefaultAcl) this.#clearInheritedAcl(fd)
    if (isBeforeContent(file.metadata.flags)) applyEarlyFlags(fd, withoutFinal(file.metadata.flags))
    return true
  }

  write(bytes: Uint8Array): void {
    this.#file?.writer.write(bytes)
    this.#options.report.count("contentBytes", bytes.length)
  }

  finishFile(): void {
    const file = this.#file
    if (file === undefined) return
    const { files, report } = this.#options
    const { directory, fileOffset, found, metadata, name, writer } = file
    writer.finish()
    applyToDescriptor(writer.fd, metadata, found, report)
    if (isFinal(metadata.flags)) this.#deferredFlags.push({ fileOffset, flags: metadata.flags })
    else applyFlags(writer.fd, metadata.flags, report)
    this.#file = undefined
    closeOrRemove(writer.fd, directory.fd, name)
    if (file.isLate) files.addLate(fileOffset, directory.place, name, found)
    else files.add(fileOffset, directory.place, name, found)
    report.count("files")
  }

  symlink(name: Uint8Array, { metadata, target }: SymlinkEntry): void {
    this.#makeOther("symlink", name, metadata, (fd) => Posix.symlinkAt(target, fd, name))
  }

  special(name: Uint8Array, entry: DeviceEntry | SpecialEntry): void {
    const { metadata } = entry
    const device = "device" in entry ? entry.device : NO_DEVICE
    const mode = (metadata.mode & TYPE_BITS) | PRIVATE_NODE_MODE
    this.#makeOther("special", name, metadata, (fd) => {
      if (Math.max(device.major, device.minor) > MAXIMUM_DEVICE_NUMBER) {
        throw new Posix.PosixError({ syscall: "mknodat", code: "EINVAL" })
      }
      try {
        Posix.makeNodeAt(fd, name, mode, device)
      } catch (error) {
        if (!("device" in entry) || errnoOf(error) !== "EPERM") throw error
        throw new DeviceRefused(error)
      }
    })
  }

  /** Adds a name to a file of this run; false when there is no such file, or it takes no other name. */
  hardlink(name: Uint8Array, { targetFileOffset }: HardlinkEntry): boolean {
    const { files, placement, report, targetFd } = this.#options
    const directory = this.#options.directories.ready()
    if (directory === undefined) return true
    try {
      const isMade = files.locate(targetFd, targetFileOffset, (fd, targetName, stat) =>
        placement.hardlink({ fd, name: targetName, stat }, directory.fd, name)
      )
      if (isMade === true) report.count("hardlinks")
      return isMade !== undefined
    } catch (error) {
      if (UNLINKABLE.has(errnoOf(error))) return false
      report.failed(error)
      return true
    }
  }

  /** Sets the flags that had to wait for the end of the archive. */
  applyDeferredFlags(): void {
    const { files, report, targetFd } = this.#options
    for (const { fileOffset, flags } of this.#deferredFlags.splice(0)) {
      this.#attempt(() =>
        files.locate(targetFd, fileOffset, (directoryFd, name) => {
          const fd = Posix.openAt(directoryFd, name, OPEN_FILE)
          try {
            applyFlags(fd, flags, report)
          } finally {
            closeSync(fd)
          }
        })
      )
    }
  }

  /** Removes the file that was being written. */
  abandon(): void {
    const file = this.#file
    if (file === undefined) return
    this.#file = undefined
    try {
      closeSync(file.writer.fd)
      Posix.unlinkAt(file.directory.fd, file.name)
    } catch (error) {
      // The restore is over already for a better reason than this one.
      if (errnoOf(error) === undefined) throw error
    }
  }

  #makeOther(
    kind: "symlink" | "special",
    name: Uint8Array,
    metadata: FileMetadata,
    make: (directoryFd: number) => void
  ): void {
    const { placement, report } = this.#options
    const directory = this.#options.directories.ready()
    if (directory === undefined) return
    this.#attempt(() => {
      if (!placement.other(directory.fd, name, metadata, () => make(directory.fd))) return
      if (kind === "special" && directory.hasDefaultAcl) {
        this.#clearInheritedAcl(Posix.childPath(directory.fd, name))
      }
      applyToName(directory.fd, name, kind, metadata, report)
      report.count(kind === "symlink" ? "symlinks" : "specials")
    })
  }

  #clearInheritedAcl(place: Posix.XattrPlace): void {
    try {
      clearAcls(place, "file")
    } catch (error) {
      this.#options.report.refused("access control list", error)
    }
  }

  /** Runs `action`; a system call that fails concerns the entry at hand only, unless it tells of worse. */
  #attempt<A>(action: () => A): A | undefined {
    try {
      return action()
    } catch (error) {
      if (error instanceof DeviceRefused) this.#options.report.refused("device nodes", error.reason)
      else this.#options.report.failed(error)
      return undefined
    }
  }
}

/** Closing is when some network file systems tell that the content did not arrive. */
const closeOrRemove = (fd: number, directoryFd: number, name: Uint8Array): void => {
  try {
    closeSync(fd)
  } catch (error) {
    Posix.unlinkAt(directoryFd, name)
    throw error
  }
}

/** Only root makes devices, so that this is a matter of the whole restore rather than of one entry. */
class DeviceRefused extends Error {
  readonly reason: unknown

  constructor(reason: unknown) {
    super("device nodes are not permitted")
    this.reason = reason
  }
}
