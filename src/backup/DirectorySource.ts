/**
 * A directory tree as the source of a backup: its pxar archive as a stream, and beside it what else a backup wants.
 *
 * In version 1 `read` delivers the archive; in version 2 it delivers the payload stream, while the archive
 * (`.mpxar`) piles up until `takeArchiveBytes`. One `read` does a bounded amount of synchronous work: it fills the
 * buffer or stores some hundred entries, whichever is first. Content goes from the file into the caller's buffer
 * without a stop.
 *
 * With a previous archive (version 2), contents of unchanged files are not read. Their chunks come as injections
 * between two reads: whoever stores the stream puts them there. `read` may then answer 0 before `isFinished`.
 *
 * The same tree gives the same bytes, however the reads are cut. Trees may change while they are read: the archive
 * stays valid, and `warnings` say what was not stored as it is.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { closeSync } from "node:fs"
import { FormatError } from "../format/FormatError.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as PathPattern from "../model/PathPattern.ts"
import * as Posix from "../platform/Posix.ts"
import type { ChunkRange } from "./ArchiveWriter.ts"
import { type ByteSource, SourceError } from "./ByteSource.ts"
import { Archiver, type CatalogTarget, type SourceStatistics } from "./directory/Archiver.ts"
import { errnoOf, isVirtual, ROOT_FLAGS } from "./directory/DirectoryListing.ts"
import { type SourceWarning, Warnings } from "./directory/Warnings.ts"
import type { PreviousArchive } from "./PreviousArchive.ts"

export type { CatalogTarget, SourceStatistics } from "./directory/Archiver.ts"
export type { SourceWarning } from "./directory/Warnings.ts"

export interface DirectorySourceOptions {
  readonly path: string | Uint8Array
  /** 1: one archive stream. 2: archive and payload stream. */
  readonly version: 1 | 2
  /** Patterns as on the command line; an anchored one begins at the root of the backup. */
  readonly excludes: ReadonlyArray<string>
  /** Otherwise directories on other devices are stored without their content. Virtual ones always are. */
  readonly crossFileSystems?: boolean | undefined
  /** Takes the names of all entries, as a directory of its own. Its owner finishes it. */
  readonly catalog?: CatalogTarget | undefined
  /** Version 2: the same directory as it was backed up last. */
  readonly previous?: PreviousArchive | undefined
  /** How many entries may wait while it is open whether contents before them are taken over. */
  readonly waitingEntries?: number | undefined
  readonly onWarning?: ((warning: SourceWarning) => void) | undefined
}

export interface DirectorySource extends ByteSource {
  /** Version 2: bytes of the archive stream since the last call, complete once `read` has answered 0. */
  readonly takeArchiveBytes: () => Uint8Array
  /** Version 2: where files begin in the payload stream, since the last call; good places to cut chunks. */
  readonly takeSuggestions: () => ReadonlyArray<number>
  /** With a previous archive: chunks that come next in the payload stream. To be asked after every `read`. */
  readonly takeInjection: () => ChunkRange | undefined
  /** Whether everything was delivered. */
  readonly isFinished: boolean
  readonly statistics: SourceStatistics
  /** The first thousand; `statistics` count them all. */
  readonly warnings: ReadonlyArray<SourceWarning>
  /** Path of the entry being read, relative to the root. */
  readonly current: Uint8Array
}

/** Entries between two returns to the event loop. */
const STEPS_PER_READ = 512
/**
 * Enough for all files of a chunk, as a rule. PBS's client lets 512 wait, and holds each of them open; here an entry
 * that waits takes some hundred bytes and no descriptor.
 */
const WAITING_ENTRIES = 16_384
const NOTHING = new Uint8Array()

/** Opens a directory for reading. It fails only when the directory cannot be opened or a pattern is malformed. */
export const openDirectory = (
  options: DirectorySourceOptions
): Effect.Effect<DirectorySource, SourceError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      lift(() => new OpenSource(options)),
      (source) => Effect.sync(() => source.close())
    ),
    (source): DirectorySource => source
  )

/** Runs synchronous work; what is no `SourceError` is a defect. */
const lift = <A>(work: () => A): Effect.Effect<A, SourceError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(work())
    } catch (error) {
      return error instanceof SourceError ? Effect.fail(error) : Effect.die(error)
    }
  })

class OpenSource implements DirectorySource {
  readonly #version: 1 | 2
  readonly #isReusing: boolean
  readonly #warnings: Warnings
  readonly #archiver: Archiver
  /** Bytes of the stream that were taken from the encoder and do not yet stand in a target. */
  #pending: Uint8Array = NOTHING
  /** Bytes of the stream that have left the encoder or never were there. */
  #passedBytes = 0

  constructor(options: DirectorySourceOptions) {
    this.#version = options.version
    this.#isReusing = options.previous !== undefined
    this.#warnings = new Warnings(options.onWarning)
    const excludes = options.excludes.map(parsePattern)
    const fd = openRoot(options.path)
    const { catalog, crossFileSystems = false, previous, version } = options
    const entryLimit = options.waitingEntries ?? WAITING_ENTRIES
    const reuse = previous === undefined || version === 1 ? undefined : { previous, entryLimit }
    try {
      const archiverOptions = { version, excludes, crossFileSystems, catalog, reuse }
      this.#archiver = new Archiver(fd, archiverOptions, this.#warnings)
    } catch (error) {
      closeSync(fd)
      if (error instanceof FormatError) {
        throw new SourceError({ subject: textOf(options.path), detail: error.message })
      }
      throw rootFailure(options.path, errnoOf(error))
    }
  }

