/**
 * Gc: garbage collection. Removes the chunks that no snapshot needs, while backups, restores and everything else go on,
 * and says which chunks are missing that some snapshot does need.
 *
 * `collect` is all of it; `plan` and `execute` are its halves, for those who want to look at the plan in between. Why
 * no chunk is lost is told in `MarkPhase`; what a writer has to do for it in `Writers`.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import { Datastore } from "../datastore/Datastore.ts"
import * as AuthId from "../model/AuthId.ts"
import { type Meter, makeMeter } from "../objectstore/decorators/metered.ts"
import { tally } from "../objectstore/decorators/tallied.ts"
import type { Files } from "../platform/Files.ts"
import * as Metrics from "../platform/Metrics.ts"
import * as Observation from "../platform/Observation.ts"
import { Progress } from "../platform/Progress.ts"
import * as TaskIds from "../platform/TaskIds.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as BucketSite from "./bucket/BucketSite.ts"
import * as BucketSweep from "./bucket/BucketSweep.ts"
import * as ServerClock from "./bucket/ServerClock.ts"
import * as Collector from "./Collector.ts"
import * as GcPlan from "./GcPlan.ts"
import { GcRules } from "./GcRules.ts"
import * as GcStatus from "./GcStatus.ts"
import * as MissingChunks from "./MissingChunks.ts"
import * as Sweep from "./Sweep.ts"
import * as TimeCheck from "./TimeCheck.ts"
import type { StorageError } from "../store/StorageError.ts"

type Failure = StorageError | StoreError

export interface GcOptions extends GcPlan.PlanOptions {
  /** In whose name; `root@pam` by default. */
  readonly authId?: AuthId.AuthId
  /** Whether the file system has to prove first that it keeps access times. Default true. */
  readonly checksTimes?: boolean
}

export interface GcSummary {
  readonly plan: GcPlan.GcPlan
  /** Undefined for a dry run. */
  readonly sweep: Sweep.SweepOutcome | undefined
  /** What `.gc-status` says now; of a dry run: what it would say. */
  readonly status: GcStatus.GcStatus
  readonly warnings: ReadonlyArray<string>
  /** What could not be looked at or removed. */
  readonly errors: ReadonlyArray<string>
  /** What was asked of the bucket; undefined when the folder is the store. */
  readonly requests: BucketSite.RequestCounts | undefined
  readonly removeSeconds: number
}

const begin = (datastore: Datastore["Service"], options: GcOptions) =>
  TaskIds.begin({
    workerType: "garbage_collection",
    workerId: path.basename(datastore.layout.base),
    authId: options.authId ?? AuthId.parse("root@pam")
  })

/** Proves that touching works, and answers how far the file system's clock is behind. */
const prepare = (datastore: Datastore["Service"], upid: string, options: GcOptions) =>
  Effect.gen(function* () {
    const { collector } = datastore.layout
    const checks = options.checksTimes ?? true
    const isProven = checks && options.mark !== "atime" ? yield* TimeCheck.byOldFile(collector) : undefined
    const skewSeconds = yield* Collector.note(datastore, upid)
    if (!checks || isProven === true) return skewSeconds
    yield* options.mark === "atime" ? TimeCheck.byChunk(datastore) : TimeCheck.byNote(collector)
    return skewSeconds
  })

/** What a bucket needs besides; until the scope closes other hosts neither write nor collect. */
const openSite = (
  datastore: Datastore["Service"],
  meter: Meter,
  isDryRun: boolean
): Effect.Effect<BucketSite.BucketSite | undefined, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { bucket, guards, hosts } = datastore
    if (bucket === undefined || hosts === undefined) return undefined
    if (isDryRun) return { bucket, guards, meter, skew: undefined, collecting: undefined }
    const rules = yield* GcRules
    const collecting = rules.excludesForeignWriters ? yield* hosts.collecting : undefined
    return { bucket, guards, meter, collecting, skew: yield* ServerClock.measure(bucket) }
  })

const checkOptions = (datastore: Datastore["Service"], options: GcOptions) =>
  Effect.gen(function* () {
    yield* GcPlan.checkOptions(options)
    if (datastore.bucket === undefined || options.mark !== "atime") return
    const detail =
      "marks as access times need all chunks in the folder; of this store they are kept in memory"
    return yield* storeError("Refused", datastore.bucket.title, detail)
  })

/** Makes the plan; until the scope closes nobody else collects in this store. */
export const plan = (
  options: GcOptions = {}
): Effect.Effect<GcPlan.GcPlan, Failure, Datastore | Files | Scope.Scope> =>
  Effect.flatMap(makeMeter, (meter) =>
    Effect.gen(function* () {
      const datastore = yield* Datastore
      yield* checkOptions(datastore, options)
      const upid = yield* begin(datastore, options)
      yield* Collector.hold(datastore)
      const site = yield* openSite(datastore, meter, false)
      const skewSeconds = yield* prepare(datastore, upid, options)
      return yield* GcPlan.make({ ...options, upid, isDryRun: false, skewSeconds, site })
    }).pipe(tally(meter), Observation.span("granary.gc.plan"))
  )

