/**
 * Backup: a whole backup run: opens a session, stores every archive that was asked for, and finishes the snapshot.
 *
 * Directories become pxar archives: `legacy` is one stream with a catalog beside it; `data` and `metadata`
 * split it into metadata (`.mpxar`) and content (`.ppxar`), cut where files begin, and `metadata` takes the content
 * of files whose metadata has not changed from the previous snapshot. Images become fixed indexes, streams whatever
 * their name says, small files blobs.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { archiveAverageBytes } from "../chunking/DynamicChunker.ts"
import { imageChunkSizeBytes } from "../chunking/FixedChunker.ts"
import type { Datastore } from "../datastore/Datastore.ts"
import type { ManifestFile } from "../format/Manifest.ts"
import type { ArchiveName } from "../model/ArchiveName.ts"
import * as ArchiveNames from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import type * as RequestCosts from "../objectstore/RequestCosts.ts"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import type { Files } from "../platform/Files.ts"
import * as Observation from "../platform/Observation.ts"
import { Progress } from "../platform/Progress.ts"
import { storeError } from "../store/StoreError.ts"
import * as ArchiveWriter from "./ArchiveWriter.ts"
import * as BackupProgress from "./BackupProgress.ts"
import * as BackupSession from "./BackupSession.ts"
import type { SessionStatistics } from "./SessionStatistics.ts"
import type { ByteSource, SourceError } from "./ByteSource.ts"
import * as CatalogUpload from "./CatalogUpload.ts"
import * as DirectoryUpload from "./DirectoryUpload.ts"
import * as ImageSource from "./ImageSource.ts"
import * as Ingest from "./Ingest.ts"
import type { KnownChunkMissing } from "./KnownChunks.ts"
import * as PlannedSession from "./PlannedSession.ts"
import type { Session, SessionFailure, SessionOptions } from "./Session.ts"

export type ArchiveSpec<E = SourceError> =
  | { readonly kind: "directory"; readonly archive: ArchiveName; readonly path: string }
  | { readonly kind: "image"; readonly archive: ArchiveName; readonly path: string }
  | { readonly kind: "blob"; readonly archive: ArchiveName; readonly content: Effect.Effect<Uint8Array, E> }
  /** Bytes from anywhere, stored as they come. */
  | { readonly kind: "stream"; readonly archive: ArchiveName; readonly source: ByteSource<E> }

export interface BackupOptions<E = SourceError> extends SessionOptions, DirectoryUpload.DirectoryOptions {
  readonly archives: ReadonlyArray<ArchiveSpec<E>>
  /** The key as only the holder of a master key can read it (`format/MasterKey.encrypt`); it goes into the snapshot. */
  readonly sealedKey?: Uint8Array
}

export interface BackupSummary {
  readonly snapshot: Snapshot
  readonly previous: Snapshot | undefined
  /** Unfinished snapshots that were found in the group. */
  readonly leftovers: ReadonlyArray<Snapshot>
  readonly files: ReadonlyArray<ManifestFile>
  readonly statistics: SessionStatistics
  /** What directories held. */
  readonly entries: DirectoryUpload.EntryCounts
  readonly durationSeconds: number
}

type Failure<E> = SessionFailure | SourceError | E

export type BackupError<E = SourceError> = Failure<E> | KnownChunkMissing

const uploadImage = (
  session: Session,
  report: BackupProgress.ReportProgress,
  archive: ArchiveName,
  path: string
): Effect.Effect<void, SessionFailure | SourceError, Scope.Scope> =>
  Effect.gen(function* () {
    const source = yield* ImageSource.open(path)
    const { sizeBytes } = source
    const writer = yield* ArchiveWriter.open(session, archive, {
      kind: "fixed",
      chunkBytes: imageChunkSizeBytes,
      sizeBytes
    })
    let done = 0
    const advance = (count: number): void => {
      done += count
      report(archive.client, "running", done, sizeBytes)
    }
    report(archive.client, "started", 0, sizeBytes)
    for (;;) {
      if (done % imageChunkSizeBytes === 0) {
        const zeroChunks = Math.floor((yield* source.holeBytes) / imageChunkSizeBytes)
        yield* writer.addZeroChunks(zeroChunks)
        yield* source.skip(zeroChunks * imageChunkSizeBytes)
        advance(zeroChunks * imageChunkSizeBytes)
      }
      const toBoundary = imageChunkSizeBytes - (done % imageChunkSizeBytes)
      const count = yield* source.read(writer.ingest.space().subarray(0, toBoundary))
      if (count === 0) break
      yield* writer.ingest.commit(count)
      advance(count)
      yield* Effect.yieldNow
    }
    yield* writer.finish
    report(archive.client, "ended", done, sizeBytes)
  })

const uploadStream = <E>(
  session: Session,
  report: BackupProgress.ReportProgress,
  archive: ArchiveName,
  source: ByteSource<E>
): Effect.Effect<void, SessionFailure | E, Scope.Scope> =>
  Effect.gen(function* () {
    if (archive.kind === "blob") {
      return yield* storeError(
        "Refused",
        archive.client,
        "a stream is stored as NAME.pxar or NAME.img, not as a blob"
      )
    }
    const cutting: ArchiveWriter.Cutting =
      archive.kind === "fixed"
        ? { kind: "fixed", chunkBytes: imageChunkSizeBytes, sizeBytes: undefined }
        : { kind: "dynamic", averageBytes: archiveAverageBytes }
    const writer = yield* ArchiveWriter.open(session, archive, cutting)
    let done = 0
    report(archive.client, "started", 0, undefined)
    yield* Ingest.drain(source, writer.ingest, {
      afterBlock: (count) =>
        Effect.sync(() => {
          done += count
          report(archive.client, "running", done, undefined)
        })
    })
    yield* writer.finish
    report(archive.client, "ended", done, undefined)
  })

