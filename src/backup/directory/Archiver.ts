/**
 * Walks a directory tree and writes its archive and catalog, one entry a step. With a previous archive, files that have
 * not changed are not read: their contents are taken over, and entries may be written some steps after the walk has
 * passed them (see `Reuse`).
 *
 * The walk holds one descriptor for every directory from the root to where it stands, and one for the file whose
 * content is due. Content does not pass through here: after a step that began a file, `content` delivers it, and the
 * owner puts it into the stream before the next step. What vanishes, cannot be read or cannot be stored becomes a
 * warning; only running out of descriptors or memory fails, because the rest of the tree would be lost without much
 * notice.
 */
import type { Effect } from "effect/Effect"
import { closeSync } from "node:fs"
import type { ChunkRange } from "../ArchiveWriter.ts"
import type { CatalogWriter } from "../../format/Catalog.ts"
import { FormatError } from "../../format/FormatError.ts"
import { Encoder } from "../../format/pxar/Encoder.ts"
import { ByteWriter } from "../../format/ByteWriter.ts"
import { writeAttributes } from "../../format/pxar/Attributes.ts"
import { type FileMetadata, kindOfMode, makeFileMetadata, MODE_TYPE } from "../../model/FileMetadata.ts"
import * as PathPattern from "../../model/PathPattern.ts"
import * as Posix from "../../platform/Posix.ts"
import { SourceError } from "../ByteSource.ts"
import * as Listing from "./DirectoryListing.ts"
import type { QueuedEntry } from "./EntryQueue.ts"
import { EXCLUDE_FILE_NAME, linesOf, parseExcludes, preludeOf, readExcludeFile } from "./ExcludeFile.ts"
import { FileReader } from "./FileReader.ts"
import { Hardlinks, isSameFile, type LinkTarget } from "./Hardlinks.ts"
import { deviceOf, metadataOfStat, MetadataReader } from "./MetadataReader.ts"
import { PathBuffer } from "./PathBuffer.ts"
import { Reuse, type ReuseOptions } from "./Reuse.ts"
import type { Warnings } from "./Warnings.ts"

/** The catalog of a backup, which holds one directory for each of its archives. */
export interface CatalogTarget {
  readonly writer: CatalogWriter
  /** The archive's name on the server, such as `root.pxar.didx`. */
  readonly name: string
}

export interface ArchiverOptions {
  readonly version: 1 | 2
  readonly excludes: ReadonlyArray<PathPattern.PathPattern>
  readonly crossFileSystems: boolean
  readonly catalog: CatalogTarget | undefined
  /** Version 2 only. */
  readonly reuse: ReuseOptions | undefined
}

/** What was put into the archive. Every name counts once; the root is a directory too. */
export interface SourceStatistics {
  readonly files: number
  readonly directories: number
  /** Symbolic links, devices, fifos and sockets. */
  readonly others: number
  readonly hardlinks: number
  readonly contentBytes: number
  /** Files, and bytes of content, that were taken over from the previous backup without reading them. */
  readonly reusedFiles: number
  readonly reusedBytes: number
  readonly warnings: number
}

/** Deeper directories are stored without their content: every level holds a descriptor. */
export const DEPTH_LIMIT = 1000

const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text)

const CLI_EXCLUDES_NAME = encodeText(".pxarexclude-cli")
const EXCLUDE_NAME = encodeText(EXCLUDE_FILE_NAME)
const CLI_EXCLUDES_MODE = MODE_TYPE.file | 0o600

const REPLACED = "it was left out: something else took its place while the directory was read"

/** Failures that concern the process and not a file. */
const FATAL_CODES: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM"])

type OtherKind = Exclude<ReturnType<typeof kindOfMode>, "file" | "directory" | undefined>

/** A directory whose children are being stored. */
interface Level {
  readonly fd: number
  readonly device: number
  readonly children: ReadonlyArray<Listing.Child>
  readonly pathLength: number
  /** How many patterns applied outside of it. */
  readonly patternCount: number
  next: number
}

