/**
 * ManifestObject: the manifest of a snapshot as the bucket has it. A snapshot is finished there only when it has one,
 * and it must name the same files as the one in the cache folder.
 */
import * as Effect from "effect/Effect"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import { largestBlobBytes } from "../platform/chunkContent.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"
import { decodeOrDamaged } from "../store/StoreError.ts"
import { type Findings, noFindings } from "./ChunkVerifier.ts"
import { isDoubt } from "./FileVerifier.ts"
import type { PlannedSnapshot } from "./VerifyPlan.ts"

const nameOf = ({ csum, filename, sizeBytes }: Manifest.ManifestFile): string =>
  `${filename} ${sizeBytes} ${csum}`

const namesOf = ({ files }: Manifest.Manifest): string => files.map(nameOf).sort().join("\n")

export const findInBucket = (
  bucket: StoreBucket.StoreBucket,
  { namespace, snapshot }: PlannedSnapshot,
  inFolder: Manifest.Manifest
): Effect.Effect<Findings> => {
  const name = ArchiveName.fromFile(ArchiveName.manifestFile)
  const key = StoreBucket.keyOf(bucket, { kind: "file", namespace, snapshot, name })
  return bucket.objects.get(key, largestBlobBytes).pipe(
    Effect.flatMap((bytes) => decodeOrDamaged(key, () => Manifest.decode(bytes))),
    Effect.map((found): Findings =>
      namesOf(found) === namesOf(inFolder)
        ? noFindings
        : {
            faults: [],
            doubts: ["it names other files than the one in the bucket (granary s3-refresh fetches that)"]
          }
    ),
    Effect.catch((error) =>
      Effect.succeed<Findings>(
        isDoubt(error, true)
          ? { faults: [], doubts: [error.message] }
          : { faults: [error.message], doubts: [] }
      )
    )
  )
}
