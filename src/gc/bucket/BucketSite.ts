/**
 * BucketSite: what a collection of a datastore in a bucket works with besides the cache folder: the bucket, with every
 * request counted; how far the server's clock is from ours; and the right to collect, which other hosts respect.
 */
import * as Effect from "effect/Effect"
import { around } from "../../objectstore/decorators/ObjectRequest.ts"
import type * as ClockSkew from "../../objectstore/ClockSkew.ts"
import type { ObjectStoreOperation } from "../../objectstore/ObjectStoreError.ts"
import type { Collecting } from "../../store/bucket/Hosts.ts"
import type { StoreBucket } from "../../store/bucket/StoreBucket.ts"
import type { DigestGuards } from "../../store/DigestGuards.ts"

/** How often the collection asked for what; its marks for other hosts are not among them. */
export type RequestCounts = Readonly<Record<ObjectStoreOperation, number>>

export interface BucketSite {
  readonly bucket: StoreBucket
  readonly guards: DigestGuards["Service"]
  /** Undefined in a dry run: then the clocks count as equal. */
  readonly skew: ClockSkew.ClockSkew | undefined
  /** Undefined in a dry run, which keeps nobody out. */
  readonly collecting: Collecting | undefined
  /** Up to now. */
  readonly requests: Effect.Effect<RequestCounts>
}

export interface CountedBucket {
  readonly bucket: StoreBucket
  readonly requests: Effect.Effect<RequestCounts>
}

export const counted = (bucket: StoreBucket): CountedBucket => {
  const counts = { put: 0, putIfAbsent: 0, get: 0, getRange: 0, head: 0, list: 0, deleteMany: 0, copy: 0 }
  const objects = around(bucket.objects, ({ operation }, run) =>
    Effect.suspend(() => {
      counts[operation] += 1
      return run
    })
  )
  return { bucket: { ...bucket, objects }, requests: Effect.sync(() => ({ ...counts })) }
}

export const totalOf = (counts: RequestCounts): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)

const noSkew: ClockSkew.ClockSkew = { minSeconds: 0, maxSeconds: 0 }

/** The latest time by our clock that the server's `lastModifiedSeconds`, which is rounded down, can stand for. */
export const latestOwnSeconds = (skew: ClockSkew.ClockSkew = noSkew, lastModifiedSeconds: number): number =>
  Math.ceil(lastModifiedSeconds + 1 - skew.minSeconds)

/** The earliest one. */
export const earliestOwnSeconds = (skew: ClockSkew.ClockSkew = noSkew, lastModifiedSeconds: number): number =>
  Math.floor(lastModifiedSeconds - skew.maxSeconds)
