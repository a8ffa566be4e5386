/**
 * TransferEstimates: what copying a snapshot would take, from its indexes alone.
 *
 * A chunk counts for the first snapshot of the plan that names it, as it does in a run.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import type { DigestTable } from "../model/DigestTable.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import { decodeManifest } from "./decodeManifest.ts"
import type { PlannerScene } from "./GroupPlanner.ts"
import * as FilesSync from "./SnapshotFilesSync.ts"
import { type SyncError, within } from "./SyncError.ts"
import type { TransferEstimate } from "./SyncPlan.ts"

export const nothing: TransferEstimate = { chunks: 0, bytes: 0, missingChunks: 0, missingBytes: 0 }

/** Undefined when one of them is. */
export const sum = (estimates: ReadonlyArray<TransferEstimate | undefined>): TransferEstimate | undefined => {
  let total = nothing
  for (const estimate of estimates) {
    if (estimate === undefined) return undefined
    total = {
      chunks: total.chunks + estimate.chunks,
      bytes: total.bytes + estimate.bytes,
      missingChunks: total.missingChunks + estimate.missingChunks,
      missingBytes: total.missingBytes + estimate.missingBytes
    }
  }
  return total
}

const batchCount = 4096

const sizeOf = (index: ChunkIndex, chunk: number): number => index.end(chunk) - index.start(chunk)

const ofIndex = (
  { retrying, target }: PlannerScene,
  counted: DigestTable,
  index: ChunkIndex
): Effect.Effect<TransferEstimate, SyncError> =>
  Effect.gen(function* () {
    let total = nothing
    for (let from = 0; from < index.count; from += batchCount) {
      const chunks: Array<number> = []
      for (let chunk = from; chunk < Math.min(index.count, from + batchCount); chunk++) {
        if (counted.add(index.entries, index.digestOffset(chunk))) chunks.push(chunk)
      }
      const digests = new Uint8Array(chunks.length * Digest.lengthBytes)
      chunks.forEach((chunk, place) => digests.set(index.digestBytes(chunk), place * Digest.lengthBytes))
      const absent = yield* retrying(within({ side: "target" })(target.findAbsent(digests)))
      total = {
        chunks: total.chunks + chunks.length,
        bytes: chunks.reduce((bytes, chunk) => bytes + sizeOf(index, chunk), total.bytes),
        missingChunks: total.missingChunks + absent.length,
        missingBytes: absent.reduce(
          (bytes, place) => bytes + sizeOf(index, chunks[place] ?? 0),
          total.missingBytes
        )
      }
    }
    return total
  })

/** Undefined when its files cannot be read: the run will say what is wrong with them. */
export const estimate = (
  scene: PlannerScene,
  counted: DigestTable,
  namespace: Namespace,
  snapshot: Snapshot
): Effect.Effect<TransferEstimate | undefined> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { retrying, source } = scene
      const opened = yield* retrying(source.openSnapshot(namespace, snapshot))
      const manifest = yield* decodeManifest("source", snapshot, yield* retrying(opened.manifest))
      const indexes = manifest.files.filter(({ filename }) => ArchiveName.fromFile(filename).kind !== "blob")
      const estimates = yield* Effect.forEach(indexes, (file) =>
        Effect.gen(function* () {
          const bytes = yield* retrying(opened.file(ArchiveName.fromFile(file.filename)))
          return yield* ofIndex(scene, counted, yield* FilesSync.proveIndex("source", file, bytes))
        })
      )
      return sum(estimates)
    })
  ).pipe(Effect.catch(() => Effect.succeed(undefined)))
