/**
 * SnapshotFilesSync: brings the files of one snapshot: indexes with the chunks that they name, blobs, the client's log.
 *
 * A file that the target has already, left by a run that was stopped, is taken if it is the one that the manifest
 * names; the chunks of an index are claimed in any case, for somebody may have removed some since.
 *
 * Invariant: an index is put in its place after its chunks. A file is the one that the manifest names, by size and
 * checksum, before it is put.
 */
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import { type ChunkIndex, verifyChecksum } from "../format/ChunkIndex.ts"
import * as DynamicIndex from "../format/DynamicIndex.ts"
import * as FixedIndex from "../format/FixedIndex.ts"
import type { ManifestFile } from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import { decodeOrCorrupt } from "./decodeManifest.ts"
import type { IndexTransfer } from "./ChunkTransfer.ts"
import * as LocalReads from "./LocalReads.ts"
import type { GroupLog } from "./GroupLog.ts"
import { type Side, type SyncError, syncError, within } from "./SyncError.ts"
import type { SyncMeter } from "./SyncMeter.ts"
import type { SyncScene } from "./SyncScene.ts"
import type { SourceSnapshot } from "./SyncSource.ts"
import type { TargetSnapshot } from "./SyncTarget.ts"

export interface FilesWork {
  readonly scene: SyncScene
  readonly meter: SyncMeter
  readonly log: GroupLog
  readonly source: SourceSnapshot
  readonly target: TargetSnapshot
  /** What the target has is no good, or may be no good: nothing of it is taken. */
  readonly distrusts: boolean
}

/** Of a blob a little more than the manifest says would be wrong already; nobody knows how large an index is. */
const sizeGuess = ({ filename, sizeBytes }: ManifestFile): number =>
  ArchiveName.fromFile(filename).kind === "blob" ? sizeBytes : 0

export const fetchBytes = (
  { scene }: Pick<FilesWork, "scene">,
  bytes: Effect.Effect<Uint8Array, SyncError>,
  guessBytes: number
): Effect.Effect<Uint8Array, SyncError> =>
  scene.retrying(scene.rateIn.incoming(guessBytes)(within({ side: "source" })(bytes)))

export const put = (
  { meter, scene, target }: FilesWork,
  archive: ArchiveName.ArchiveName,
  bytes: Uint8Array
): Effect.Effect<void, SyncError> =>
  Effect.gen(function* () {
    yield* scene.rateOut.outgoing(bytes.length)
    yield* scene.retrying(within({ side: "target" })(target.putFile(archive, bytes)))
    meter.file(bytes.length)
  })

const wrong = (side: Side, { filename }: ManifestFile, detail: string): SyncError =>
  syncError("Corrupt", detail, { side, archive: filename })

export const proveBlob = (
  side: Side,
  file: ManifestFile,
  bytes: Uint8Array
): Effect.Effect<void, SyncError> => {
  if (bytes.length !== file.sizeBytes) {
    return Effect.fail(wrong(side, file, `it has ${bytes.length} bytes, its manifest says ${file.sizeBytes}`))
  }
  return hash("sha256", bytes, "hex") === file.csum
    ? Effect.void
    : Effect.fail(wrong(side, file, "its checksum is not the one in its manifest"))
}

export const proveIndex = (
  side: Side,
  file: ManifestFile,
  bytes: Uint8Array
): Effect.Effect<ChunkIndex, SyncError> =>
  Effect.gen(function* () {
    const index = yield* decodeOrCorrupt(side, file.filename, (): ChunkIndex => {
      const decoded = file.filename.endsWith(".fidx") ? FixedIndex.decode(bytes) : DynamicIndex.decode(bytes)
      verifyChecksum(decoded)
      return decoded
    })
    if (index.sizeBytes !== file.sizeBytes) {
      const detail = `the index says ${index.sizeBytes} bytes, its manifest ${file.sizeBytes}`
      return yield* wrong(side, file, detail)
    }
    if (index.checksum === file.csum) return index
    return yield* wrong(side, file, "the index is not the one its manifest names")
  })

