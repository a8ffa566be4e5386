/**
 * Walks a directory tree and writes its archive and catalog, one entry a step.
 *
 * The walk holds one descriptor for every directory from the root to where it stands, and one for the file whose
 * content is due. Content does not pass through here: after a step that began a file, `content` delivers it, and the
 * owner puts it into the stream before the next step. What vanishes, cannot be read or cannot be stored becomes a
 * warning; only running out of descriptors or memory fails, because the rest of the tree would be lost without much
 * notice.
 */
import { closeSync } from "node:fs"
import type { CatalogWriter } from "../../format/Catalog.ts"
import { FormatError } from "../../format/FormatError.ts"
import { Encoder } from "../../format/pxar/Encoder.ts"
import { type FileMetadata, kindOfMode, makeFileMetadata, MODE_TYPE } from "../../model/FileMetadata.ts"
import * as PathPattern from "../../model/PathPattern.ts"
import * as Posix from "../../platform/Posix.ts"
import { SourceError } from "../ByteSource.ts"
import * as Listing from "./DirectoryListing.ts"
import { EXCLUDE_FILE_NAME, parseExcludes, readExcludeFile } from "./ExcludeFile.ts"
import { FileReader } from "./FileReader.ts"
import { Hardlinks } from "./Hardlinks.ts"
import { deviceOf, metadataOfStat, MetadataReader } from "./MetadataReader.ts"
import { PathBuffer } from "./PathBuffer.ts"
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
}

/** What was put into the archive. Every name counts once; the root is a directory too. */
export interface SourceStatistics {
  readonly files: number
  readonly directories: number
  /** Symbolic links, devices, fifos and sockets. */
  readonly others: number
  readonly hardlinks: number
  readonly contentBytes: number
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

const sameBytes = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0

export class Archiver {
  readonly encoder: Encoder
  readonly statistics = { files: 0, directories: 0, others: 0, hardlinks: 0, contentBytes: 0 }
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
  readonly #warn = (message: string): void => this.#warnings.add(this.#path.copy(), message)
  #content: FileReader | undefined

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
    return this.#path.copy()
  }

  /** Stores the next entry, or the end of a directory. */
  step(): void {
    const level = this.#levels.at(-1)
    if (level === undefined) return
    const child = level.children[level.next++]
    if (child === undefined) return this.#leave(level)
    this.#path.moveTo(level.pathLength, child.name)
    if (PathPattern.match(this.#patterns, this.#path.view(), child.kind === "directory") === "exclude") return
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

  #text(): string {
    return new TextDecoder().decode(this.#path.view())
  }

  #addFile(level: Level, name: Uint8Array): void {
    const fd = Listing.openChild(level.fd, name, Listing.FILE_FLAGS)
    try {
      const stat = Posix.statAt(fd, "")
      if (kindOfMode(stat.mode) !== "file") return this.#warn(REPLACED)
      if (!this.#addHardlink(name, stat)) {
        this.#beginFile(fd, name, stat, this.#metadata.read(fd, stat, this.#warn))
      }
    } finally {
      // A file without content or with its content elsewhere was not taken over.
      if (this.#content === undefined) closeSync(fd)
    }
  }

  /** Decides where the content of a file comes from: from the file itself. */
  #beginFile(fd: number, name: Uint8Array, stat: Posix.PosixStat, metadata: FileMetadata): void {
    const payloadOffset = this.encoder.payloadPosition
    const fileOffset = this.encoder.startFile(name, metadata, stat.sizeBytes)
    if (this.#options.version === 2) this.suggestions.push(payloadOffset)
    if (stat.sizeBytes > 0) this.#content = new FileReader(fd, stat, this.#warn)
    this.#hardlinks.remember(stat, fileOffset, () => this.#path.copy())
    this.#catalog?.addFile(name, stat.sizeBytes, stat.mtimeSeconds)
    this.statistics.files++
    this.statistics.contentBytes += stat.sizeBytes
  }

  /** False when this is the first name of the file. */
  #addHardlink(name: Uint8Array, stat: Posix.PosixStat): boolean {
    const target = this.#hardlinks.find(stat)
    if (target === undefined) return false
    this.encoder.addHardlink(name, target.path, target.fileOffset)
    this.#catalog?.add("hardlink", name)
    this.statistics.hardlinks++
    return true
  }

  #addOther(level: Level, name: Uint8Array): void {
    const stat = Posix.statAt(level.fd, name)
    const kind = kindOfMode(stat.mode)
    if (kind === undefined || kind === "file" || kind === "directory") return this.#warn(REPLACED)
    const metadata = metadataOfStat(stat)
    if (kind === "symlink") {
      this.encoder.addSymlink(name, metadata, Posix.readLinkAt(level.fd, name))
    } else if (kind === "device-block" || kind === "device-char") {
      this.encoder.addDevice(name, metadata, { major: stat.specialMajor, minor: stat.specialMinor })
    } else if (kind === "fifo") this.encoder.addFifo(name, metadata)
    else this.encoder.addSocket(name, metadata)
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
      this.encoder.startDirectory(name, metadata)
      this.#catalog?.startDirectory(name)
      this.statistics.directories++
      const children = fd === undefined ? undefined : this.#childrenToStore(fd, deviceOf(stat))
      if (fd !== undefined && children !== undefined) {
        isEntered = true
        return this.#enter(fd, deviceOf(stat), children)
      }
      this.encoder.finishDirectory()
      this.#catalog?.endDirectory()
    } finally {
      if (fd !== undefined && !isEntered) closeSync(fd)
    }
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
    if (this.#levels.length > 1) {
      this.encoder.finishDirectory()
      this.#catalog?.endDirectory()
    } else this.#finishRoot()
    this.#levels.pop()
    this.#patterns.length = level.patternCount
    closeSync(level.fd)
  }

  #finishRoot(): void {
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
  }
}

/** The patterns of the command line as they are recorded, each with a newline. */
const linesOf = (excludes: ReadonlyArray<PathPattern.PathPattern>): Uint8Array =>
  Buffer.concat(excludes.flatMap(({ text }) => [text, Uint8Array.of(0x0a)]))

const preludeOf = (excludes: ReadonlyArray<PathPattern.PathPattern>): Uint8Array | undefined =>
  excludes.length === 0
    ? undefined
    : Buffer.from(JSON.stringify({ "exclude-patterns": Buffer.from(linesOf(excludes)).toString() }))
