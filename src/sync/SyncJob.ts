/**
 * SyncJob: copies backups from one store to another, as a pull or a push: the plan, the run, and the run as events.
 *
 * ```ts
 * const job = SyncJob.make(DatastoreSource.make(from), yield* DatastoreTarget.make(to))
 * const summary = yield* job.run({ direction: "pull", owner, parallelGroups: 4 })
 * ```
 *
 * A run fails only for what concerns all of it, such as a target that takes no changes. Groups that failed are in its
 * summary (`SyncSummary.isComplete`). Stopped at any moment it leaves both stores sound, and the next run goes on where
 * it stopped.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as SyncEnds from "./SyncEnds.ts"
import type { SyncError } from "./SyncError.ts"
import type { RecodingWork } from "./RecodingWork.ts"
import { type SyncEvent, SyncReporter } from "./SyncEvent.ts"
import type { PlanOptions, SyncOptions } from "./SyncOptions.ts"
import type { SyncPlan } from "./SyncPlan.ts"
import * as SyncPlanner from "./SyncPlanner.ts"
import * as SyncRun from "./SyncRun.ts"
import { SyncSource } from "./SyncSource.ts"
import type { SyncSummary } from "./SyncSummary.ts"
import { SyncTarget } from "./SyncTarget.ts"

export class SyncJob extends Context.Service<
  SyncJob,
  {
    /** What a run would do. Changes nothing. */
    readonly plan: (options: PlanOptions) => Effect.Effect<SyncPlan, SyncError>
    /** Reports to `SyncReporter`. */
    readonly run: (options: SyncOptions) => Effect.Effect<SyncSummary, SyncError>
    /** A run as a stream of what it reports; the last event has the summary. Fails as the run fails. */
    readonly events: (options: SyncOptions) => Stream.Stream<SyncEvent, SyncError>
  }
>()("granary/sync/SyncJob") {}

const eventsOf = (ends: SyncEnds.SyncEnds, options: SyncOptions): Stream.Stream<SyncEvent, SyncError> =>
  Stream.callback<SyncEvent, SyncError>((queue) =>
    SyncRun.run(ends, options).pipe(
      Effect.provideService(SyncReporter, (event) => {
        Queue.offerUnsafe(queue, event)
      }),
      Effect.matchCauseEffect({
        onFailure: (cause) => Queue.failCause(queue, cause),
        onSuccess: () => Queue.end(queue)
      })
    )
  )

/** With a codec its threads encrypt and decrypt chunks; without one the calling thread does. */
export const make = (
  source: SyncSource["Service"],
  target: SyncTarget["Service"],
  codec?: RecodingWork
): SyncJob["Service"] => {
  const ends = { source, target, ...(codec === undefined ? {} : { recodingWork: codec }) }
  return SyncJob.of({
    plan: (options) => SyncPlanner.plan(ends, options),
    run: (options) => SyncRun.run(ends, options),
    events: (options) => eventsOf(ends, options)
  })
}

export const layer: Layer.Layer<SyncJob, never, SyncSource | SyncTarget> = Layer.effect(
  SyncJob,
  Effect.gen(function* () {
    return make(yield* SyncSource, yield* SyncTarget)
  })
)
