/**
 * Writes the entries that a walk finds to the archive and its catalog, and counts them.
 *
 * Without a previous archive every entry is written at once. With one, entries behind unchanged files wait until it is
 * decided whether their contents are taken over (see `Reuse`); they are written when the owner carries out what
 * `takeQueued` gives. A file whose content is not taken over after all is opened once more then, and stored as it is.
 *
 * Content does not pass through here: after a file was begun, `content` delivers it, and the owner puts it into the
 * stream before anything else is written.
 */
import { closeSync } from "node:fs"
import { ByteWriter } from "../../format/ByteWriter.ts"
import type { CatalogWriter } from "../../format/Catalog.ts"
import { writeAttributes } from "../../format/pxar/Attributes.ts"
import type { Encoder } from "../../format/pxar/Encoder.ts"
import { type FileMetadata, kindOfMode, makeFileMetadata, MODE_TYPE } from "../../model/FileMetadata.ts"
import * as Posix from "../../platform/Posix.ts"
import { openFileBelow } from "./DirectoryListing.ts"
import { FileReader } from "./FileReader.ts"
import { Hardlinks, isSameFile, type LinkTarget } from "./Hardlinks.ts"
import { metadataOfStat, type MetadataReader } from "./MetadataReader.ts"
import type { Reuse } from "./Reuse.ts"

/** What was put into the archive. Every name counts once; the root is a directory too. */
export interface EntryStatistics {
  readonly files: number
  readonly directories: number
  /** Symbolic links, devices, fifos and sockets. */
  readonly others: number
  readonly hardlinks: number
  readonly contentBytes: number
  /** Files, and bytes of content, that were taken over from the previous backup without reading them. */
  readonly reusedFiles: number
  readonly reusedBytes: number
}

export interface WriterOptions {
  readonly encoder: Encoder
  readonly catalog: CatalogWriter | undefined
  readonly reuse: Reuse | undefined
  /** Open until the end of the archive. */
  readonly rootFd: number
  readonly metadata: MetadataReader
  readonly warn: (message: string) => void
}

/** A regular file that the walk has looked at. */
interface SeenFile {
  readonly path: Uint8Array
  readonly stat: Posix.PosixStat
  readonly metadata: FileMetadata
  /** To be told where the file stands, for the names that follow. */
  readonly link: LinkTarget | undefined
}

/** The same when its metadata may not have been read. */
type PassedFile = Omit<SeenFile, "metadata"> & { readonly metadata: FileMetadata | undefined }

type OtherKind = Exclude<ReturnType<typeof kindOfMode>, "file" | "directory" | undefined>

export const REPLACED = "it was left out: something else took its place while the directory was read"

const EXCLUDES_METADATA = makeFileMetadata({ mode: MODE_TYPE.file | 0o600 })
const NO_PATH = new Uint8Array()
const SLASH = 0x2f

const nameOf = (path: Uint8Array): Uint8Array => path.subarray(path.lastIndexOf(SLASH) + 1)

/** Whether nothing at all has happened to a file; the change time tells of everything. */
const isUntouched = (before: Posix.PosixStat, now: Posix.PosixStat): boolean =>
  isSameFile(before, now) &&
  before.ctimeSeconds === now.ctimeSeconds &&
  before.ctimeNanos === now.ctimeNanos &&
  before.sizeBytes === now.sizeBytes

export class EntryWriter {
  readonly statistics = {
    files: 0,
    directories: 1,
    others: 0,
    hardlinks: 0,
    contentBytes: 0,
    reusedFiles: 0,
    reusedBytes: 0
  }
  readonly encoder: Encoder
  /** Where headers of content begin in the payload stream, since the owner took them last. */
  suggestions: Array<number> = []
  readonly #catalog: CatalogWriter | undefined
  readonly #reuse: Reuse | undefined
  readonly #rootFd: number
  readonly #metadata: MetadataReader
  readonly #warn: (message: string) => void
  readonly #hardlinks = new Hardlinks()
  #content: FileReader | undefined
  /** The open file of a queued entry: there is one at most, the one that ended a run. */
  #heldFd: number | undefined

  constructor(options: WriterOptions) {
    this.encoder = options.encoder
    this.#catalog = options.catalog
    this.#reuse = options.reuse
    this.#rootFd = options.rootFd
    this.#metadata = options.metadata
    this.#warn = options.warn
  }

  /** The file whose content comes next in the stream. */
  get content(): FileReader | undefined {
    return this.#content
  }

  /** Ends the file whose content has all been delivered. */
  finishContent(): void {
    this.#content?.finish()
    this.#content = undefined
  }

  close(): void {
    this.#content?.abandon()
    this.#content = undefined
    if (this.#heldFd !== undefined) closeSync(this.#heldFd)
    this.#heldFd = undefined
  }

  startDirectory(path: Uint8Array, metadata: FileMetadata): void {
    const name = nameOf(path)
    // What cannot be stored must fail here, before the children are met, and not when the queue is written.
    if (this.#reuse?.isHolding === true) writeAttributes(new ByteWriter(), metadata)
    this.#put(path, () => {
      this.encoder.startDirectory(name, metadata)
      this.#catalog?.startDirectory(name)
    })
    this.statistics.directories++
  }

