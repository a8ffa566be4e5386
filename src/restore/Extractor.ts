/**
 * Extractor: restores an archive, or chosen parts of it, into a folder.
 *
 * What holds whatever the archive says and whatever the folder contains: nothing outside of the target folder
 * is touched (every name is one component, looked up in a directory that is open already; symbolic links are
 * never followed); a hard link leads to a file of this very run; a file appears under its name only to be
 * written from its beginning, and is removed again unless all of it arrived. Existing things stay as they are
 * unless `overwrite` says otherwise.
 *
 * An entry that cannot be restored is a warning, and so is metadata that the system refuses (owner, devices,
 * privileged attributes for others than root; told once a kind). A full or failing disk and a damaged archive
 * end the restore; what was restored by then stays, folders that were not complete yet remain closed to
 * others.
 */
import * as Effect from "effect/Effect"
import { FormatError } from "../format/FormatError.ts"
import {
  type Archive,
  type RangeReader,
  type Child,
  openArchive,
  resolveHardlink
} from "../format/pxar/Accessor.ts"
import type { FileContent, FileEntry } from "../format/pxar/Entry.ts"
import { HEADER_BYTES } from "../format/pxar/Items.ts"
import { checkPayloadHeader } from "../format/pxar/PayloadStream.ts"
import { ExtractError } from "./extract/ExtractError.ts"
import {
  Extraction,
  type ExtractionOptions,
  type ExtractProgress,
  type PendingLink,
  type Wish
} from "./extract/Extraction.ts"
import { PayloadCursor } from "./extract/PayloadCursor.ts"
import type { ExtractSummary } from "./extract/Report.ts"
import type { PayloadReader, PieceStream } from "./PieceStream.ts"

export { ExtractError, type ExtractReason } from "./extract/ExtractError.ts"
export type { ExtractProgress } from "./extract/Extraction.ts"
export type { Overwrite } from "./extract/Placement.ts"
export type { ExtractSummary, ExtractWarning, Refusal, RefusalKind, WarningKind } from "./extract/Report.ts"

export interface ExtractOptions<E = never> extends ExtractionOptions {
  /** The archive from its beginning; the archive stream of a split one. */
  readonly source: PieceStream<E>
  /** The payload stream of a split archive. */
  readonly payload?: PayloadReader<E> | undefined
  /**
   * The same archive once more, for random access. Only needed when a hard link is restored without the file
   * that it is another name of, which is read from here then; without it such a link is left out with a
   * warning.
   */
  readonly archive?: RangeReader<E> | undefined
  /** Called after every piece of the archive. */
  readonly onProgress?: ((progress: ExtractProgress) => void) | undefined
}

const REREAD_BYTES = 1024 * 1024

const damaged = (target: string, error: FormatError): ExtractError =>
  new ExtractError({ reason: "Damaged", subject: `restore to ${target}`, detail: error.message })

/** Restores what the patterns ask for from `source` into `target`, and sums up. */
export const extract = <E>(options: ExtractOptions<E>): Effect.Effect<ExtractSummary, E | ExtractError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const cursor = options.payload === undefined ? undefined : yield* PayloadCursor.make(options.payload)
      const extraction = yield* Effect.acquireRelease(
        step(() => new Extraction(options, cursor)),
        (opened) => Effect.sync(() => opened.close())
      )
      return yield* new ExtractRun(options, extraction, cursor).toEnd
    })
  ).pipe(
    Effect.catchIf(
      (error): error is FormatError => error instanceof FormatError,
      (error) => Effect.fail(damaged(options.target, error))
    )
  )

/** Runs a step of the machine; what it throws on purpose becomes a failure. */
const step = <A>(action: () => A): Effect.Effect<A, ExtractError | FormatError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(action())
    } catch (error) {
      return error instanceof ExtractError || error instanceof FormatError
        ? Effect.fail(error)
        : Effect.die(error)
    }
  })

/** Drives one `Extraction`: fetches what it wishes for. */
class ExtractRun<E> {
  readonly #options: ExtractOptions<E>
  readonly #extraction: Extraction
  readonly #cursor: PayloadCursor<E> | undefined
  #archive: Archive<E> | undefined

  constructor(options: ExtractOptions<E>, extraction: Extraction, cursor: PayloadCursor<E> | undefined) {
    this.#options = options
    this.#extraction = extraction
    this.#cursor = cursor
  }

