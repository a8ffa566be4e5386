/**
 * RefreshPlan: what a refresh of a cache folder would fetch from its bucket, as a value: how much it is, what it costs,
 * and what an interrupted refresh has fetched already. Making one changes nothing.
 */
import * as Effect from "effect/Effect"
import { pageSizeMax } from "../objectstore/ObjectStore.ts"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import type { Files } from "../platform/Files.ts"
import * as FolderMark from "../store/bucket/FolderMark.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreError } from "../store/StoreError.ts"
import * as StoreLayout from "../store/StoreLayout.ts"
import * as MetadataListing from "./MetadataListing.ts"
import * as Workplace from "./Workplace.ts"

export interface RefreshOptions {
  /** The cache folder. */
  readonly path: string
  readonly bucket: StoreBucket
}

export interface RefreshPlan {
  readonly layout: StoreLayout.StoreLayout
  readonly bucket: StoreBucket
  /** Of the bucket. */
  readonly id: string
  readonly listing: MetadataListing.MetadataListing
  readonly namespaces: number
  readonly groups: number
  readonly snapshots: number
  /** Everything that will be in the folder. */
  readonly objects: number
  readonly bytes: number
  /** What is there from an interrupted refresh and need not be fetched. */
  readonly keptObjects: number
  readonly keptBytes: number
  /** From here on. */
  readonly cost: RequestCosts.Expectation
  /** Keys that are not the datastore's, and are passed over. */
  readonly foreignCount: number
  readonly foreignExamples: ReadonlyArray<string>
}

/** The first listing of a refresh is the plan's. One follows before everything is put into place, and one after. */
const listingsToCome = 2

export const make = ({
  bucket,
  path
}: RefreshOptions): Effect.Effect<RefreshPlan, StorageError | StoreError, Files> =>
  Effect.gen(function* () {
    const layout = yield* StoreLayout.open(path)
    const { id } = yield* FolderMark.checkFinished(layout, bucket)
    const listing = yield* MetadataListing.list(bucket)
    const kept = yield* Workplace.findKept(layout, id, listing)
    const { files, foreignCount, foreignExamples, groups, namespaces, sizeBytes, snapshots } = listing
    const keptBytes = [...kept.values()].reduce((sum, file) => sum + file.sizeBytes, 0)
    const keys = files.size + foreignCount + namespaces.length
    return {
      layout,
      bucket,
      id,
      listing,
      namespaces: namespaces.length,
      groups,
      snapshots,
      objects: files.size,
      bytes: sizeBytes,
      keptObjects: kept.size,
      keptBytes,
      cost: RequestCosts.expectation(
        RequestCosts.make({
          list: listingsToCome * Math.max(1, Math.ceil(keys / pageSizeMax)),
          get: files.size - kept.size,
          receivedBytes: sizeBytes - keptBytes
        })
      ),
      foreignCount,
      foreignExamples
    }
  })
