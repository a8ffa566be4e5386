/**
 * GcPlan: what a garbage collection would do, as a value: what is needed, what may go, what is missing.
 *
 * Making one takes these steps, and their order is what makes them safe: the clock is read, then the leases of the
 * writers, and only then the indexes (see `MarkPhase` and `Writers`); the chunk folders come last. Nothing that is
 * young is ever planned for removal: the cutoff lies the grace period back (24 hours and 5 minutes, as with Proxmox
 * Backup Server), and 5 minutes before the start of the oldest writer at work.
 *
 * With a damaged index in the store there is no plan: what it needs nobody knows.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Datastore } from "../datastore/Datastore.ts"
import { Entropy } from "../platform/Entropy.ts"
import type { Files } from "../platform/Files.ts"
import { Progress } from "../platform/Progress.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { Doubt } from "../store/Doubts.ts"
import type { LiveWriter } from "../store/Writers.ts"
import * as BucketIndexes from "./bucket/BucketIndexes.ts"
import * as BucketLook from "./bucket/BucketLook.ts"
import type { BucketSite } from "./bucket/BucketSite.ts"
import * as ChunkListing from "./ChunkListing.ts"
import { GcRules } from "./GcRules.ts"
import type { JudgingInput } from "./Judging.ts"
import * as MarkPhase from "./MarkPhase.ts"
import * as Leftovers from "./Leftovers.ts"
import * as Marks from "./Marks.ts"
import * as MissingChunks from "./MissingChunks.ts"
import * as TouchedMarks from "./TouchedMarks.ts"
import type { StorageError } from "../store/StorageError.ts"

type Failure = StorageError | StoreError

export interface PlanOptions {
  /** Where marks are kept: `set` in memory (default), `atime` as access times, as Proxmox Backup Server does. */
  readonly mark?: "set" | "atime"
  /** How old an unneeded chunk must be, 1 to 2880. Default 1445: 24 hours and 5 minutes. */
  readonly cutoffMinutes?: number
  /** Of `atime`: how many touched digests are remembered. Default 1,048,576; 0 for none. */
  readonly cacheCapacity?: number
}

export interface PlanContext extends PlanOptions {
  readonly upid: string
  /** Touches and changes nothing. With `atime` the plan is then made with marks in memory, and says the same. */
  readonly isDryRun: boolean
  /** By how many seconds the file system's clock is behind ours. */
  readonly skewSeconds: number
  /** Of a datastore in a bucket; undefined when the folder is the store. */
  readonly site: BucketSite | undefined
}

export interface GcPlan {
  readonly upid: string
  readonly isDryRun: boolean
  readonly startSeconds: number
  /** What is younger stays. */
  readonly cutoffSeconds: number
  readonly writers: ReadonlyArray<LiveWriter>
  readonly marks: Marks.MarkStatistics
  readonly indexFiles: number
  readonly indexBytes: number
  /** Of a datastore in a bucket: what there is of objects. */
  readonly listing: ChunkListing.ChunkListing
  readonly missing: MissingChunks.MissingChunks
  /** Temporary files outside of the chunk folders that may go. */
  readonly leftovers: Leftovers.Leftovers
  /** Undefined when the folder is the store. */
  readonly bucket: BucketLook.BucketPlan | undefined
  /** What is given up when the chunks in doubt are gone. */
  readonly doubts: ReadonlyArray<Doubt>
  readonly warnings: ReadonlyArray<string>
  /** Things that could not be looked at. */
  readonly errors: ReadonlyArray<string>
  readonly markSeconds: number
  readonly sweepSeconds: number
}

export const defaultCutoffMinutes = 24 * 60 + 5
const cutoffMinutesMax = 2880
const writerGraceSeconds = 300
const defaultCacheCapacity = 1024 * 1024
const skewToleratedSeconds = 60

const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

/** Runs `effect` and answers its result with the seconds it took. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    const result = yield* effect
    return [result, ((yield* Clock.currentTimeMillis) - start) / 1000] as const
  })

/** Fails for a grace period that is not one; asked before anything is locked or written. */
export const checkOptions = ({ cutoffMinutes }: PlanOptions): Effect.Effect<void, StoreError> => {
  const minutes = cutoffMinutes ?? defaultCutoffMinutes
  if (Number.isInteger(minutes) && minutes >= 1 && minutes <= cutoffMinutesMax) return Effect.void
  const detail = `a cutoff is 1 to ${cutoffMinutesMax} whole minutes`
  return Effect.fail(storeError("Refused", `cutoff ${minutes}`, detail))
}

const oldestOf = (writers: ReadonlyArray<LiveWriter>): number =>
  writers.reduce((oldest, { startSeconds }) => Math.min(oldest, startSeconds), Number.POSITIVE_INFINITY)

const makeMarks = (context: PlanContext) =>
  Effect.gen(function* () {
    const { chunks, layout } = yield* Datastore
    const entropy = yield* Entropy
    const seed = Buffer.from(entropy(4)).readUInt32LE()
    if (context.mark !== "atime" || context.isDryRun) return Marks.makeSet(seed)
    return yield* TouchedMarks.make({
      layout,
      chunks,
      seed,
      capacity: context.cacheCapacity ?? defaultCacheCapacity
    })
  })