  get toEnd(): Effect.Effect<ExtractSummary, E | ExtractError | FormatError> {
    const { onProgress, source } = this.#options
    const extraction = this.#extraction
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        const wish: Wish = yield* step(() => extraction.run())
        if (wish.kind === "more") {
          onProgress?.(extraction.progress)
          const piece = yield* source.next
          if (piece === undefined) return yield* step(() => extraction.finish())
          extraction.push(piece)
        } else if (wish.kind === "skip") yield* source.skip(wish.countBytes)
        else if (wish.kind === "payload") yield* this.#writePayload(wish.file, this.#cursor)
        else yield* this.#reread(wish.link)
      }
    })
  }

  #writePayload(
    { content }: FileEntry,
    cursor: PayloadCursor<E> | undefined
  ): Effect.Effect<void, E | ExtractError | FormatError> {
    const extraction = this.#extraction
    const { offset, sizeBytes } = content
    const { target } = this.#options
    return Effect.gen(function* () {
      if (cursor === undefined) {
        const detail = "the contents of files are in another part of the archive, which was not given"
        return yield* new ExtractError({ reason: "PayloadMissing", subject: `restore to ${target}`, detail })
      }
      const header = new Uint8Array(HEADER_BYTES)
      const start = offset + HEADER_BYTES
      yield* readPayload(cursor, offset, start, (bytes, at) => header.set(bytes, at - offset))
      yield* step(() => checkPayloadHeader(header, offset, sizeBytes))
      yield* readPayload(cursor, start, start + sizeBytes, (bytes) => extraction.write(bytes))
      yield* step(() => extraction.finishFile())
    })
  }

  #reread(link: PendingLink): Effect.Effect<void, E | ExtractError | FormatError> {
    const extraction = this.#extraction
    const { archive: source, payload } = this.#options
    return Effect.gen({ self: this }, function* () {
      const entry = source === undefined ? undefined : yield* this.#findTarget(source, link)
      if (source === undefined || entry === undefined) return extraction.refuseLink(link)
      const { content } = entry
      if (!(yield* step(() => extraction.startLinked(link, entry)))) return
      if (content.sizeBytes === 0) yield* step(() => extraction.finishFile())
      else if (content.stream === "archive") yield* this.#copyContent(source, content)
      else {
        // A cursor of its own, as the main one only has to go forward then.
        const make = payload === undefined ? Effect.succeed(undefined) : PayloadCursor.make(payload)
        yield* Effect.scoped(Effect.flatMap(make, (cursor) => this.#writePayload(entry, cursor)))
      }
    })
  }

  /** The file that `link` is another name of; undefined when the archive has none there. */
  #findTarget(source: RangeReader<E>, link: PendingLink): Effect.Effect<FileEntry | undefined, E> {
    return Effect.gen({ self: this }, function* () {
      const archive = (this.#archive ??= yield* openArchive(source))
      const { fileOffset, name } = link
      const child: Child = { name, fileOffset, entryStart: fileOffset, endOffset: fileOffset, sizeBytes: 0 }
      const { entry } = yield* resolveHardlink(archive, child, link.entry)
      return entry
    }).pipe(
      Effect.catchIf(
        (error): error is FormatError => error instanceof FormatError,
        () => Effect.succeed(undefined)
      )
    )
  }

  #copyContent(
    source: RangeReader<E>,
    { offset, sizeBytes }: FileContent
  ): Effect.Effect<void, E | ExtractError | FormatError> {
    const extraction = this.#extraction
    return Effect.gen(function* () {
      for (let done = 0; done < sizeBytes; done += REREAD_BYTES) {
        const bytes = yield* source.read(offset + done, Math.min(REREAD_BYTES, sizeBytes - done))
        yield* step(() => extraction.write(bytes))
      }
      yield* step(() => extraction.finishFile())
    })
  }
}

/** Hands the bytes from `start` to `end` of the payload stream to `take`, as they come. */
const readPayload = <E>(
  cursor: PayloadCursor<E>,
  start: number,
  end: number,
  take: (bytes: Uint8Array, at: number) => void
): Effect.Effect<void, E | ExtractError | FormatError> =>
  Effect.gen(function* () {
    for (let at = start; at < end;) {
      const bytes = cursor.view(at, end - at)
      if (bytes.length === 0) {
        yield* cursor.fetch(at)
        continue
      }
      const position = at
      yield* step(() => take(bytes, position))
      at += bytes.length
    }
  })
