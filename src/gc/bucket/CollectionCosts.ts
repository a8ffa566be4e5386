/**
 * CollectionCosts: what carrying a plan out would take of the bucket, besides what making it has taken: the marks that
 * keep other hosts away, the clock, what is mended, the manifests of broken snapshots, and the deletions.
 */
import * as Effect from "effect/Effect"
import { Datastore } from "../../datastore/Datastore.ts"
import * as Manifest from "../../format/Manifest.ts"
import * as ManifestNotes from "../../format/ManifestNotes.ts"
import { makeMeter } from "../../objectstore/decorators/metered.ts"
import { tally } from "../../objectstore/decorators/tallied.ts"
import * as RequestCosts from "../../objectstore/RequestCosts.ts"
import type { Files } from "../../platform/Files.ts"
import * as HostCosts from "../../store/bucket/HostCosts.ts"
import type { StorageError } from "../../store/StorageError.ts"
import type { GcPlan } from "../GcPlan.ts"
import * as MissingChunks from "../MissingChunks.ts"
import type { BucketPlan } from "./BucketLook.ts"

/** The first sample of the server's clock, which is as a rule the only one. */
const clockCosts = RequestCosts.make({ put: 1, get: 1 })

/** Each manifest is read and replaced. */
const condemningCosts = ({ missing, upid }: GcPlan) =>
  Effect.gen(function* () {
    const { snapshotFiles } = yield* Datastore
    const changes = yield* Effect.forEach(
      MissingChunks.snapshotsOf(missing.archives),
      ({ namespace, snapshot }) =>
        snapshotFiles.manifest(namespace, snapshot).pipe(
          Effect.map((manifest) => {
            const changed = ManifestNotes.withVerifyState(manifest, { state: "failed", upid })
            return RequestCosts.make({
              get: 1,
              receivedBytes: Manifest.encode(manifest).length,
              put: 1,
              sentBytes: Manifest.encode(changed).length
            })
          }),
          // It cannot be marked then.
          Effect.catch(() => Effect.succeed(RequestCosts.none))
        )
    )
    return RequestCosts.sum(...changes)
  })

export interface CollectionCosts {
  /** From the plan on. */
  readonly expected: RequestCosts.Expectation
  /** What was asked to find that out. */
  readonly lookups: RequestCosts.RequestCosts
}

const objectsOf = ({ kept, keptBad, pending, removals }: GcPlan["listing"]): number =>
  kept.chunks + keptBad + pending.chunks + removals.count

export const estimate = (
  plan: GcPlan,
  { mendableCounts, site }: BucketPlan
): Effect.Effect<CollectionCosts, StorageError, Datastore | Files> =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    const { listing } = plan
    const meter = yield* makeMeter
    const removes = listing.removals.count > 0
    const collection = { removes, objects: objectsOf(listing) }
    const hosts = yield* tally(meter)(HostCosts.ofCollecting(layout, site.bucket, collection))
    const own = RequestCosts.make({
      put: mendableCounts.chunks,
      sentBytes: mendableCounts.bytes,
      delete: Math.ceil(listing.removals.count / site.bucket.deleteBatchSize)
    })
    const condemning = yield* condemningCosts(plan)
    return {
      expected: RequestCosts.expectation(RequestCosts.sum(clockCosts, hosts, condemning, own), {
        storedBytes: mendableCounts.bytes - listing.removable.bytes
      }),
      lookups: RequestCosts.ofUsage(yield* meter.usage)
    }
  })
