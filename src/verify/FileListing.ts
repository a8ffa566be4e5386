/**
 * FileListing: the files of planned snapshots as a listing of the bucket shows them. What a listing did not come to is
 * as if it had no object there: somebody will ask for it.
 */
import * as Effect from "effect/Effect"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as ObjectKey from "../objectstore/ObjectKey.ts"
import * as StoreKeys from "../objectstore/StoreKeys.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"
import * as KeyScan from "./KeyScan.ts"
import type { PlannedSnapshot } from "./VerifyPlan.ts"

/** Size of the object of a planned file; undefined when the listing has none. */
export type ListedSize = (planned: PlannedSnapshot, fileName: string) => number | undefined

const keyOf = (
  bucket: StoreBucket.StoreBucket,
  { namespace, snapshot }: PlannedSnapshot,
  fileName: string
): ObjectKey.ObjectKey =>
  StoreBucket.keyOf(bucket, { kind: "file", namespace, snapshot, name: ArchiveName.fromFile(fileName) })

/** Manifests and all that they name. */
export const list = (
  bucket: StoreBucket.StoreBucket,
  snapshots: ReadonlyArray<PlannedSnapshot>,
  counts: KeyScan.ScanCounts
): Effect.Effect<ListedSize> =>
  Effect.gen(function* () {
    const keys = snapshots
      .flatMap((planned) =>
        [...planned.files, ArchiveName.manifestFile].map((fileName) => keyOf(bucket, planned, fileName))
      )
      .sort(ObjectKey.compare)
    const sizes = new Map<string, number>()
    const keyAt = (number: number): ObjectKey.ObjectKey => keys[number] ?? ObjectKey.parse("never asked for")
    yield* Effect.ignore(
      KeyScan.scan(
        bucket.objects,
        StoreKeys.contentPrefix(bucket.prefix),
        { count: keys.length, keyAt },
        (number, object) => {
          if (object !== undefined) sizes.set(keyAt(number), object.sizeBytes)
        },
        counts
      )
    )
    return (planned, fileName) => sizes.get(keyOf(bucket, planned, fileName))
  })
