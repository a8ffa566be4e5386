/**
 * ChunkLooks: what is done about each chunk of a verification: it is read, or it is taken on trust because a listing
 * shows it as it was uploaded, or it is left out because it is not in the sample.
 *
 * Invariant: a listing condemns nothing. A chunk that it lacks, or shows with another size or ETag, is read; a chunk
 * that could not be listed is neither good nor bad. Chunks that nobody has asked about are read.
 */
import * as Effect from "effect/Effect"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import type { ListedObject } from "../objectstore/ObjectStore.ts"
import * as StoreKeys from "../objectstore/StoreKeys.ts"
import type { ChunkPresence } from "../store/ChunkPresence.ts"
import { RecordTable, type Seen } from "../store/bucket/RecordTable.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { UploadRecords } from "../store/bucket/UploadRecords.ts"
import type { ChunkSelection, Sample } from "./ChunkSelection.ts"
import * as KeyScan from "./KeyScan.ts"

export type Look = "read" | "trusted" | "left out" | "not listed"

export interface ListingStatistics extends KeyScan.ScanCounts {
  /** Chunks that were found as they should be, without reading them. */
  present: number
  /** Among those: nobody here knows how they were uploaded, so they were looked for and no more. */
  withoutRecord: number
  /** With another size or ETag than the recorded ones: to be read. */
  suspect: number
  /** To be asked for one by one: listings may lag behind. */
  absent: number
  /** The listing failed before it came to them. */
  notListed: number
}

export interface ChunkLooks {
  /** Of the digest at an offset. */
  readonly of: (digests: Uint8Array, offset: number) => Look
  /** Told of each chunk that was read and found good: what the listing showed of it is good as well. */
  readonly onGood: (digest: Digest.Digest) => Effect.Effect<void>
  /** How many chunks of the sample were read and found good. */
  readonly goodInSample: () => number
  readonly listing: ListingStatistics | undefined
  /** Why the listing ended too early. */
  readonly failure: StorageError | undefined
}

const { lengthBytes } = Digest

/** The chunks that are to be read in any case, and how many of them have proven to be good. */
const makeSampling = (sample: Sample | undefined) => {
  const count = sample?.count ?? 0
  const chosen = new DigestTable(count)
  if (sample !== undefined) chosen.addMany(sample.digests, 0, lengthBytes, count)
  let good = 0
  return {
    has: (digests: Uint8Array, offset: number): boolean => chosen.has(digests, offset),
    noteGood: (digest: Digest.Digest): void => {
      if (chosen.hasDigest(digest)) good += 1
    },
    goodInSample: () => good
  }
}

/** Everything is read, or a sample. */
export const reading = (sample: Sample | undefined): ChunkLooks => {
  const { goodInSample, has, noteGood } = makeSampling(sample)
  return {
    of: (digests, offset) => (sample === undefined || has(digests, offset) ? "read" : "left out"),
    onGood: (digest) => Effect.sync(() => noteGood(digest)),
    goodInSample,
    listing: undefined,
    failure: undefined
  }
}

/** The states of chunks while they are listed, as numbers of a table. */
const notListed = 1
const present = 2
const inDoubt = 3

const listedTable = ({ count, digests }: ChunkSelection): DigestTable => {
  const table = new DigestTable(count)
  for (let at = 0; at < digests.length; at += lengthBytes) table.set(digests, at, notListed)
  return table
}

const lookOf = (state: number | undefined): Look => {
  if (state === present) return "trusted"
  return state === notListed ? "not listed" : "read"
}

const noCounts = (): ListingStatistics => ({
  requests: 0,
  objects: 0,
  present: 0,
  withoutRecord: 0,
  suspect: 0,
  absent: 0,
  notListed: 0
})

