/**
 * Sweep: removes what a plan lists (of a datastore in a bucket `BucketSweep` does). Every file is looked at once more
 * under its digest's guard: whoever has used the chunk since the plan was made has renewed its time, and keeps it. A
 * guard is held for that only: a writer waits for a stat and an unlink, never for the sweep.
 *
 * A file that cannot be removed is counted, and the next one follows.
 */
import * as Effect from "effect/Effect"
import { Datastore } from "../datastore/Datastore.ts"
import type { Files, FileStat } from "../platform/Files.ts"
import { Progress } from "../platform/Progress.ts"
import type { ChunkCounts } from "./ChunkListing.ts"
import type { GcPlan } from "./GcPlan.ts"
import { GcRules } from "./GcRules.ts"
import * as Leftovers from "./Leftovers.ts"
import type { Removal } from "./Removals.ts"
import type { StorageError } from "../store/StorageError.ts"

export interface SweepOutcome {
  readonly removed: ChunkCounts
  readonly removedBad: number
  readonly removedTemporaries: ChunkCounts
  /** Planned, and in use again by the time it was their turn. */
  readonly renewed: ChunkCounts
  /** Chunks that could not be removed. */
  readonly failed: ChunkCounts
  readonly failedBad: number
  /** In a bucket: chunks that were not there, and were put there again from the cache folder. */
  readonly mended: ChunkCounts
  /** In a bucket: files of the cache folder that said what was not true, and were dropped. */
  readonly untrue: number
  readonly errors: ReadonlyArray<string>
}

const removalsPerTurn = 256

export const makeTally = () => ({
  removed: { chunks: 0, bytes: 0 },
  removedBad: 0,
  removedTemporaries: { chunks: 0, bytes: 0 },
  renewed: { chunks: 0, bytes: 0 },
  failed: { chunks: 0, bytes: 0 },
  failedBad: 0,
  mended: { chunks: 0, bytes: 0 },
  untrue: 0,
  errors: new Array<string>()
})

export type Tally = ReturnType<typeof makeTally>

export const countRemoved = (tally: Tally, { kind }: Removal, sizeBytes: number): void => {
  if (kind === "temporary") {
    tally.removedTemporaries.chunks += 1
    tally.removedTemporaries.bytes += sizeBytes
    return
  }
  tally.removed.bytes += sizeBytes
  if (kind === "bad") tally.removedBad += 1
  else tally.removed.chunks += 1
}

export const countRenewed = (tally: Tally, { kind }: Removal, sizeBytes: number): void => {
  if (kind === "temporary") return
  tally.renewed.bytes += sizeBytes
  tally.renewed.chunks += kind === "chunk" ? 1 : 0
}

/** Without an error when it has been told for many. */
export const countFailed = (tally: Tally, { kind, sizeBytes }: Removal, error?: StorageError): void => {
  if (error !== undefined) tally.errors.push(error.message)
  if (kind === "temporary") return
  tally.failed.bytes += sizeBytes
  if (kind === "bad") tally.failedBad += 1
  else tally.failed.chunks += 1
}

export const removeOne = (removal: Removal, tally: Tally, cutoffSeconds: number) =>
  Effect.gen(function* () {
    const { chunks } = yield* Datastore
    const rules = yield* GcRules
    const isExpired = (stat: FileStat): boolean =>
      !rules.rechecksUnderGuard || Math.max(stat.atimeSeconds, stat.mtimeSeconds) < cutoffSeconds
    const discard = chunks.discard(removal.digest, removal.fileName, isExpired)
    const failed = (error: StorageError) =>
      Effect.sync(() => {
        countFailed(tally, removal, error)
        return { state: "gone" as const, sizeBytes: 0 }
      })
    const counted = discard.pipe(Effect.catch(failed))
    const { sizeBytes, state } = yield* rules.countsErrors ? counted : discard
    if (state === "removed") countRemoved(tally, removal, sizeBytes)
    if (state === "kept") countRenewed(tally, removal, sizeBytes)
  })

/** When nothing that is in doubt and not needed is left, nothing is in doubt any more. */
const settleDoubts = (plan: GcPlan, { errors, renewed }: Tally) =>
  Effect.gen(function* () {
    const { writers } = yield* Datastore
    const isClear = plan.listing.doubtful === 0 && renewed.chunks === 0
    if (isClear && plan.errors.length === 0 && errors.length === 0) yield* writers.settle(plan.doubts)
  })

/** What comes after the chunks. */
export const finish = (
  plan: GcPlan,
  tally: Tally
): Effect.Effect<SweepOutcome, StorageError, Datastore | Files> =>
  Effect.gen(function* () {
    const leftovers = yield* Leftovers.remove(plan.leftovers.paths, plan.cutoffSeconds)
    tally.removedTemporaries.chunks += leftovers.counts.chunks
    tally.removedTemporaries.bytes += leftovers.counts.bytes
    tally.errors.push(...leftovers.errors)
    yield* settleDoubts(plan, tally)
    return tally
  })

/** Tells how many of the planned removals have had their turn. */
export const reporter = ({ listing }: GcPlan, tally: Tally) =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    const report = yield* Progress
    return (state: "started" | "running" | "ended", done: number): void =>
      report({
        type: "progress",
        task: "gc-remove",
        subject: layout.base,
        state,
        unit: "chunks",
        done,
        total: listing.removals.count,
        counts: { errors: tally.errors.length }
      })
  })

export const run = (plan: GcPlan): Effect.Effect<SweepOutcome, StorageError, Datastore | Files> =>
  Effect.gen(function* () {
    const { chunks } = yield* Datastore
    const { removals } = plan.listing
    const tally = makeTally()
    const progress = yield* reporter(plan, tally)
    progress("started", 0)
    for (let from = 0; from < removals.count; from += removalsPerTurn) {
      const batch = removals.range(from, from + removalsPerTurn)
      yield* Effect.forEach(batch, (removal) => removeOne(removal, tally, plan.cutoffSeconds), {
        concurrency: chunks.parallelism,
        discard: true
      })
      progress("running", from + batch.length)
    }
    progress("ended", removals.count)
    return yield* finish(plan, tally)
  })
