/**
 * StoreBucket: where in which bucket a datastore lies, and the few things that everybody does there.
 *
 * Invariant: whatever is listed or removed here is named by a prefix that ends in `/`, so that one group or namespace
 * never stands for another whose name begins alike.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { batchSizeMax, type ListedObject, type ObjectStore, pages } from "../../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"

/** Of one store's chunks: a request takes some ten milliseconds, however many are under way. */
export const requestsInFlight = 12

/** Chunks at a time: while so many requests are under way, a few more are being encoded, decoded, written, or wait. */
export const chunksInFlight = 16

export interface StoreBucket {
  readonly objects: ObjectStore["Service"]
  /** The datastore's name: the first segment of all its keys. */
  readonly name: string
  /** The name and a slash. */
  readonly prefix: ObjectKey.KeyPrefix
  /** What people know it by, such as `s3:endpoint/bucket/store`. */
  readonly title: string
  /** Keys in one request of deletions. */
  readonly deleteBatchSize: number
}

export interface StoreBucketOptions {
  readonly objects: ObjectStore["Service"]
  /** A name as `SafeId` takes it; throws `InvalidName` for another. */
  readonly name: string
  readonly title?: string
  /** Default 1,000, which is the most. */
  readonly deleteBatchSize?: number
}

export const make = ({ objects, name, title, deleteBatchSize }: StoreBucketOptions): StoreBucket => ({
  objects,
  name,
  prefix: StoreKeys.storePrefix(name),
  title: title ?? name,
  deleteBatchSize: Math.min(batchSizeMax, Math.max(1, deleteBatchSize ?? batchSizeMax))
})

export const keyOf = (bucket: StoreBucket, object: StoreKeys.StoreObject): ObjectKey.ObjectKey =>
  StoreKeys.write(bucket.prefix, object)

/** Prefix of what is ours and unknown to Proxmox Backup Server. */
export const granaryPrefix = (bucket: StoreBucket): ObjectKey.KeyPrefix =>
  ObjectKey.joinPrefix(bucket.prefix, ".granary/")

/** Everything below a prefix. */
export const listAll = (
  bucket: StoreBucket,
  prefix: ObjectKey.KeyPrefix
): Effect.Effect<ReadonlyArray<ListedObject>, ObjectStoreError> =>
  Effect.map(Stream.runCollect(pages(bucket.objects, prefix)), (all) => all.flatMap(({ objects }) => objects))

/** Deletes in batches; fails with the first key's failure after all batches were sent. */
export const removeAll = (
  bucket: StoreBucket,
  keys: ReadonlyArray<ObjectKey.ObjectKey>
): Effect.Effect<void, ObjectStoreError> =>
  Effect.gen(function* () {
    let failure: ObjectStoreError | undefined
    for (let from = 0; from < keys.length; from += bucket.deleteBatchSize) {
      const report = yield* bucket.objects.deleteMany(keys.slice(from, from + bucket.deleteBatchSize))
      failure ??= report.failed[0]?.error
    }
    if (failure !== undefined) return yield* failure
  })
