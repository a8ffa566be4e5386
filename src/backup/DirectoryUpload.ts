/**
 * DirectoryUpload: one directory on its way into a snapshot, as one archive with its catalog or as a split pair.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { archiveAverageBytes } from "../chunking/DynamicChunker.ts"
import * as ArchiveNames from "../model/ArchiveName.ts"
import type { ArchiveName } from "../model/ArchiveName.ts"
import type { FilesError } from "../platform/Files.ts"
import type { Reporter } from "../platform/Progress.ts"
import type { StoreError } from "../store/StoreError.ts"
import * as ArchiveWriter from "./ArchiveWriter.ts"
import type { ReportProgress } from "./BackupProgress.ts"
import type { BackupSession } from "./BackupSession.ts"
import type { SourceError } from "./ByteSource.ts"
import type { CatalogUpload } from "./CatalogUpload.ts"
import * as DirectorySource from "./DirectorySource.ts"
import * as Ingest from "./Ingest.ts"

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
  warnings: number
}

export const noEntries = (): EntryCounts => ({
  files: 0,
  directories: 0,
  others: 0,
  hardlinks: 0,
  contentBytes: 0,
  warnings: 0
})

interface Context {
  readonly session: BackupSession
  readonly report: ReportProgress
  readonly reporter: Reporter
  readonly entries: EntryCounts
  readonly catalog: CatalogUpload | undefined
  readonly options: DirectoryOptions
}

interface DirectorySpec {
  readonly archive: ArchiveName
  readonly path: string
}

type Failure = FilesError | StoreError | SourceError

const addCounts = (total: EntryCounts, found: EntryCounts): void => {
  total.files += found.files
  total.directories += found.directories
  total.others += found.others
  total.hardlinks += found.hardlinks
  total.contentBytes += found.contentBytes
  total.warnings += found.warnings
}

/** The previous backup's size serves as a guess at how far it will be. */
const expectedBytes = ({ options, session }: Context, archiveFile: string): number | undefined =>
  options.expectedBytes ??
  session.previous?.manifest.files.find(({ filename }) => filename === archiveFile)?.sizeBytes

const openSource = (context: Context, spec: DirectorySpec, version: 1 | 2) => {
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
    onWarning: ({ path, message }) =>
      reporter({ type: "warning", subject: Buffer.from(path).toString(), message })
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

const uploadSplit = (context: Context, spec: DirectorySpec): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { session, report, entries } = context
    const { archive } = spec
    const names = splitNames(archive)
    const source = yield* openSource(context, spec, 2)
    const metadata = yield* ArchiveWriter.open(session, names.metadata, {
      kind: "dynamic",
      averageBytes: archiveAverageBytes
    })
    const payload = yield* ArchiveWriter.open(session, names.payload, {
      kind: "payload",
      averageBytes: archiveAverageBytes
    })
    const total = expectedBytes(context, names.payload.file)
    let done = 0
    report(archive.client, "started", 0, total)
    yield* Ingest.drain(source, payload.ingest, {
      beforeCut: () => source.takeSuggestions().forEach(payload.suggest),
      afterBlock: (count) => {
        done += count
        report(archive.client, "running", done, total, { files: source.statistics.files })
        return metadata.ingest.write(source.takeArchiveBytes())
      }
    })
    yield* metadata.ingest.write(source.takeArchiveBytes())
    yield* metadata.finish
    yield* payload.finish
    addCounts(entries, source.statistics)
    report(archive.client, "ended", done, total, { files: source.statistics.files })
  })

export const upload = (context: Context, spec: DirectorySpec): Effect.Effect<void, Failure, Scope.Scope> =>
  (context.options.changeDetection ?? "legacy") === "legacy"
    ? uploadWhole(context, spec)
    : uploadSplit(context, spec)