/** A file that the walk has looked at. */
interface SeenFile {
  readonly path: Uint8Array
  readonly stat: Posix.PosixStat
  readonly metadata: FileMetadata
  /** To be told where the file stands, for the names that follow. */
  readonly link: LinkTarget | undefined
}

const NO_BYTES = new Uint8Array()
const SLASH = 0x2f

const nameOf = (path: Uint8Array): Uint8Array => path.subarray(path.lastIndexOf(SLASH) + 1)

/** Whether nothing at all has happened to a file; the change time tells of everything. */
const isUntouched = (before: Posix.PosixStat, now: Posix.PosixStat): boolean =>
  isSameFile(before, now) &&
  before.ctimeSeconds === now.ctimeSeconds &&
  before.ctimeNanos === now.ctimeNanos &&
  before.sizeBytes === now.sizeBytes

const sameBytes = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0

export class Archiver {
  readonly encoder: Encoder
  readonly statistics = {
    files: 0,
    directories: 0,
    others: 0,
    hardlinks: 0,
    contentBytes: 0,
    reusedFiles: 0,
    reusedBytes: 0
  }
  /** Where headers of content begin in the payload stream, since the owner took them last. */
  suggestions: Array<number> = []
  readonly #options: ArchiverOptions
  readonly #catalog: CatalogWriter | undefined
  readonly #warnings: Warnings
  readonly #levels: Array<Level> = []
  readonly #path = new PathBuffer()
  readonly #patterns: Array<PathPattern.PathPattern>
  readonly #hardlinks = new Hardlinks()
  readonly #metadata = new MetadataReader()
  readonly #reuse: Reuse | undefined
  readonly #warn = (message: string): void => this.#warnings.add(this.#here, message)
  #content: FileReader | undefined
  /** Path of the queued entry that is being written, while the walk stands. */
  #queuedPath: Uint8Array | undefined
  /** The open file of a queued entry: there is one at most, the one that ended a run. */
  #heldFd: number | undefined

