/**
 * BucketSite: what a collection of a datastore in a bucket works with besides the cache folder: the bucket; the meter
 * that counts every request of the collection, those by which it keeps other hosts away among them; how far the
 * server's clock is from ours; and the right to collect, which other hosts respect.
 */
import * as Effect from "effect/Effect"
import type * as ClockSkew from "../../objectstore/ClockSkew.ts"
import type { Meter } from "../../objectstore/decorators/metered.ts"
import type { ObjectStoreOperation } from "../../objectstore/ObjectStoreError.ts"
import type { Collecting } from "../../store/bucket/Hosts.ts"
import type { StoreBucket } from "../../store/bucket/StoreBucket.ts"
import type { DigestGuards } from "../../store/DigestGuards.ts"

/** How often the collection asked for what. */
export type RequestCounts = Readonly<Record<ObjectStoreOperation, number>>

export interface BucketSite {
  readonly bucket: StoreBucket
  readonly guards: DigestGuards["Service"]
  /** Undefined in a dry run: then the clocks count as equal. */
  readonly skew: ClockSkew.ClockSkew | undefined
  /** Undefined in a dry run, which keeps nobody out. */
  readonly collecting: Collecting | undefined
  /** Whatever the collection does counts here (see `tally`). */
  readonly meter: Meter
}

/** What was asked for up to now. */
export const requestsOf = ({ meter }: Pick<BucketSite, "meter">): Effect.Effect<RequestCounts> =>
  Effect.map(meter.usage, ({ operations }) => ({
    put: operations.put.requests,
    putIfAbsent: operations.putIfAbsent.requests,
    get: operations.get.requests,
    getRange: operations.getRange.requests,
    head: operations.head.requests,
    list: operations.list.requests,
    deleteMany: operations.deleteMany.requests,
    copy: operations.copy.requests
  }))

export const totalOf = (counts: RequestCounts): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0)

const noSkew: ClockSkew.ClockSkew = { minSeconds: 0, maxSeconds: 0 }

/** The latest time by our clock that the server's `lastModifiedSeconds`, which is rounded down, can stand for. */
export const latestOwnSeconds = (skew: ClockSkew.ClockSkew = noSkew, lastModifiedSeconds: number): number =>
  Math.ceil(lastModifiedSeconds + 1 - skew.minSeconds)

/** The earliest one. */
export const earliestOwnSeconds = (skew: ClockSkew.ClockSkew = noSkew, lastModifiedSeconds: number): number =>
  Math.floor(lastModifiedSeconds - skew.maxSeconds)