const statusOf = (made: GcPlan.GcPlan, sweep: Sweep.SweepOutcome): GcStatus.GcStatus => {
  const { kept, keptBad, pending } = made.listing
  return {
    upid: made.upid,
    indexFileCount: made.indexFiles,
    indexDataBytes: made.indexBytes,
    diskBytes: kept.bytes + sweep.renewed.bytes + sweep.mended.bytes,
    diskChunks: kept.chunks + sweep.renewed.chunks + sweep.mended.chunks,
    removedBytes: sweep.removed.bytes,
    removedChunks: sweep.removed.chunks,
    pendingBytes: pending.bytes + sweep.failed.bytes,
    pendingChunks: pending.chunks + sweep.failed.chunks,
    removedBad: sweep.removedBad,
    stillBad: keptBad + sweep.failedBad,
    cacheStats: { hits: made.marks.hits, misses: made.marks.misses }
  }
}

/**
 * Carries a plan out. Its scope is still open: the store must not have been collected by another one meanwhile. In a
 * bucket that takes one more request when it closes, which only `collect` counts.
 */
export const execute = (made: GcPlan.GcPlan): Effect.Effect<GcSummary, Failure, Datastore | Files> =>
  (made.bucket === undefined ? carryOut(made) : tally(made.bucket.site.meter)(carryOut(made))).pipe(
    Observation.span("granary.gc.execute")
  )

const carryOut = (made: GcPlan.GcPlan): Effect.Effect<GcSummary, Failure, Datastore | Files> =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    const condemned = yield* MissingChunks.condemn(made.missing.archives, made.upid)
    const sweeping = made.bucket === undefined ? Sweep.run(made) : BucketSweep.run(made, made.bucket)
    const [sweep, removeSeconds] = yield* GcPlan.timed(sweeping)
    const status = statusOf(made, sweep)
    yield* GcStatus.write(layout, status)
    yield* Observation.add(Metrics.gcRemovedChunks, status.removedChunks)
    yield* Observation.add(Metrics.gcRemovedBytes, status.removedBytes)
    const warnings = [...made.warnings, ...condemned]
    const requests = yield* requestsOf(made)
    const errors = [...made.errors, ...sweep.errors]
    return { plan: made, sweep, status, warnings, errors, requests, removeSeconds }
  })

/** What the sweep would remove if everything went well. */
export const expectedOutcome = ({ bucket, leftovers, listing }: GcPlan.GcPlan): Sweep.SweepOutcome => ({
  removed: listing.removable,
  removedBad: listing.removableBad,
  removedTemporaries: {
    chunks: listing.abandoned.chunks + leftovers.counts.chunks,
    bytes: listing.abandoned.bytes + leftovers.counts.bytes
  },
  renewed: { chunks: 0, bytes: 0 },
  failed: { chunks: 0, bytes: 0 },
  failedBad: 0,
  mended: bucket?.mendableCounts ?? { chunks: 0, bytes: 0 },
  untrue: bucket?.untrue.count ?? 0,
  errors: []
})

const requestsOf = ({ bucket }: GcPlan.GcPlan): Effect.Effect<BucketSite.RequestCounts | undefined> =>
  bucket === undefined ? Effect.succeed(undefined) : BucketSite.requestsOf(bucket.site)

/** Says what a collection would do. Changes nothing in the store, takes no lock, and hinders nobody. */
export const dryRun = (options: GcOptions = {}): Effect.Effect<GcSummary, Failure, Datastore | Files> =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    yield* checkOptions(datastore, options)
    const upid = yield* begin(datastore, options)
    const meter = yield* makeMeter
    const site = yield* Effect.scoped(openSite(datastore, meter, true))
    const context = { ...options, upid, isDryRun: true, skewSeconds: 0, site }
    const made = yield* tally(meter)(GcPlan.make(context))
    yield* reportWarnings(made.warnings, made.errors)
    const status = statusOf(made, expectedOutcome(made))
    const { errors, warnings } = made
    const requests = yield* requestsOf(made)
    return { plan: made, sweep: undefined, status, warnings, errors, requests, removeSeconds: 0 }
  })

const warningsMax = 100

const reportWarnings = (warnings: ReadonlyArray<string>, errors: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const report = yield* Progress
    const { layout } = yield* Datastore
    const all = [...warnings, ...errors]
    const subject = path.basename(layout.base)
    for (const message of all.slice(0, warningsMax)) report({ type: "warning", subject, message })
    const rest = all.length - warningsMax
    if (rest > 0) report({ type: "warning", subject, message: `and ${rest} more` })
  })

/**
 * Collects garbage. Fails with `Busy` when another collection runs, with `Damaged` when an index is damaged (and then
 * has removed nothing). Files that cannot be removed are in the summary.
 */
export const collect = (options: GcOptions = {}): Effect.Effect<GcSummary, Failure, Datastore | Files> =>
  Effect.gen(function* () {
    const collected = Effect.flatMap(plan(options), execute)
    const summary = yield* Effect.scoped(collected)
    yield* reportWarnings(summary.warnings, summary.errors)
    return { ...summary, requests: yield* requestsOf(summary.plan) }
  }).pipe(Observation.task("garbage_collection"))