const spanned = <A, E, R>({ archive }: { readonly archive: ArchiveName }, upload: Effect.Effect<A, E, R>) =>
  Observation.span("granary.backup.archive", { "granary.archive": archive.client })(upload)

const needsCatalog = <E>(options: BackupOptions<E>): boolean =>
  (options.changeDetection ?? "legacy") === "legacy" &&
  options.archives.some(({ kind }) => kind === "directory")

/** Stores everything that was asked for in a session, and finishes it. */
const carryOut = <E>(
  session: Session,
  options: BackupOptions<E>
): Effect.Effect<Omit<BackupSummary, "durationSeconds">, BackupError<E>, Scope.Scope> =>
  Effect.gen(function* () {
    const reporter = yield* Progress
    const report = BackupProgress.make(session.statistics, reporter)
    const entries = DirectoryUpload.noEntries()
    const catalog = needsCatalog(options)
      ? yield* CatalogUpload.open(session, ArchiveNames.catalog)
      : undefined

    const upload = (spec: ArchiveSpec<E>): Effect.Effect<void, Failure<E>, Scope.Scope> => {
      switch (spec.kind) {
        case "directory":
          return DirectoryUpload.upload({ session, report, reporter, entries, catalog, options }, spec)
        case "image":
          return uploadImage(session, report, spec.archive, spec.path)
        case "stream":
          return uploadStream(session, report, spec.archive, spec.source)
        case "blob":
          return Effect.asVoid(
            Effect.flatMap(spec.content, (content) => session.uploadBlob(spec.archive, content))
          )
      }
    }
    yield* Effect.forEach(options.archives, (spec) => Effect.scoped(spanned(spec, upload(spec))), {
      discard: true
    })
    if (catalog !== undefined) yield* catalog.finish
    if (options.sealedKey !== undefined)
      yield* session.uploadEncodedBlob(ArchiveNames.rsaKey, options.sealedKey)
    const manifest = yield* session.finish
    return {
      snapshot: session.snapshot,
      previous: session.previous?.snapshot,
      leftovers: session.leftovers,
      files: manifest.files,
      statistics: session.statistics,
      entries
    }
  })

/** The summary with the time that opening the session took as well. */
const timed = <A extends object, E, R>(
  run: Effect.Effect<A, E, R>
): Effect.Effect<A & Pick<BackupSummary, "durationSeconds">, E, R> =>
  Effect.gen(function* () {
    const startedMillis = yield* Clock.currentTimeMillis
    const summary = yield* run
    return { ...summary, durationSeconds: ((yield* Clock.currentTimeMillis) - startedMillis) / 1000 }
  })

/** Runs a backup in the session that `open` opens, wherever that stores it. */
export const runIn = <F, R, E = SourceError>(
  open: Effect.Effect<Session, F, R>,
  options: BackupOptions<E>
): Effect.Effect<BackupSummary, BackupError<E> | F, Exclude<R, Scope.Scope>> =>
  timed(Effect.scoped(Effect.flatMap(open, (session) => carryOut(session, options)))).pipe(
    Observation.span("granary.backup", spanOf(options))
  )

/** Runs a backup. If anything fails, or it is interrupted, no trace of the snapshot stays. */
export const run = <E = SourceError>(
  options: BackupOptions<E>
): Effect.Effect<BackupSummary, BackupError<E>, Datastore> => runIn(BackupSession.open(options), options)

const spanOf = ({
  archives,
  group,
  namespace
}: Pick<BackupOptions<unknown>, "archives" | "group" | "namespace">): Readonly<Record<string, unknown>> => ({
  "granary.group": BackupGroup.format(group),
  "granary.namespace": namespace,
  "granary.archives": archives.length
})

/** What a backup would come to. */
export interface BackupPlan extends BackupSummary {
  /** What the backup takes of the bucket from here on; undefined for a store in a folder. */
  readonly cost: RequestCosts.Expectation | undefined
  /** What was asked of the bucket only for this plan. */
  readonly lookups: RequestCosts.RequestCosts
}

/**
 * Says what a backup would store, and stores nothing: the sources are read, cut, hashed and compressed as a backup does
 * it, so that the numbers are those of a backup now. What the cache folder of a bucket learns by the way of chunks that
 * it did not know it may note; where nothing at all may change the store is opened over `platform/Untouched`.
 */
export const plan = <E = SourceError>(
  options: BackupOptions<E>
): Effect.Effect<BackupPlan, BackupError<E>, Datastore | ChunkCodec | Files> =>
  timed(
    Effect.scoped(
      Effect.gen(function* () {
        const { cost, lookups, session } = yield* PlannedSession.open(options)
        const summary = yield* carryOut(session, options)
        return { ...summary, cost: cost(), lookups }
      })
    )
  )
