/**
 * SnapshotAhead: the next snapshot of a group, while the one before is being finished: it is opened on the source, and
 * its chunks come already. So the line and the processors have something to do while a manifest is made durable.
 *
 * Nothing of the snapshot itself comes into being on the target before its turn, and its chunks are held by the sync
 * like all others: whatever happens in between, the target has at most some chunks that nobody names yet.
 *
 * Invariants: it begins only when all files of the one before are there, so the source's snapshot is not held much
 * longer than its own copying takes. What goes wrong is told in the snapshot's own turn, and nothing is tried twice.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { ManifestFile } from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as FilesSync from "./SnapshotFilesSync.ts"
import * as SnapshotSync from "./SnapshotSync.ts"
import { type SyncError, within } from "./SyncError.ts"

export interface SnapshotAhead {
  /** Begins in the background. */
  readonly begin: Effect.Effect<void>
  /** As `SnapshotSync.openSource` answers it, when everything has come; opens it if nobody has begun. */
  readonly prepared: NonNullable<SnapshotSync.SnapshotWork["prepared"]>
}

/** What is limited has no time to win, and is counted once. */
export const isFor = ({ action, scene }: SnapshotSync.SnapshotWork): boolean =>
  action === "copy" &&
  scene.options.pipelining === "on" &&
  !scene.rateIn.isLimited &&
  !scene.rateOut.isLimited

/** Brings the chunks of an index; answers its bytes. */
const bringIndex = (
  work: SnapshotSync.SnapshotWork,
  { opened: source }: SnapshotSync.OpenSource,
  file: ManifestFile
): Effect.Effect<Uint8Array, SyncError> =>
  Effect.gen(function* () {
    const { meter, scene } = work
    const bytes = yield* FilesSync.fetchBytes(work, source.file(ArchiveName.fromFile(file.filename)), 0)
    const index = yield* FilesSync.proveIndex("source", file, bytes)
    yield* scene.chunks.bring(FilesSync.transferOf({ meter, source }, file, index))
    return bytes
  }).pipe(within({ archive: file.filename }))

const isIndex = ({ filename }: ManifestFile): boolean => ArchiveName.fromFile(filename).kind !== "blob"

/** The source's snapshot, with the indexes that have come already. */
const bring = (
  work: SnapshotSync.SnapshotWork
): Effect.Effect<SnapshotSync.OpenSource | undefined, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const open = yield* SnapshotSync.openSource(work)
    if (open === undefined || open.reason !== undefined || open.recoding !== "as it is") return open
    const come = new Map<string, Uint8Array>()
    for (const file of open.manifest.files.filter(isIndex)) {
      come.set(file.filename, yield* bringIndex(work, open, file))
    }
    const file = (archive: ArchiveName.ArchiveName) => {
      const bytes = come.get(archive.file)
      return bytes === undefined ? open.opened.file(archive) : Effect.succeed(bytes)
    }
    return { ...open, opened: { ...open.opened, file } }
  })

/** What it has opened is closed with its snapshot's turn, or with the scope. */
export const make = (work: SnapshotSync.SnapshotWork): Effect.Effect<SnapshotAhead, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    let fiber: Fiber.Fiber<SnapshotSync.OpenSource | undefined, SyncError> | undefined
    const begin = Effect.gen(function* () {
      fiber = yield* Effect.forkIn(Scope.provide(bring(work), scope), scope)
    })
    const prepared = Effect.gen(function* () {
      yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
      return yield* fiber === undefined ? SnapshotSync.openSource(work) : Fiber.join(fiber)
    })
    return { begin, prepared }
  })