  get statistics(): SourceStatistics {
    return { ...this.#archiver.writer.statistics, warnings: this.#warnings.count }
  }

  get warnings(): ReadonlyArray<SourceWarning> {
    return this.#warnings.kept
  }

  get current(): Uint8Array {
    return this.#archiver.currentPath
  }

  get isFinished(): boolean {
    return this.#archiver.isFinished && this.#bufferedBytes === 0 && this.#pending.length === 0
  }

  readonly read = (target: Uint8Array): Effect.Effect<number, SourceError> =>
    Effect.flatMap(
      lift(() => this.#fill(target)),
      (count) => {
        if (count > 0 || target.length === 0 || this.isFinished) return Effect.succeed(count)
        const { supply } = this.#archiver
        if (supply !== undefined) return Effect.flatMap(supply, () => this.read(target))
        if (this.#isReusing) return Effect.succeed(0)
        return Effect.flatMap(Effect.yieldNow, () => this.read(target))
      }
    )

  readonly takeArchiveBytes = (): Uint8Array =>
    this.#version === 2 ? this.#archiver.writer.encoder.takeArchiveBytes() : NOTHING

  readonly takeSuggestions = (): ReadonlyArray<number> => {
    const { writer } = this.#archiver
    const { suggestions } = writer
    writer.suggestions = []
    return suggestions
  }

  readonly takeInjection = (): ChunkRange | undefined => {
    if (this.#pending.length > 0 || this.#bufferedBytes > 0) return undefined
    const before = this.#archiver.writer.encoder.payloadPosition
    const injection = this.#archiver.takeInjection()
    this.#passedBytes += this.#archiver.writer.encoder.payloadPosition - before
    return injection
  }

  close(): void {
    this.#archiver.close()
  }

  /** Bytes of the stream that wait in the encoder. */
  get #bufferedBytes(): number {
    const { encoder } = this.#archiver.writer
    return (this.#version === 1 ? encoder.archivePosition : encoder.payloadPosition) - this.#passedBytes
  }

  /** Whether there is no further step, or none until somebody else has done something. */
  get #mustStand(): boolean {
    const { isFinished, isInjecting, supply } = this.#archiver
    return isFinished || isInjecting || supply !== undefined
  }

  #fill(target: Uint8Array): number {
    let filled = 0
    let stepsLeft = STEPS_PER_READ
    while (filled < target.length) {
      const { content } = this.#archiver.writer
      const mustStop = content !== undefined || stepsLeft === 0 || this.#mustStand
      if (this.#pending.length > 0) filled += this.#takePending(target.subarray(filled))
      else if (this.#bufferedBytes > 0 && (mustStop || this.#bufferedBytes >= target.length - filled)) {
        this.#drain()
      } else if (content !== undefined) filled += this.#readContent(target.subarray(filled))
      else if (mustStop) break
      else {
        this.#archiver.step()
        stepsLeft--
      }
    }
    return filled
  }

  #drain(): void {
    const { encoder } = this.#archiver.writer
    this.#pending = this.#version === 1 ? encoder.takeArchiveBytes() : encoder.takePayloadBytes()
    this.#passedBytes += this.#pending.length
  }

  #takePending(target: Uint8Array): number {
    const count = Math.min(target.length, this.#pending.length)
    target.set(this.#pending.subarray(0, count))
    this.#pending = this.#pending.subarray(count)
    return count
  }

  #readContent(target: Uint8Array): number {
    const { content, encoder } = this.#archiver.writer
    if (content === undefined) return 0
    const count = content.read(target)
    encoder.passPayload(count)
    this.#passedBytes += count
    if (content.remainingBytes === 0) this.#archiver.writer.finishContent()
    return count
  }
}

const textOf = (path: string | Uint8Array): string =>
  typeof path === "string" ? path : new TextDecoder().decode(path)

const explanations: Readonly<Record<string, string>> = {
  ENOENT: "no such directory",
  ENOTDIR: "it is not a directory",
  EACCES: "permission denied"
}

const rootFailure = (path: string | Uint8Array, code: string): SourceError =>
  new SourceError({
    subject: textOf(path),
    detail: `cannot be read as a directory: ${explanations[code] ?? code}`
  })

const openRoot = (path: string | Uint8Array): number => {
  let fd: number | undefined
  try {
    fd = Posix.openAt(Posix.AT_FDCWD, path, ROOT_FLAGS)
    if (!isVirtual(fd)) return fd
  } catch (error) {
    if (fd !== undefined) closeSync(fd)
    throw rootFailure(path, errnoOf(error))
  }
  closeSync(fd)
  throw new SourceError({ subject: textOf(path), detail: "is part of a virtual file system" })
}

const parsePattern = (line: string): PathPattern.PathPattern => {
  try {
    return PathPattern.parse(line)
  } catch (error) {
    if (!(error instanceof InvalidName)) throw error
    throw new SourceError({ subject: "--exclude", detail: error.message })
  }
}
