/**
 * Walks a directory tree and has its entries written, one a step.
 *
 * The walk holds one descriptor for every directory from the root to where it stands, and one for the file whose
 * content is due. The owner puts content into the stream before the next step, and does the same with chunks that are
 * taken over from a previous archive. What vanishes, cannot be read or cannot be stored becomes a warning; only running
 * out of descriptors or memory fails, because the rest of the tree would be lost without much notice.
 */
import type { Effect } from "effect/Effect"
import { closeSync } from "node:fs"
import type { CatalogWriter } from "../../format/Catalog.ts"
import { FormatError } from "../../format/FormatError.ts"
import { Encoder } from "../../format/pxar/Encoder.ts"
import { kindOfMode } from "../../model/FileMetadata.ts"
import * as PathPattern from "../../model/PathPattern.ts"
import * as Posix from "../../platform/Posix.ts"
import type { ChunkRange } from "../ArchiveWriter.ts"
import { SourceError } from "../ByteSource.ts"
import * as Listing from "./DirectoryListing.ts"
import { type EntryStatistics, EntryWriter, REPLACED } from "./EntryWriter.ts"
import { EXCLUDE_FILE_NAME, parseExcludes, preludeOf, readExcludeFile, recordedLines } from "./ExcludeFile.ts"
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

export interface SourceStatistics extends EntryStatistics {
  readonly warnings: number
}

/** Deeper directories are stored without their content: every level holds a descriptor. */
export const DEPTH_LIMIT = 1000

const encodeText = (text: string): Uint8Array => new TextEncoder().encode(text)

const CLI_EXCLUDES_NAME = encodeText(".pxarexclude-cli")
const EXCLUDE_NAME = encodeText(EXCLUDE_FILE_NAME)
const NO_BYTES = new Uint8Array()

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
  /** Writes what the walk finds; delivers the content of files. */
  readonly writer: EntryWriter
  readonly #options: ArchiverOptions
  readonly #reuse: Reuse | undefined
  readonly #warnings: Warnings
  readonly #levels: Array<Level> = []
  readonly #path = new PathBuffer()
  readonly #patterns: Array<PathPattern.PathPattern>
  readonly #metadata = new MetadataReader()
  readonly #warn = (message: string): void => this.#warnings.add(this.currentPath, message)
  /** Path of the entry out of the queue that is being written, while the walk stands. */
  #queuedPath: Uint8Array | undefined

  /** Begins with an open directory as the root, and takes over its descriptor. */
  constructor(rootFd: number, options: ArchiverOptions, warnings: Warnings) {
    this.#options = options
    this.#warnings = warnings
    this.#patterns = [...options.excludes]
    const stat = Posix.statAt(rootFd, "")
    const children = Listing.listChildren(rootFd).filter(({ name }) => !sameBytes(name, CLI_EXCLUDES_NAME))
    const metadata = this.#metadata.read(rootFd, stat, this.#warn)
    const prelude = options.version === 2 ? preludeOf(options.excludes) : undefined
    const encoder = Encoder.startArchive(metadata, { version: options.version, prelude })
    const catalog = options.catalog?.writer
    if (options.catalog !== undefined) catalog?.startDirectory(encodeText(options.catalog.name))
    if (options.reuse !== undefined) {
      this.#reuse = new Reuse(options.reuse, (message) => warnings.add(NO_BYTES, message))
    }
    const writerOptions = { encoder, catalog, reuse: this.#reuse, rootFd, metadata: this.#metadata }
    this.writer = new EntryWriter({ ...writerOptions, warn: this.#warn })
    this.#enter(rootFd, deviceOf(stat), children)
  }

  get isFinished(): boolean {
    return this.#levels.length === 0
  }

  /** Path of the entry that the walk stands at. */
  get currentPath(): Uint8Array {
    return this.#queuedPath ?? this.#path.copy()
  }

  /** What must run before the next step: it fetches of the previous archive what the walk needs to go on. */
  get supply(): Effect<void> | undefined {
    return this.#reuse?.isWaiting === true ? this.#reuse.supply : undefined
  }

  /** Whether chunks of the previous payload come next in the payload stream, before the next step. */
  get isInjecting(): boolean {
    return this.#reuse?.isInjecting === true
  }

  /** These chunks. Everything before them must have been taken from the encoder. */
  takeInjection(): ChunkRange | undefined {
    return this.#reuse?.takeInjection(this.writer.encoder)
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
    // The same child comes again when there is something to fetch first.
    if (!isExcluded && this.#reuse?.seek(child.name) === false) return
    level.next++
    if (isExcluded) return
    this.#attempt("left out", () => {
      if (isDirectory) this.#addDirectory(level, child.name)
      else if (child.kind === "file") this.#addFile(level, child.name)
      else this.#addOther(level, child.name)
    })
  }

  close(): void {
    this.writer.close()
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
    return new TextDecoder().decode(this.currentPath)
  }

  #addFile(level: Level, name: Uint8Array): void {
    const fd = Listing.openChild(level.fd, name, Listing.FILE_FLAGS)
    let isTaken = false
    try {
      const stat = Posix.statAt(fd, "")
      if (kindOfMode(stat.mode) !== "file") return this.#warn(REPLACED)
      const path = this.#path.copy()
      if (this.writer.addHardlink(path, stat)) return
      const metadata = this.#metadata.read(fd, stat, this.#warn)
      if (this.writer.addUnchanged(path, stat, metadata)) return
      isTaken = true
      this.writer.addFile(fd, path, stat, metadata)
    } finally {
      if (!isTaken) closeSync(fd)
    }
  }

  #addOther(level: Level, name: Uint8Array): void {
    const stat = Posix.statAt(level.fd, name)
    const kind = kindOfMode(stat.mode)
    if (kind === undefined || kind === "file" || kind === "directory") return this.#warn(REPLACED)
    const target = kind === "symlink" ? Posix.readLinkAt(level.fd, name) : NO_BYTES
    this.writer.addOther(this.#path.copy(), kind, stat, target)
  }

  #addDirectory(level: Level, name: Uint8Array): void {
    const fd = this.#openDirectory(level, name)
    let isEntered = false
    try {
      const stat = fd === undefined ? Posix.statAt(level.fd, name) : Posix.statAt(fd, "")
      if (kindOfMode(stat.mode) !== "directory") return this.#warn(REPLACED)
      const metadata = fd === undefined ? metadataOfStat(stat) : this.#metadata.read(fd, stat, this.#warn)
      const path = this.#path.copy()
      this.writer.startDirectory(path, metadata)
      const children = fd === undefined ? undefined : this.#childrenToStore(fd, deviceOf(stat))
      if (fd !== undefined && children !== undefined) {
        isEntered = true
        this.#reuse?.enter()
        return this.#enter(fd, deviceOf(stat), children)
      }
      this.writer.finishDirectory(path)
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
    // The root stays open until everything has been written: files may have to be opened once more.
    if (this.#levels.length === 1) return this.#finishRoot(level)
    this.#levels.pop()
    this.#patterns.length = level.patternCount
    this.#reuse?.leave()
    closeSync(level.fd)
    this.writer.finishDirectory(this.#path.copy())
  }

  #finishRoot(level: Level): void {
    const { excludes, version } = this.#options
    const hasExcludesFile = version === 1 && excludes.length > 0
    const file = hasExcludesFile ? { name: CLI_EXCLUDES_NAME, content: recordedLines(excludes) } : undefined
    this.writer.finish(file, () => {
      this.#levels.pop()
      closeSync(level.fd)
    })
  }
}
