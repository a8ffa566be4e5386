/**
 * rawFiles: the files of a snapshot as they are stored, piece by piece. Both protocols hand them out, and both take the
 * chunks of an index for known to the client from then on.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Datastore } from "../../datastore/Datastore.ts"
import type { ChunkIndex } from "../../format/ChunkIndex.ts"
import type { ArchiveName } from "../../model/ArchiveName.ts"
import type { Namespace } from "../../model/Namespace.ts"
import type * as Snapshot from "../../model/Snapshot.ts"
import { Files, isNotFound } from "../../platform/Files.ts"
import { snapshotPath } from "../../store/StoreLayout.ts"
import type { Answer } from "../Answer.ts"
import { type ApiError, badRequest, notFound } from "../ApiError.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"

export interface Place {
  readonly datastore: Datastore["Service"]
  readonly namespace: Namespace
  readonly snapshot: Snapshot.Snapshot
}

const pieceBytes = 1024 * 1024

/** The archive of that name; anything else in a snapshot's folder is nobody's business. */
export const archiveNamed = (name: string): Effect.Effect<ArchiveName, ApiError> => {
  const archive = Parameters.archiveOf(name)
  return archive === undefined
    ? Effect.fail(badRequest(`unknown archive type: ${JSON.stringify(name)}`))
    : Effect.succeed(archive)
}

/** By the names that clients know; where the store lies is not their business. */
const missing = ({ snapshot }: Place, { file, kind }: ArchiveName): ApiError => {
  const name = `${snapshot.group.type}/${snapshot.group.id}/${snapshot.directory}/${file}`
  return kind === "blob"
    ? notFound(`open file ${JSON.stringify(name)} failed - not found`)
    : badRequest(
        `Unable to open ${kind} index ${JSON.stringify(name)} - No such file or directory (os error 2)`
      )
}

const pathTo = ({ datastore, namespace, snapshot }: Place, { file }: ArchiveName): string =>
  `${snapshotPath(datastore.layout, namespace, snapshot)}/${file}`

const piecesOf = (path: string): Stream.Stream<Uint8Array, ApiError, Files> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const files = yield* Files
      const handle = yield* told(files.openRead(path))
      const next = (offset: number) => {
        const piece = new Uint8Array(Math.min(pieceBytes, handle.sizeBytes - offset))
        return Effect.map(told(handle.readAt(offset, piece)), (count) => piece.subarray(0, count))
      }
      return Stream.unfold(0, (offset: number) =>
        offset >= handle.sizeBytes
          ? Effect.succeed(undefined)
          : Effect.map(next(offset), (piece) =>
              piece.length === 0 ? undefined : ([piece, offset + piece.length] as const)
            )
      )
    })
  )

/** The stored bytes. */
export const answer = (place: Place, archive: ArchiveName): Effect.Effect<Answer, ApiError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const path = pathTo(place, archive)
    const stat = yield* files.stat(path).pipe(
      Effect.catchIf(isNotFound, () => Effect.fail(missing(place, archive))),
      told
    )
    if (stat.kind !== "file") return yield* missing(place, archive)
    const pieces = Stream.provideService(piecesOf(path), Files, files)
    return { kind: "stream", pieces }
  })

/** The index, decoded. */
export const index = (place: Place, archive: ArchiveName): Effect.Effect<ChunkIndex, ApiError> =>
  place.datastore.snapshotFiles.index(place.namespace, place.snapshot, archive).pipe(
    Effect.catchIf(
      (error) => error._tag === "StoreError" && error.reason === "NoSuchArchive",
      () => Effect.fail(missing(place, archive))
    ),
    told
  )

/** Chunks that are looked at before others get their turn. */
const chunksTogether = 65_536

/** Goes through all chunks of an index without keeping everybody waiting. */
export const eachPart = (
  { count }: ChunkIndex,
  visit: (first: number, end: number) => void
): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let first = 0; first < count; first += chunksTogether) {
      visit(first, Math.min(first + chunksTogether, count))
      yield* Effect.yieldNow
    }
  })