  /** Begins with an open directory as the root, and takes over its descriptor. */
  constructor(rootFd: number, options: ArchiverOptions, warnings: Warnings) {
    this.#options = options
    this.#warnings = warnings
    this.#patterns = [...options.excludes]
    const stat = Posix.statAt(rootFd, "")
    const children = Listing.listChildren(rootFd).filter(({ name }) => !sameBytes(name, CLI_EXCLUDES_NAME))
    this.encoder = Encoder.startArchive(this.#metadata.read(rootFd, stat, this.#warn), {
      version: options.version,
      prelude: options.version === 2 ? preludeOf(options.excludes) : undefined
    })
    if (options.reuse !== undefined) {
      this.#reuse = new Reuse(options.reuse, (message) => warnings.add(NO_BYTES, message))
    }
    this.#catalog = options.catalog?.writer
    if (options.catalog !== undefined) this.#catalog?.startDirectory(encodeText(options.catalog.name))
    this.statistics.directories = 1
    this.#enter(rootFd, deviceOf(stat), children)
  }

  get isFinished(): boolean {
    return this.#levels.length === 0
  }

  /** The file whose content comes next in the stream. */
  get content(): FileReader | undefined {
    return this.#content
  }

  /** Path of the entry that the walk stands at. */
  get currentPath(): Uint8Array {
    return this.#here
  }

  /** What the walk stands for until it has run, beside content: bytes of the previous archive, or a look at chunks. */
  get supply(): Effect<void> | undefined {
    return this.#reuse?.isWaiting === true ? this.#reuse.supply : undefined
  }

  /** Whether chunks of the previous payload come next in the payload stream, before the next step. */
  get isInjecting(): boolean {
    return this.#reuse?.isInjecting === true
  }

  /** These chunks; all bytes of the payload stream must have been taken from the encoder. */
  takeInjection(): ChunkRange | undefined {
    return this.#reuse?.takeInjection(this.encoder)
  }

  /** Stores the next entry, or the end of a directory. */
  step(): void {
    const queued = this.#reuse?.takeQueued()
    this.#queuedPath = queued?.path
    if (queued !== undefined) return this.#attempt("left out", queued.write)
    const level = this.#levels.at(-1)
    if (level === undefined) return
    const child = level.children[level.next]
    if (child === undefined) return this.#leave(level)
    this.#path.moveTo(level.pathLength, child.name)
    const isDirectory = child.kind === "directory"
    const isExcluded = PathPattern.match(this.#patterns, this.#path.view(), isDirectory) === "exclude"
    if (!isExcluded && this.#reuse?.seek(child.name) === false) return
    level.next++
    if (isExcluded) return
    this.#attempt("left out", () => {
      if (child.kind === "directory") this.#addDirectory(level, child.name)
      else if (child.kind === "file") this.#addFile(level, child.name)
      else this.#addOther(level, child.name)
    })
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
    for (const { fd } of this.#levels.splice(0)) closeSync(fd)
  }

  /** Turns a failure that concerns one entry into a warning. */
  #attempt(consequence: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      if (error instanceof FormatError) return this.#warn(`it was ${consequence}: ${error.message}`)
      const code = Listing.errnoOf(error)
      if (FATAL_CODES.has(code)) {
        throw new SourceError({ subject: this.#text(), detail: `cannot be opened (${code})` })
      }
      this.#warn(code === "ENOENT" ? "it vanished" : `it was ${consequence}: it cannot be read (${code})`)
    }
  }

  get #here(): Uint8Array {
    return this.#queuedPath ?? this.#path.copy()
  }

  #text(): string {
    return new TextDecoder().decode(this.#here)
  }

  /** Writes to the archive, now or when it is decided how the files before are stored. */
  #put(write: () => void): void {
    if (this.#reuse?.isHolding !== true) write()
    else this.#reuse.hold({ path: this.#here, write })
  }

  /** Writes what ends a run of files that are taken over. */
  #putBehindRun(write: () => void): void {
    if (this.#reuse?.isHolding !== true) write()
    else this.#reuse.conclude({ path: this.#here, write })
  }

  #addFile(level: Level, name: Uint8Array): void {
    const fd = Listing.openChild(level.fd, name, Listing.FILE_FLAGS)
    let isTaken = false
    try {
      const stat = Posix.statAt(fd, "")
      if (kindOfMode(stat.mode) !== "file") return this.#warn(REPLACED)
      if (this.#addHardlink(name, stat)) return
      const metadata = this.#metadata.read(fd, stat, this.#warn)
      const path = this.#here
      const file: SeenFile = { path, stat, metadata, link: this.#hardlinks.remember(stat, path) }
      const range = this.#reuse?.unchanged(metadata, stat.sizeBytes)
      if (range !== undefined) return this.#reuse?.addContent(path, range, (at) => this.#takeOver(file, at))
      isTaken = true
      this.#heldFd = fd
      this.#putBehindRun(() => {
        this.#heldFd = undefined
        this.#beginFile(fd, file)
      })
    } finally {
      if (!isTaken) closeSync(fd)
    }
  }

  /** Begins a file whose content is read. Takes over the descriptor. */
  #beginFile(fd: number, { link, metadata, path, stat }: SeenFile): void {
    try {
      const payloadOffset = this.encoder.payloadPosition
      const name = nameOf(path)
      const fileOffset = this.encoder.startFile(name, metadata, stat.sizeBytes)
      if (link !== undefined) link.fileOffset = fileOffset
      if (this.#options.version === 2) this.suggestions.push(payloadOffset)
      if (stat.sizeBytes > 0) this.#content = new FileReader(fd, stat, this.#warn)
      this.#reuse?.interrupt()
      this.#catalog?.addFile(name, stat.sizeBytes, stat.mtimeSeconds)
      this.statistics.files++
      this.statistics.contentBytes += stat.sizeBytes
    } finally {
      if (this.#content === undefined) closeSync(fd)
    }
  }

  /** Writes an unchanged file: with its content where the plan has put it, or else by reading it after all. */
  #takeOver(file: SeenFile, payloadOffset: number | undefined): void {
    const { link, metadata, path, stat } = file
    if (payloadOffset === undefined) return this.#readAgain(file)
    const { sizeBytes } = stat
    const fileOffset = this.encoder.addFileReference(nameOf(path), metadata, payloadOffset, sizeBytes)
    if (link !== undefined) link.fileOffset = fileOffset
    this.statistics.files++
    this.statistics.contentBytes += sizeBytes
    this.statistics.reusedFiles++
    this.statistics.reusedBytes += sizeBytes
  }

  /** Stores a file that the walk has passed as it is now. */
  #readAgain({
    link,
    path,
    stat: before,
    metadata: known
  }: Omit<SeenFile, "metadata"> & Partial<SeenFile>): void {
    const root = this.#levels[0]
    if (root === undefined) return
    const fd = Listing.openFileBelow(root.fd, path)
    let isTaken = false
    try {
      const stat = Posix.statAt(fd, "")
      if (kindOfMode(stat.mode) !== "file") return this.#warn(REPLACED)
      const isKnown = known !== undefined && isUntouched(before, stat)
      const metadata = isKnown ? known : this.#metadata.read(fd, stat, this.#warn)
      isTaken = true
      // Another file than the one that the later names belong to is no target for them.
      this.#beginFile(fd, { path, stat, metadata, link: isSameFile(before, stat) ? link : undefined })
    } finally {
      if (!isTaken) closeSync(fd)
    }
  }

  /** False when this is the first name of the file. */
  #addHardlink(name: Uint8Array, stat: Posix.PosixStat): boolean {
    const link = this.#hardlinks.find(stat)
    // A first name that has been passed but is not in the archive was left out.
    if (link === undefined || (link.fileOffset === undefined && this.#reuse?.isHolding !== true)) return false
    const path = this.#here
    this.#put(() => {
      if (link.fileOffset === undefined) {
        link.path = path
        return this.#readAgain({ path, stat, link })
      }
      this.encoder.addHardlink(name, link.path, link.fileOffset)
      this.#catalog?.add("hardlink", name)
      this.statistics.hardlinks++
    })
    return true
  }

  #addOther(level: Level, name: Uint8Array): void {
    const stat = Posix.statAt(level.fd, name)
    const kind = kindOfMode(stat.mode)
    if (kind === undefined || kind === "file" || kind === "directory") return this.#warn(REPLACED)
    const target = kind === "symlink" ? Posix.readLinkAt(level.fd, name) : NO_BYTES
    this.#put(() => this.#writeOther(name, kind, stat, target))
  }

  #writeOther(name: Uint8Array, kind: OtherKind, stat: Posix.PosixStat, target: Uint8Array): void {
    const metadata = metadataOfStat(stat)
    if (kind === "symlink") this.encoder.addSymlink(name, metadata, target)
    else if (kind === "fifo") this.encoder.addFifo(name, metadata)
    else if (kind === "socket") this.encoder.addSocket(name, metadata)
    else this.encoder.addDevice(name, metadata, { major: stat.specialMajor, minor: stat.specialMinor })
    this.#catalog?.add(kind, name)
    this.statistics.others++
  }

  #addDirectory(level: Level, name: Uint8Array): void {
    const fd = this.#openDirectory(level, name)
    let isEntered = false
    try {
      const stat = fd === undefined ? Posix.statAt(level.fd, name) : Posix.statAt(fd, "")
      if (kindOfMode(stat.mode) !== "directory") return this.#warn(REPLACED)
      const metadata = fd === undefined ? metadataOfStat(stat) : this.#metadata.read(fd, stat, this.#warn)
      this.#startDirectory(name, metadata)
      const children = fd === undefined ? undefined : this.#childrenToStore(fd, deviceOf(stat))
      if (fd !== undefined && children !== undefined) {
        isEntered = true
        return this.#enter(fd, deviceOf(stat), children)
      }
      this.#finishDirectory()
    } finally {
      if (fd !== undefined && !isEntered) closeSync(fd)
    }
  }

  #startDirectory(name: Uint8Array, metadata: FileMetadata): void {
    // What cannot be stored must fail here, before the children are met, and not when the queue is written.
    if (this.#reuse?.isHolding === true) writeAttributes(new ByteWriter(), metadata)
    this.#put(() => {
      this.encoder.startDirectory(name, metadata)
      this.#catalog?.startDirectory(name)
    })
    this.statistics.directories++
  }

  #finishDirectory(): void {
    this.#put(() => {
      this.encoder.finishDirectory()
      this.#catalog?.endDirectory()
    })
  }

  /** Undefined when the directory is there but may not be read. */
  #openDirectory(level: Level, name: Uint8Array): number | undefined {
    try {
      return Listing.openChild(level.fd, name, Listing.DIRECTORY_FLAGS)
    } catch (error) {
      const code = Listing.errnoOf(error)
      if (code !== "EACCES" && code !== "EPERM") throw error
      this.#warn(`it is stored without its content: it cannot be opened (${code})`)
      return undefined
    }
  }

  /** Undefined when a directory is stored empty. The directory has begun, so no failure may leave from here. */
  #childrenToStore(fd: number, device: number): ReadonlyArray<Listing.Child> | undefined {
    const root = this.#levels[0]
    const parent = this.#levels.at(-1)
    if (!this.#options.crossFileSystems && device !== root?.device) return undefined
    if (this.#levels.length >= DEPTH_LIMIT) {
      this.#warn(`it is stored without its content: it is more than ${DEPTH_LIMIT} levels deep`)
      return undefined
    }
    let children: ReadonlyArray<Listing.Child> | undefined
    this.#attempt("stored without its content", () => {
      if (device === parent?.device || !Listing.isVirtual(fd)) children = Listing.listChildren(fd)
    })
    return children
  }

  #enter(fd: number, device: number, children: ReadonlyArray<Listing.Child>): void {
    const pathLength = this.#path.length
    const patternCount = this.#patterns.length
    if (this.#levels.length > 0) this.#reuse?.enter()
    this.#levels.push({ fd, device, children, pathLength, patternCount, next: 0 })
    const hasExcludes = children.some(({ name }) => sameBytes(name, EXCLUDE_NAME))
    if (hasExcludes) this.#readExcludes(fd)
  }

  #readExcludes(fd: number): void {
    const directory = this.#path.copy()
    this.#path.moveTo(directory.length, EXCLUDE_NAME)
    this.#attempt("not heeded", () => {
      const content = readExcludeFile(fd, this.#warn)
      if (content === undefined) return
      for (const pattern of parseExcludes(content, directory, this.#warn)) this.#patterns.push(pattern)
    })
  }

  #leave(level: Level): void {
    // The root stays open until everything has been written: files may have to be opened once more.
    if (this.#levels.length === 1) return this.#putBehindRun(() => this.#finishRoot(level))
    this.#levels.pop()
    this.#patterns.length = level.patternCount
    this.#reuse?.leave()
    closeSync(level.fd)
    this.#finishDirectory()
  }

  #finishRoot(level: Level): void {
    const { excludes, version } = this.#options
    if (version === 1 && excludes.length > 0) {
      const content = linesOf(excludes)
      const metadata = makeFileMetadata({ mode: CLI_EXCLUDES_MODE })
      this.encoder.startFile(CLI_EXCLUDES_NAME, metadata, content.length)
      this.encoder.writePayload(content)
      this.#catalog?.addFile(CLI_EXCLUDES_NAME, content.length, 0)
    }
    this.encoder.finishArchive()
    this.#catalog?.endDirectory()
    this.#levels.pop()
    closeSync(level.fd)
  }
}
