/**
 * BucketLook: what a collection of a datastore in a bucket finds when everything needed is marked: what may go there
 * and in the cache folder, what the folder says that is not true, and what is missing.
 *
 * Two listings of the chunks at most, and never a request for each chunk.
 */
import * as Effect from "effect/Effect"
import type { Datastore } from "../../datastore/Datastore.ts"
import * as Digest from "../../model/Digest.ts"
import { DigestTable } from "../../model/DigestTable.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import type { Files } from "../../platform/Files.ts"
import * as Existence from "../../store/bucket/Existence.ts"
import { decodeIndex, indexMaxBytes } from "../../store/SnapshotFiles.ts"
import type { StorageError } from "../../store/StorageError.ts"
import type { StoreError } from "../../store/StoreError.ts"
import type { ChunkListing } from "../Judging.ts"
import * as MissingChunks from "../MissingChunks.ts"
import type { Removals } from "../Removals.ts"
import type { BucketIndexes } from "./BucketIndexes.ts"
import type { BucketSite } from "./BucketSite.ts"
import * as ObjectListing from "./ObjectListing.ts"
import * as Unlisted from "./Unlisted.ts"

/** What a plan says about the bucket. */
export interface BucketPlan extends Unlisted.UnlistedPlan {
  readonly site: BucketSite
  /** Files of the cache folder that may go and have no object. */
  readonly locals: Removals
  /** Indexes that were read from the bucket, because the cache folder has none of them. */
  readonly foreignIndexes: number
}

export interface BucketLook {
  readonly listing: ChunkListing
  readonly missing: MissingChunks.MissingChunks
  readonly bucket: BucketPlan
  readonly warnings: ReadonlyArray<string>
}

export interface BucketLookInput extends ObjectListing.ObjectListingInput {
  readonly indexes: BucketIndexes
}

/** Those of the marked digests that are absent, and not about to be mended. */
const missingOf = (notFound: Uint8Array, absent: DigestTable, mendable: Uint8Array) => {
  const mended = new DigestTable()
  mended.addMany(mendable, 0, Digest.lengthBytes, mendable.length / Digest.lengthBytes)
  const missing: Array<Uint8Array> = []
  for (let offset = 0; offset < notFound.length; offset += Digest.lengthBytes) {
    if (!absent.has(notFound, offset) || mended.has(notFound, offset)) continue
    missing.push(notFound.subarray(offset, offset + Digest.lengthBytes))
  }
  return missing
}

/** The snapshots' indexes that only the bucket has. */
const elsewhere = ({ indexes, site }: BucketLookInput): ReadonlyArray<MissingChunks.ElsewhereIndex> =>
  indexes.keys.flatMap((key) => {
    const object = StoreKeys.read(site.bucket.prefix, key)
    if (object?.kind !== "file") return []
    const { name, namespace, snapshot } = object
    if (!indexes.finished.has(Snapshot.toPath(namespace, snapshot))) return []
    const read = site.bucket.objects.get(key, indexMaxBytes).pipe(
      Effect.flatMap((bytes) => decodeIndex(key, bytes)),
      Effect.catchIf(
        (error) => error._tag === "StoreError" || error.reason === "NotFound",
        () => Effect.succeed(undefined)
      )
    )
    return [{ place: { namespace, snapshot, archive: name.file }, read }]
  })

/** A snapshot that another host has removed does not miss anything; but its copy in the folder should go. */
const locateMissing = (input: BucketLookInput, missing: ReadonlyArray<Uint8Array>, warnings: Set<string>) => {
  const { finished } = input.indexes
  const isThere = ({ namespace, snapshot }: Omit<MissingChunks.MissingPlace, "archive">): boolean => {
    const name = Snapshot.toPath(namespace, snapshot)
    if (finished.has(name) || !input.rules.marksForeignIndexes) return true
    warnings.add(`${name}: the cache folder has this snapshot, the bucket does not; run: granary s3-refresh`)
    return false
  }
  return MissingChunks.locate(missing, { isThere, elsewhere: elsewhere(input) })
}

export const run = (
  input: BucketLookInput
): Effect.Effect<BucketLook, StorageError | StoreError, Datastore | Files> =>
  Effect.gen(function* () {
    const { cutoffSeconds, indexes, layout, marks, site } = input
    const { listing, locals, pages, unlisted } = yield* ObjectListing.run(input)
    const errors: Array<string> = []
    const notFound = marks.notFound()
    const absent = yield* Existence.findAbsent(
      site.bucket,
      [notFound, unlisted.digests],
      pages,
      ({ message }) => errors.push(message)
    )
    const decided = yield* Unlisted.decide({ layout, unlisted, absent, marks, cutoffSeconds, errors })
    const warnings = new Set<string>()
    const missing = missingOf(notFound, absent, decided.mendable.digests)
    const located = yield* locateMissing(input, missing, warnings)
    return {
      listing,
      missing: { ...located, errors: [...errors, ...located.errors] },
      bucket: { ...decided, site, locals, foreignIndexes: indexes.indexFiles },
      warnings: [...warnings]
    }
  })
