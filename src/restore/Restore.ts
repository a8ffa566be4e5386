/**
 * Restore: brings an archive of a snapshot back: a directory into a folder, an image or a blob into a file.
 */
import * as Effect from "effect/Effect"
import { Progress } from "../platform/Progress.ts"
import type { PathPattern } from "../model/PathPattern.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as ArchiveParts from "./ArchiveParts.ts"
import type { ArchiveReader, ReadError } from "./ArchiveReader.ts"
import { extract, type ExtractError, type ExtractSummary, type Overwrite } from "./Extractor.ts"
import * as FileTarget from "./FileTarget.ts"
import type { SnapshotReader } from "./SnapshotReader.ts"
import type { StorageError } from "../store/StorageError.ts"

export interface RestoreOptions {
  /** As users know it: `root.pxar`, `disk.img`, `app.conf`. */
  readonly archive: string
  /** A folder for a directory, a file for anything else. */
  readonly target: string
  /** Restore only what matches; everything when there are none. Directories only. */
  readonly includes?: ReadonlyArray<PathPattern>
  readonly excludes?: ReadonlyArray<PathPattern>
  /** Default `never`. */
  readonly overwrite?: Overwrite
}

export interface RestoreSummary {
  readonly archive: string
  readonly files: number
  readonly bytes: number
  readonly warnings: number
  /** Set for directories. */
  readonly extracted: ExtractSummary | undefined
}

export type RestoreError = StorageError | StoreError | ReadError | ExtractError

const restoreDirectory = (
  parts: Extract<ArchiveParts.ArchiveParts, { kind: "pxar" }>,
  options: RestoreOptions
): Effect.Effect<RestoreSummary, RestoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const report = yield* Progress
      const { archive, name, payload } = parts
      const total = payload === undefined ? archive.sizeBytes : archive.sizeBytes + payload.sizeBytes
      const progress = (state: "started" | "running" | "ended", done: number, files: number): void =>
        report({
          type: "progress",
          task: "restore",
          subject: name,
          state,
          unit: "bytes",
          done,
          total,
          counts: { files }
        })
      progress("started", 0, 0)
      const extracted = yield* extract<ReadError>({
        source: yield* archive.pieces(),
        payload,
        archive,
        target: options.target,
        includes: options.includes ?? [],
        excludes: options.excludes ?? [],
        overwrite: options.overwrite ?? "never",
        onWarning: ({ path, message }) =>
          report({ type: "warning", subject: Buffer.from(path).toString() || ".", message }),
        onProgress: ({ contentBytes, entryCount }) => progress("running", contentBytes, entryCount)
      })
      progress("ended", total, extracted.files)
      const { contentBytes, files, hardlinks, specials, symlinks, warnings } = extracted
      const count = files + hardlinks + symlinks + specials
      return { archive: name, files: count, bytes: contentBytes, warnings, extracted }
    })
  )

const restoreBytes = (
  name: string,
  archive: ArchiveReader,
  options: RestoreOptions
): Effect.Effect<RestoreSummary, RestoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const report = yield* Progress
      const total = archive.sizeBytes
      const progress = (state: "started" | "running" | "ended", done: number): void =>
        report({
          type: "progress",
          task: "restore",
          subject: name,
          state,
          unit: "bytes",
          done,
          total,
          counts: {}
        })
      const target = yield* FileTarget.open(options.target, total, options.overwrite === "always")
      const stream = yield* archive.pieces()
      let done = 0
      progress("started", 0)
      for (let piece = yield* stream.next; piece !== undefined; piece = yield* stream.next) {
        yield* target.write(piece)
        done += piece.length
        progress("running", done)
      }
      yield* target.finish
      progress("ended", done)
      return { archive: name, files: 1, bytes: done, warnings: 0, extracted: undefined }
    })
  )

const restoreBlob = (
  reader: SnapshotReader,
  parts: Extract<ArchiveParts.ArchiveParts, { kind: "blob" }>,
  options: RestoreOptions
): Effect.Effect<RestoreSummary, RestoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const content = yield* reader.blob(parts.file)
      const target = yield* FileTarget.open(options.target, content.length, options.overwrite === "always")
      yield* target.write(content)
      yield* target.finish
      return { archive: parts.name, files: 1, bytes: content.length, warnings: 0, extracted: undefined }
    })
  )

const refusePatterns = (name: string, options: RestoreOptions): Effect.Effect<void, StoreError> =>
  (options.includes?.length ?? 0) + (options.excludes?.length ?? 0) === 0
    ? Effect.void
    : Effect.fail(storeError("Refused", name, "only parts of a .pxar archive can be chosen with patterns"))

export const run = (
  reader: SnapshotReader,
  options: RestoreOptions
): Effect.Effect<RestoreSummary, RestoreError> =>
  Effect.gen(function* () {
    const parts = yield* ArchiveParts.open(reader, options.archive)
    if (parts.kind === "pxar") return yield* restoreDirectory(parts, options)
    yield* refusePatterns(parts.name, options)
    return parts.kind === "bytes"
      ? yield* restoreBytes(parts.name, parts.archive, options)
      : yield* restoreBlob(reader, parts, options)
  })

/** The archive's bytes one piece after the other, for pipes; of a split archive: its metadata. */
export const stream = <E>(
  reader: SnapshotReader,
  archive: string,
  write: (bytes: Uint8Array) => Effect.Effect<void, E>
): Effect.Effect<number, RestoreError | E> =>
  Effect.scoped(
    Effect.gen(function* () {
      const parts = yield* ArchiveParts.open(reader, archive)
      if (parts.kind === "blob") {
        const content = yield* reader.blob(parts.file)
        yield* write(content)
        return content.length
      }
      const pieces = yield* parts.archive.pieces()
      for (let piece = yield* pieces.next; piece !== undefined; piece = yield* pieces.next)
        yield* write(piece)
      return parts.archive.sizeBytes
    })
  )
