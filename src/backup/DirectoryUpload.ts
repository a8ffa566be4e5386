/**
 * DirectoryUpload: one directory on its way into a snapshot, as one archive with its catalog or as a split
 * pair. A split pair may take the contents of unchanged files over from the pair of the previous snapshot.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { archiveAverageBytes } from "../chunking/DynamicChunker.ts"
import * as ArchiveNames from "../model/ArchiveName.ts"
import type { ArchiveName } from "../model/ArchiveName.ts"
import type { Reporter } from "../platform/Progress.ts"
import * as ArchiveWriter from "./ArchiveWriter.ts"
import type { ReportProgress } from "./BackupProgress.ts"
import type { SourceError } from "./ByteSource.ts"
import type { CatalogUpload } from "./CatalogUpload.ts"
import * as DirectorySource from "./DirectorySource.ts"
import * as Ingest from "./Ingest.ts"
import * as PreviousArchive from "./PreviousArchive.ts"
import type { Session, SessionFailure } from "./Session.ts"

/** How a directory is compared with its previous backup; see `Backup`. */
export type ChangeDetection = "legacy" | "data" | "metadata"

export interface DirectoryOptions {
  /** Patterns as on the command line. */
  readonly excludes?: ReadonlyArray<string>
  /** Follow mount points. Default false. */
  readonly crossFileSystems?: boolean
  readonly changeDetection?: ChangeDetection
  /** Size of all directories, where somebody knows it: for the progress only. */
  readonly expectedBytes?: number
}

/** What was found in directories, over all archives. */
export interface EntryCounts {
  files: number
  directories: number
  others: number
  hardlinks: number
  contentBytes: number
  /** Files, and bytes of content, that were taken over from the previous snapshot without reading them. */
  reusedFiles: number
  reusedBytes: number
  warnings: number
}

export const noEntries = (): EntryCounts => ({
  files: 0,
  directories: 0,
  others: 0,
  hardlinks: 0,
  contentBytes: 0,
  reusedFiles: 0,
  reusedBytes: 0,
  warnings: 0
})

interface Context {
  readonly session: Session
  readonly report: ReportProgress
  readonly reporter: Reporter
  readonly entries: EntryCounts
  readonly catalog: CatalogUpload | undefined
  readonly options: DirectoryOptions & PreviousArchive.PreviousOptions
}

interface DirectorySpec {
  readonly archive: ArchiveName
  readonly path: string
}

type Failure = SessionFailure | SourceError

const addCounts = (total: EntryCounts, found: EntryCounts): void => {
  total.files += found.files
  total.directories += found.directories
  total.others += found.others
  total.hardlinks += found.hardlinks
  total.contentBytes += found.contentBytes
  total.reusedFiles += found.reusedFiles
  total.reusedBytes += found.reusedBytes
  total.warnings += found.warnings
}

/** The previous backup's size serves as a guess at how far it will be. */
const expectedBytes = ({ options, session }: Context, archiveFile: string): number | undefined =>
  options.expectedBytes ??
  session.previous?.manifest.files.find(({ filename }) => filename === archiveFile)?.sizeBytes

const openSource = (
  context: Context,
  spec: DirectorySpec,
  version: 1 | 2,
  previous?: PreviousArchive.PreviousArchive
) => {
  const { options, catalog, reporter } = context
  const crossFileSystems = options.crossFileSystems ?? false
  return DirectorySource.openDirectory({
    path: spec.path,
    version,
    excludes: options.excludes ?? [],
    crossFileSystems,
    catalog:
      version === 1 && catalog !== undefined
        ? { writer: catalog.writer, name: spec.archive.file }
        : undefined,
    previous,
    onWarning: ({ path, message }) => {
      const subject = path.length === 0 ? spec.archive.client : Buffer.from(path).toString()
      reporter({ type: "warning", subject, message })
    }
  })
}

const uploadWhole = (context: Context, spec: DirectorySpec): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { session, report, entries, catalog } = context
    const { archive } = spec
    const source = yield* openSource(context, spec, 1)
    const writer = yield* ArchiveWriter.open(session, archive, {
      kind: "dynamic",
      averageBytes: archiveAverageBytes
    })
    const total = expectedBytes(context, archive.file)
    let done = 0
    report(archive.client, "started", 0, total)
    yield* Ingest.drain(source, writer.ingest, {
      afterBlock: (count) => {
        done += count
        report(archive.client, "running", done, total, { files: source.statistics.files })
        return catalog === undefined ? Effect.void : catalog.flush
      }
    })
    yield* writer.finish
    addCounts(entries, source.statistics)
    report(archive.client, "ended", done, total, { files: source.statistics.files })
  })

/** `root.pxar` becomes `root.mpxar` and `root.ppxar`. */
export const splitNames = (archive: ArchiveName) => {
  const stem = archive.client.replace(/\.pxar$/, "")
  return {
    metadata: ArchiveNames.fromClient(`${stem}.mpxar`),
    payload: ArchiveNames.fromClient(`${stem}.ppxar`)
  }
}

/** What to compare with; a previous archive that cannot be opened is worth a warning and no more. */
const openPrevious = (
  { entries, options, reporter, session }: Context,
  names: PreviousArchive.PairNames,
  subject: string
): Effect.Effect<PreviousArchive.PreviousArchive | undefined> =>
  options.changeDetection === "metadata"
    ? PreviousArchive.open(session, names, options).pipe(
        Effect.catch((error) =>
          Effect.sync(() => {
            const message = `the previous snapshot cannot be compared with: ${error.message}`
            entries.warnings++
            reporter({ type: "warning", subject, message })
            return undefined
          })
        )
      )
    : Effect.succeed(undefined)

const openWriters = (session: Session, names: PreviousArchive.PairNames) =>
  Effect.all({
    metadata: ArchiveWriter.open(session, names.metadata, {
      kind: "dynamic",
      averageBytes: archiveAverageBytes
    }),
    payload: ArchiveWriter.open(session, names.payload, {
      kind: "payload",
      averageBytes: archiveAverageBytes
    })
  })

const uploadSplit = (context: Context, spec: DirectorySpec): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { session, report, entries } = context
    const { client } = spec.archive
    const names = splitNames(spec.archive)
    const previous = yield* openPrevious(context, names, client)
    const source = yield* openSource(context, spec, 2, previous)
    const { metadata, payload } = yield* openWriters(session, names)
    const total = expectedBytes(context, names.payload.file)
    let done = 0
    const tell = (state: "started" | "running" | "ended"): void => {
      const { files, reusedFiles } = source.statistics
      report(client, state, done, total, { files, "reused-files": reusedFiles })
    }
    tell("started")
    while (!source.isFinished) {
      const count = yield* source.read(payload.ingest.space())
      source.takeSuggestions().forEach(payload.suggest)
      if (count > 0) yield* payload.ingest.commit(count)
      const injection = source.takeInjection()
      if (injection !== undefined) yield* payload.inject(injection)
      yield* metadata.ingest.write(source.takeArchiveBytes())
      done += count + (injection === undefined ? 0 : ArchiveWriter.rangeBytes(injection))
      tell("running")
      yield* Effect.yieldNow
    }
    yield* metadata.finish
    yield* payload.finish
    addCounts(entries, source.statistics)
    tell("ended")
  })

export const upload = (context: Context, spec: DirectorySpec): Effect.Effect<void, Failure, Scope.Scope> =>
  (context.options.changeDetection ?? "legacy") === "legacy"
    ? uploadWhole(context, spec)
    : uploadSplit(context, spec)