/** Compares a store in a folder: a chunk is present when its file is there and not empty. */
export const inFolder = (
  presence: ChunkPresence["Service"],
  selection: ChunkSelection
): Effect.Effect<ChunkLooks> =>
  Effect.gen(function* () {
    const { count, digests } = selection
    const { goodInSample, has, noteGood } = makeSampling(selection.sample)
    const table = listedTable(selection)
    const listing = noCounts()
    const found = yield* Effect.result(presence.findAbsent(digests))
    if (found._tag === "Success") {
      for (let at = 0; at < digests.length; at += lengthBytes) table.set(digests, at, present)
      for (const number of found.success) table.set(digests, number * lengthBytes, inDoubt)
      listing.absent = found.success.length
      listing.present = count - listing.absent
    } else listing.notListed = count
    return {
      of: (row, offset) => (has(row, offset) ? "read" : lookOf(table.get(row, offset))),
      onGood: (digest) => Effect.sync(() => noteGood(digest)),
      goodInSample,
      listing,
      failure: found._tag === "Failure" ? found.failure : undefined
    }
  })

/** Counts what the listing says of one chunk, and answers its state. */
const judge = (
  listing: ListingStatistics,
  comparison: ReturnType<RecordTable["compare"]> | "absent"
): number => {
  if (comparison === "absent") {
    listing.absent += 1
    return inDoubt
  }
  if (comparison === "another") {
    listing.suspect += 1
    return inDoubt
  }
  if (comparison === "no record") listing.withoutRecord += 1
  listing.present += 1
  return present
}

export interface InBucketOptions {
  readonly bucket: StoreBucket.StoreBucket
  /** Undefined where nothing was recorded, because there is no cache folder. */
  readonly records: UploadRecords | undefined
}

/** Compares a store in a bucket with what this host has recorded of its uploads. */
export const inBucket = (
  { bucket, records }: InBucketOptions,
  selection: ChunkSelection
): Effect.Effect<ChunkLooks> =>
  Effect.gen(function* () {
    const { count, digests } = selection
    // Records that cannot be read are as good as none.
    const recorded =
      records === undefined
        ? new RecordTable()
        : yield* records.load.pipe(Effect.catch(() => Effect.succeed(new RecordTable())))
    const table = listedTable(selection)
    const { goodInSample, has, noteGood } = makeSampling(selection.sample)
    const listing = noCounts()
    /** Of what will be read: to be recorded when it proves to be good. */
    const seen = new Map<string, Seen>()

    const onKey = (number: number, object: ListedObject | undefined): void => {
      const at = number * lengthBytes
      const comparison = object === undefined ? "absent" : compare(recorded, digests, at, object)
      const state = judge(listing, comparison)
      table.set(digests, at, state)
      const isRead = state === inDoubt || has(digests, at)
      if (object !== undefined && isRead && comparison !== "as recorded") {
        seen.set(Digest.fromBytes(digests, at), object)
      }
    }
    const keyAt = (number: number) =>
      StoreBucket.keyOf(bucket, { kind: "chunk", digest: Digest.fromBytes(digests, number * lengthBytes) })
    const prefix = StoreKeys.chunksPrefix(bucket.prefix)
    const outcome = yield* Effect.result(
      KeyScan.scan(bucket.objects, prefix, { count, keyAt }, onKey, listing)
    )
    listing.notListed = count - listing.present - listing.suspect - listing.absent
    return {
      of: (row, offset) => (has(row, offset) ? "read" : lookOf(table.get(row, offset))),
      onGood: (digest) =>
        Effect.suspend(() => {
          noteGood(digest)
          return recordGood({ bucket, records }, digest, seen.get(digest))
        }),
      goodInSample,
      listing,
      failure: outcome._tag === "Failure" ? outcome.failure : undefined
    }
  })

/** An empty object is no chunk, whoever put it there. */
const compare = (recorded: RecordTable, digests: Uint8Array, at: number, object: ListedObject) =>
  object.sizeBytes === 0 ? "another" : recorded.compare(digests, at, object)

/** When the object is still the listed one, it was that which was read. */
const recordGood = (
  { bucket, records }: InBucketOptions,
  digest: Digest.Digest,
  seen: Seen | undefined
): Effect.Effect<void> => {
  if (seen === undefined || records === undefined) return Effect.void
  return bucket.objects.head(StoreBucket.keyOf(bucket, { kind: "chunk", digest })).pipe(
    Effect.flatMap(({ etag, sizeBytes }) =>
      etag === seen.etag && sizeBytes === seen.sizeBytes
        ? records.record(digest, { etag, sizeBytes })
        : Effect.void
    ),
    Effect.ignore
  )
}