const mark = (context: PlanContext, marks: Marks.Marks, writers: ReadonlyArray<LiveWriter>) =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    const rules = yield* GcRules
    const report = yield* Progress
    const progress = (state: "started" | "ended", done: number, total: number | undefined) =>
      report({
        type: "progress",
        task: "gc-mark",
        subject: layout.base,
        state,
        unit: "indexes",
        done,
        total,
        counts: { chunks: marks.statistics.misses }
      })
    progress("started", 0, undefined)
    // What was marked, path by path, is not kept any longer than it takes to compare it with the bucket.
    const { marked, ...outcome } = yield* MarkPhase.run({ marks, rules, writers, isDryRun: context.isDryRun })
    const indexes = yield* markBucket(context, marks, marked)
    const indexFiles = outcome.indexFiles + indexes.indexFiles
    progress("ended", indexFiles, indexFiles)
    const damaged = [...outcome.damaged, ...indexes.damaged]
    if (damaged.length > 0 && rules.refusesDamagedIndexes) {
      return yield* storeError(
        "Damaged",
        damaged.join(", "),
        `${damaged.length === 1 ? "this index is" : "these indexes are"} damaged, and what a damaged index ` +
          "needs nobody knows: nothing was removed; restore the file from a copy, or forget its snapshot"
      )
    }
    const indexBytes = outcome.indexBytes + indexes.indexBytes
    return {
      ...outcome,
      indexes,
      indexFiles,
      indexBytes,
      warnings: [...outcome.warnings, ...indexes.warnings]
    }
  })

const markBucket = (context: PlanContext, marks: Marks.Marks, marked: MarkPhase.MarkOutcome["marked"]) =>
  Effect.gen(function* () {
    const { site, skewSeconds } = context
    const { marksForeignIndexes } = yield* GcRules
    if (site === undefined || !marksForeignIndexes) return BucketIndexes.nothing
    return yield* BucketIndexes.mark({ site, marks, marked, skewSeconds })
  })

const writerWarnings = (writers: ReadonlyArray<LiveWriter>): ReadonlyArray<string> =>
  writers.flatMap(({ name, problem }) =>
    problem === undefined
      ? []
      : [`the lease ${name} of a writer at work cannot be read, so nothing is old enough to go: ${problem}`]
  )

const skewWarnings = (skewSeconds: number): ReadonlyArray<string> =>
  Math.abs(skewSeconds) > skewToleratedSeconds
    ? [`the clocks of the file system and of this machine are ${Math.abs(skewSeconds)} s apart`]
    : []

interface LookInput extends JudgingInput {
  readonly indexes: BucketIndexes.BucketIndexes
}

/** What lies there, and what does not. */
const look = (context: PlanContext, input: LookInput) =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    const rules = yield* GcRules
    const { site } = context
    if (site !== undefined) return yield* BucketLook.run({ ...input, layout, site, rules })
    const listing = yield* ChunkListing.run({ ...input, layout })
    const missing = yield* MissingChunks.find(input.marks.notFound())
    return { listing, missing, bucket: undefined, warnings: [] }
  })

/** Makes the plan. The caller holds the right to collect (see `Collector`), unless it is a dry run. */
export const make = (context: PlanContext): Effect.Effect<GcPlan, Failure, Datastore | Files> =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    const rules = yield* GcRules
    const { isDryRun, skewSeconds } = context
    const startSeconds = yield* nowSeconds
    const writers = yield* datastore.writers.live({ removesDead: !isDryRun })
    const doubts = yield* datastore.writers.doubts
    const oldestSeconds = rules.respectsWriters ? oldestOf(writers) : Number.POSITIVE_INFINITY
    const graceSeconds = (context.cutoffMinutes ?? defaultCutoffMinutes) * 60
    const cutoffSeconds =
      Math.min(startSeconds - graceSeconds, oldestSeconds - writerGraceSeconds) - Math.max(0, skewSeconds)
    const marks = yield* makeMarks(context)
    const [marked, markSeconds] = yield* timed(mark(context, marks, writers))
    const writersSeconds = Math.min(startSeconds, oldestSeconds)
    const { indexes } = marked
    const looking = look(context, { marks, cutoffSeconds, writersSeconds, doubts, indexes })
    const [looked, sweepSeconds] = yield* timed(looking)
    const { bucket, listing, missing } = looked
    const leftovers = yield* Leftovers.find(marked.temporaries, cutoffSeconds)
    return {
      upid: context.upid,
      isDryRun,
      startSeconds,
      cutoffSeconds,
      writers,
      marks: marks.statistics,
      indexFiles: marked.indexFiles,
      indexBytes: marked.indexBytes,
      listing,
      missing,
      bucket,
      leftovers,
      // A snapshot that was never finished may name torn chunks, and keeps them until it is removed.
      doubts: doubts.filter(({ untilSeconds }) => untilSeconds < marked.oldestUnfinishedSeconds),
      warnings: [
        ...writerWarnings(writers),
        ...skewWarnings(skewSeconds),
        ...marked.warnings,
        ...looked.warnings
      ],
      errors: [...listing.errors, ...missing.errors, ...leftovers.errors],
      markSeconds,
      sweepSeconds
    }
  })
