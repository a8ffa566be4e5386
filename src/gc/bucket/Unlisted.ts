/**
 * Unlisted: chunk files of the cache folder that say that an object exists, and it does not. Such a name must go: the
 * next backup would take the chunk for stored. But where it has good content that is needed, or may be, that is all
 * that is left of the chunk: then it is put into the bucket again (mended).
 *
 * Nothing is changed when this is decided; when it is carried out, under the digest's guard, the file has to be the
 * one that was looked at.
 */
import * as Effect from "effect/Effect"
import * as Digest from "../../model/Digest.ts"
import type { DigestTable } from "../../model/DigestTable.ts"
import { checkBlob, largestBlobBytes } from "../../platform/chunkContent.ts"
import { Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import { keyOf } from "../../store/bucket/StoreBucket.ts"
import type { StorageError } from "../../store/StorageError.ts"
import { chunkPath, type StoreLayout } from "../../store/StoreLayout.ts"
import type { ChunkCounts } from "../Judging.ts"
import type { Marks } from "../Marks.ts"
import type { BucketSite } from "./BucketSite.ts"
import { type FileRow, FileRows } from "./FileRows.ts"

export interface UnlistedPlan {
  /** To be dropped. */
  readonly untrue: FileRows
  /** To be put into the bucket again. */
  readonly mendable: FileRows
  readonly mendableCounts: ChunkCounts
}

const nothingUnlisted = (): UnlistedPlan => ({
  untrue: new FileRows(),
  mendable: new FileRows(),
  mendableCounts: { chunks: 0, bytes: 0 }
})

/** Judged by its digest, or by its checksum where it is encrypted: as an upload would be believed. */
const readGood = (
  layout: StoreLayout,
  digest: Digest.Digest
): Effect.Effect<Uint8Array | undefined, FilesError, Files> =>
  Effect.flatMap(Files, (files) => files.readFile(chunkPath(layout, digest), largestBlobBytes)).pipe(
    Effect.map((blob) => {
      const { state } = checkBlob(blob, { digest, sizeBytes: undefined, crypt: undefined })
      return state === "good" ? blob : undefined
    }),
    Effect.catchIf(
      (error) => isNotFound(error) || error.reason === "TooLarge",
      () => Effect.succeed(undefined)
    )
  )

export interface DecideInput {
  readonly layout: StoreLayout
  readonly unlisted: FileRows
  /** Those that have no object for sure. */
  readonly absent: DigestTable
  readonly marks: Marks
  readonly cutoffSeconds: number
  readonly errors: Array<string>
}

export const decide = ({
  absent,
  cutoffSeconds,
  errors,
  layout,
  marks,
  unlisted
}: DecideInput): Effect.Effect<UnlistedPlan, never, Files> =>
  Effect.gen(function* () {
    const plan = nothingUnlisted()
    for (const row of unlisted.rows()) {
      const digestBytes = Digest.toBytes(row.digest)
      if (!absent.has(digestBytes)) continue
      const isYoung = Math.max(row.atimeSeconds, row.mtimeSeconds) >= cutoffSeconds
      const isWanted = row.sizeBytes > 0 && (isYoung || marks.keeps(digestBytes))
      const blob = yield* Effect.result(isWanted ? readGood(layout, row.digest) : Effect.succeed(undefined))
      if (blob._tag === "Failure") {
        errors.push(blob.failure.message)
      } else if (blob.success === undefined) {
        plan.untrue.add(digestBytes, row)
      } else {
        plan.mendable.add(digestBytes, row)
        plan.mendableCounts.chunks += 1
        plan.mendableCounts.bytes += row.sizeBytes
      }
    }
    return plan
  })

/** The file may have been used since, but not replaced. */
const isStillThere = (layout: StoreLayout, { digest, mtimeSeconds, sizeBytes }: FileRow) =>
  Effect.gen(function* () {
    const files = yield* Files
    const stat = yield* files
      .stat(chunkPath(layout, digest))
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    return stat?.kind === "file" && stat.mtimeSeconds === mtimeSeconds && stat.sizeBytes === sizeBytes
  })

/** True when the file is gone now, which said what is not true. */
export const drop = (
  layout: StoreLayout,
  { guards }: BucketSite,
  row: FileRow
): Effect.Effect<boolean, FilesError, Files> =>
  guards.guard(row.digest)(
    Effect.gen(function* () {
      const files = yield* Files
      if (!(yield* isStillThere(layout, row))) return false
      yield* files.unlink(chunkPath(layout, row.digest))
      return true
    })
  )

/** True when the bucket has the content now. */
export const mend = (
  layout: StoreLayout,
  { bucket, guards }: BucketSite,
  row: FileRow
): Effect.Effect<boolean, StorageError, Files> =>
  guards.guard(row.digest)(
    Effect.gen(function* () {
      if (!(yield* isStillThere(layout, row))) return false
      const blob = yield* readGood(layout, row.digest)
      if (blob === undefined) return false
      // Nobody else can have put it meanwhile; and if so, it would be the same content.
      yield* bucket.objects.put(keyOf(bucket, { kind: "chunk", digest: row.digest }), blob)
      return true
    })
  )