/** What the target has of a file, if that is what the manifest names. */
const found = <A>(
  { distrusts, scene, target }: FilesWork,
  { filename }: ManifestFile,
  prove: (bytes: Uint8Array) => Effect.Effect<A, SyncError>
): Effect.Effect<A | undefined, SyncError> =>
  Effect.gen(function* () {
    if (distrusts || !target.fileNames.has(filename)) return undefined
    const archive = ArchiveName.fromFile(filename)
    const bytes = yield* scene.retrying(within({ side: "target" })(target.file(archive)))
    if (bytes === undefined) return undefined
    return yield* prove(bytes).pipe(
      Effect.map((value): A | undefined => value),
      Effect.catch(() => Effect.succeed(undefined))
    )
  })

const bringBlob = (work: FilesWork, file: ManifestFile): Effect.Effect<void, SyncError> =>
  Effect.gen(function* () {
    const archive = ArchiveName.fromFile(file.filename)
    const there = yield* found(work, file, (bytes) => Effect.as(proveBlob("target", file, bytes), true))
    if (there === true) return
    const bytes = yield* fetchBytes(work, work.source.file(archive), sizeGuess(file))
    yield* proveBlob("source", file, bytes)
    yield* put(work, archive, bytes)
  })

/** Where the chunks of an index come from, and who counts them. */
export const transferOf = (
  { meter, source }: Pick<FilesWork, "meter" | "source">,
  { cryptMode, filename }: ManifestFile,
  index: ChunkIndex
): IndexTransfer => ({
  index,
  archive: { name: ArchiveName.fromFile(filename), sizeBytes: index.sizeBytes },
  encrypted: cryptMode === "encrypt",
  chunk: (digest) => LocalReads.told(source.chunk(digest), within({ side: "source", archive: filename })),
  onChunk: meter.chunk
})

const bringIndex = (work: FilesWork, file: ManifestFile): Effect.Effect<IndexTransfer, SyncError> =>
  Effect.gen(function* () {
    const archive = ArchiveName.fromFile(file.filename)
    const there = yield* found(work, file, (bytes) => proveIndex("target", file, bytes))
    if (there !== undefined) {
      const transfer = transferOf(work, file, there)
      yield* work.scene.chunks.bring(transfer)
      return transfer
    }
    const bytes = yield* fetchBytes(work, work.source.file(archive), sizeGuess(file))
    const transfer = transferOf(work, file, yield* proveIndex("source", file, bytes))
    yield* work.scene.chunks.bring(transfer)
    yield* put(work, archive, bytes)
    return transfer
  })

/** Brings one file that the manifest names; answers what has to be proven of an index. */
export const bringFile = (
  work: FilesWork,
  file: ManifestFile
): Effect.Effect<ReadonlyArray<IndexTransfer>, SyncError> =>
  (ArchiveName.fromFile(file.filename).kind === "blob"
    ? Effect.as(bringBlob(work, file), [])
    : Effect.map(bringIndex(work, file), (transfer) => [transfer])
  ).pipe(
    Effect.tap(() => Effect.sync(() => work.meter.count({ archiveBytes: file.sizeBytes }))),
    within({ archive: file.filename })
  )

/** The client's log may come later than its snapshot, and none is worth failing for. */
export const bringClientLog = (work: FilesWork): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (work.target.fileNames.has(ArchiveName.clientLogFile)) return
    const { scene, source } = work
    const bytes = yield* scene.retrying(within({ side: "source" })(source.clientLog))
    if (bytes === undefined) return
    yield* scene.rateIn.outgoing(bytes.length)
    yield* put(work, ArchiveName.clientLog, bytes)
  }).pipe(
    Effect.catch(({ detail }) =>
      work.log.warn(`the client's log was not copied: ${detail}`, { archive: ArchiveName.clientLogFile })
    )
  )
