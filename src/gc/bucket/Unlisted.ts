/**
 * Unlisted: what becomes of chunk files of the cache folder that say that an object exists, and it does not: good
 * content that is needed, or may be, is all that is left of the chunk, and goes into the bucket again; any other file
 * goes. Nothing is changed here: `UntrueFiles` carries it out.
 */
import * as Effect from "effect/Effect"
import * as Digest from "../../model/Digest.ts"
import type { DigestTable } from "../../model/DigestTable.ts"
import type { Files } from "../../platform/Files.ts"
import { FileRows } from "../../store/bucket/FileRows.ts"
import { readGood } from "../../store/bucket/UntrueFiles.ts"
import type { StoreLayout } from "../../store/StoreLayout.ts"
import type { ChunkCounts } from "../Judging.ts"
import type { Marks } from "../Marks.ts"

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