  finishDirectory(path: Uint8Array): void {
    this.#put(path, () => {
      this.encoder.finishDirectory()
      this.#catalog?.endDirectory()
    })
  }

  addOther(path: Uint8Array, kind: OtherKind, stat: Posix.PosixStat, target: Uint8Array): void {
    const name = nameOf(path)
    const metadata = metadataOfStat(stat)
    this.#put(path, () => {
      if (kind === "symlink") this.encoder.addSymlink(name, metadata, target)
      else if (kind === "fifo") this.encoder.addFifo(name, metadata)
      else if (kind === "socket") this.encoder.addSocket(name, metadata)
      else this.encoder.addDevice(name, metadata, { major: stat.specialMajor, minor: stat.specialMinor })
      this.#catalog?.add(kind, name)
      this.statistics.others++
    })
  }

  /** Adds the file as another name of an earlier one; false when this is the first name. */
  addHardlink(path: Uint8Array, stat: Posix.PosixStat): boolean {
    const link = this.#hardlinks.find(stat)
    // A first name that was passed and is neither in the archive nor in the queue has been left out.
    if (link === undefined || (link.fileOffset === undefined && this.#reuse?.isHolding !== true)) return false
    this.#put(path, () => {
      if (link.fileOffset === undefined) {
        link.path = path
        return this.#readAgain({ path, stat, metadata: undefined, link })
      }
      this.encoder.addHardlink(nameOf(path), link.path, link.fileOffset)
      this.#catalog?.add("hardlink", nameOf(path))
      this.statistics.hardlinks++
    })
    return true
  }

  /** Adds a file with the content that it had in the previous backup; false when it must be read. */
  addUnchanged(path: Uint8Array, stat: Posix.PosixStat, metadata: FileMetadata): boolean {
    const range = this.#reuse?.unchanged(metadata, stat.sizeBytes)
    if (range === undefined) return false
    const file = { path, stat, metadata, link: this.#hardlinks.remember(stat, path) }
    this.#reuse?.addContent(path, range, (payloadOffset) => {
      if (payloadOffset === undefined) this.#readAgain(file)
      else this.#takeOver(file, payloadOffset)
    })
    return true
  }

  /** Adds a file whose content is read. Takes over the descriptor. */
  addFile(fd: number, path: Uint8Array, stat: Posix.PosixStat, metadata: FileMetadata): void {
    const file = { path, stat, metadata, link: this.#hardlinks.remember(stat, path) }
    this.#heldFd = fd
    this.#putBehindRun(path, () => {
      this.#heldFd = undefined
      this.#beginFile(fd, file)
    })
  }

  /** Ends the archive, with a last file that is no file of the tree, and carries out `close` when that is done. */
  finish(
    file: { readonly name: Uint8Array; readonly content: Uint8Array } | undefined,
    close: () => void
  ): void {
    this.#putBehindRun(NO_PATH, () => {
      if (file !== undefined) {
        this.encoder.startFile(file.name, EXCLUDES_METADATA, file.content.length)
        this.encoder.writePayload(file.content)
        this.#catalog?.addFile(file.name, file.content.length, 0)
      }
      this.encoder.finishArchive()
      this.#catalog?.endDirectory()
      close()
    })
  }

  /** Writes now, or when it is decided how the files before are stored. */
  #put(path: Uint8Array, write: () => void): void {
    if (this.#reuse?.isHolding === true) this.#reuse.hold({ path, write })
    else write()
  }

  /** Writes what ends a run of files that may be taken over. */
  #putBehindRun(path: Uint8Array, write: () => void): void {
    if (this.#reuse?.isHolding === true) this.#reuse.conclude({ path, write })
    else write()
  }

  /** Begins a file; its content comes out of the descriptor, which is taken over. */
  #beginFile(fd: number, { link, metadata, path, stat }: SeenFile): void {
    try {
      const name = nameOf(path)
      const payloadOffset = this.encoder.payloadPosition
      const fileOffset = this.encoder.startFile(name, metadata, stat.sizeBytes)
      if (link !== undefined) link.fileOffset = fileOffset
      // Version 1 has no payload stream to cut.
      if (payloadOffset > 0) this.suggestions.push(payloadOffset)
      if (stat.sizeBytes > 0) this.#content = new FileReader(fd, stat, this.#warn)
      this.#reuse?.interrupt()
      this.#catalog?.addFile(name, stat.sizeBytes, stat.mtimeSeconds)
      this.statistics.files++
      this.statistics.contentBytes += stat.sizeBytes
    } finally {
      if (this.#content === undefined) closeSync(fd)
    }
  }

  #takeOver({ link, metadata, path, stat }: SeenFile, payloadOffset: number): void {
    const { sizeBytes } = stat
    const fileOffset = this.encoder.addFileReference(nameOf(path), metadata, payloadOffset, sizeBytes)
    if (link !== undefined) link.fileOffset = fileOffset
    this.statistics.files++
    this.statistics.contentBytes += sizeBytes
    this.statistics.reusedFiles++
    this.statistics.reusedBytes += sizeBytes
  }

  /** Stores a file that the walk has passed, as it is now. */
  #readAgain({ link, path, stat: before, metadata: known }: PassedFile): void {
    const fd = openFileBelow(this.#rootFd, path)
    let isTaken = false
    try {
      const stat = Posix.statAt(fd, "")
      if (kindOfMode(stat.mode) !== "file") return this.#warn(REPLACED)
      const isKnown = known !== undefined && isUntouched(before, stat)
      const metadata = isKnown ? known : this.#metadata.read(fd, stat, this.#warn)
      isTaken = true
      // Another file than the one that the later names belong to is no target for them.
      const file = { path, stat, metadata, link: isSameFile(before, stat) ? link : undefined }
      this.#beginFile(fd, file)
    } finally {
      if (!isTaken) closeSync(fd)
    }
  }
}
