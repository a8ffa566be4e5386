/**
 * GroupSync: copies one group, the oldest snapshot first, each only when the one before is done.
 *
 * Invariants: the group of the target is held from before it is listed until the end. The first snapshot that fails
 * ends the group, so that no newer one is there without it; what the source does not have goes only when all others are
 * done. Whatever goes wrong becomes a part of the report; only an interruption ends it otherwise.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as GroupLog from "./GroupLog.ts"
import * as GroupPlanner from "./GroupPlanner.ts"
import * as SnapshotAhead from "./SnapshotAhead.ts"
import * as SnapshotSync from "./SnapshotSync.ts"
import { type SyncError, within } from "./SyncError.ts"
import type { GroupPlace } from "./SyncEvent.ts"
import { SyncMeter } from "./SyncMeter.ts"
import type { SkipReason, SnapshotAction } from "./SyncPlan.ts"
import type { GroupReport } from "./SyncSummary.ts"
import * as SyncRules from "./SyncRules.ts"
import type { SyncScene } from "./SyncScene.ts"

/** How far a group is: told after each snapshot, as a share from 0 to 1. */
export type OnShare = (share: number) => void

interface GroupWork {
  readonly scene: SyncScene
  readonly subject: GroupPlanner.GroupSubject
  readonly place: GroupPlace
  readonly meter: SyncMeter
  readonly log: GroupLog.GroupLog
  readonly onShare: OnShare
}

interface Outcome {
  readonly state: GroupReport["state"]
  readonly error: SyncError | undefined
  readonly skipped: GroupReport["skipped"]
  readonly removedSnapshots: number
}

const skippedCounts = (reasons: ReadonlyArray<SkipReason | undefined>): GroupReport["skipped"] => {
  const counts: Partial<Record<SkipReason, number>> = {}
  for (const reason of reasons) if (reason !== undefined) counts[reason] = (counts[reason] ?? 0) + 1
  return counts
}

/** One that is not passed over. */
interface Wanted extends SyncRules.Selected {
  readonly action: SnapshotSync.SnapshotWork["action"]
}

const isWanted = (selected: SyncRules.Selected): selected is Wanted => selected.action !== "skip"

type Meanwhile = Pick<SnapshotSync.SnapshotWork, "prepared" | "onBrought">

const snapshotWork = (
  { log, meter, place, scene }: GroupWork,
  { action, snapshot }: Wanted
): SnapshotSync.SnapshotWork => {
  const { sourceNamespace, targetNamespace } = place
  return { scene, meter, log, sourceNamespace, targetNamespace, snapshot, action }
}

/** Answers why it was passed over after all. */
const syncOne = (
  group: GroupWork,
  wanted: Wanted,
  meanwhile: Meanwhile
): Effect.Effect<SkipReason | undefined, SyncError> =>
  Effect.gen(function* () {
    const { log, meter, place, scene } = group
    const { action, snapshot } = wanted
    const tell = (
      state: "started" | "done" | "vanished" | "failed",
      error: SyncError | undefined,
      of: SnapshotAction = action
    ) => scene.report({ type: "snapshot", state, place, snapshot, action: of, error })
    tell("started", undefined)
    const outcome = yield* SnapshotSync.run({ ...snapshotWork(group, wanted), ...meanwhile }).pipe(
      Effect.tapError((error) => Effect.sync(() => tell("failed", error)))
    )
    if (outcome.state === "vanished") {
      meter.count({ vanishedSnapshots: 1 })
      tell("vanished", undefined)
      yield* log.info("vanished from the source meanwhile", { snapshot })
      return undefined
    }
    if (outcome.state === "skipped") {
      tell("done", undefined, "skip")
      yield* log.info(`skipped: ${outcome.reason}`, { snapshot })
      return outcome.reason
    }
    tell("done", undefined)
    yield* log.info(action === "check" ? "is up to date" : "done", { snapshot })
    return undefined
  })

/** While one is finished the chunks of the next one come already. */
const syncAll = (work: GroupWork, snapshots: ReadonlyArray<SyncRules.Selected>) =>
  Effect.gen(function* () {
    const wanted = snapshots.filter(isWanted)
    const reasons: Array<SkipReason | undefined> = snapshots.map(({ reason }) => reason)
    let own: SnapshotAhead.SnapshotAhead | undefined
    for (const [place, selected] of wanted.entries()) {
      const following = wanted[place + 1]
      const next = following === undefined ? undefined : snapshotWork(work, following)
      const ahead =
        next !== undefined && SnapshotAhead.isFor(next) ? yield* SnapshotAhead.make(next) : undefined
      const prepared = own === undefined ? {} : { prepared: own.prepared }
      const onBrought = ahead === undefined ? {} : { onBrought: ahead.begin }
      reasons.push(yield* syncOne(work, selected, { ...prepared, ...onBrought }))
      work.onShare((place + 1) / wanted.length)
      own = ahead
    }
    return skippedCounts(reasons)
  })

/** What cannot be removed now is told, and stays until the next run. */
const removeVanished = (
  { log, place, scene }: GroupWork,
  removals: GroupPlanner.GroupSelection["removals"]
) =>
  Effect.gen(function* () {
    const { group, targetNamespace: namespace } = place
    let removed = 0
    for (const { protected: isProtected, snapshot } of removals) {
      if (isProtected) {
        yield* log.info("vanished from the source, and is kept: it is protected", { snapshot })
        continue
      }
      const error = yield* scene.writer
        .forget(namespace, snapshot)
        .pipe(scene.retrying, Effect.match({ onFailure: (failure) => failure, onSuccess: () => undefined }))
      if (error !== undefined && error.reason !== "Missing") {
        yield* log.warn(`could not be removed: ${error.detail}`, { snapshot })
        continue
      }
      removed += 1
      scene.report({ type: "removed", what: "snapshot", namespace, group, snapshot })
      yield* log.info("removed: it vanished from the source", { snapshot })
    }
    return removed
  })

const withheld = (state: "failed" | "skipped", error: SyncError): Outcome => ({
  state,
  error,
  skipped: {},
  removedSnapshots: 0
})

const syncHeld = (work: GroupWork): Effect.Effect<Outcome, SyncError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { log, place, scene, subject } = work
      const { group, targetNamespace } = place
      const unowned = GroupPlanner.objection(scene, subject, undefined)
      if (unowned !== undefined) return withheld("skipped", unowned.error)
      const owner = yield* within({ side: "target" })(
        scene.retrying(scene.writer.openGroup(targetNamespace, group, scene.options.owner))
      )
      const objection = GroupPlanner.objection(scene, subject, owner)
      if (objection !== undefined) {
        return withheld(objection.verdict === "fail" ? "failed" : "skipped", objection.error)
      }
      const selection = yield* GroupPlanner.select(scene, subject)
      scene.report({ type: "group-started", place, plan: GroupPlanner.asPlan(subject, selection) })
      for (const line of SyncRules.skipLines(selection.snapshots)) yield* log.info(line)
      const skipped = yield* syncAll(work, selection.snapshots)
      const removedSnapshots = yield* removeVanished(work, selection.removals)
      return { state: "done", error: undefined, skipped, removedSnapshots } as const
    })
  )

/** A group that is not there any more has not failed. */
const outcomeOf = (work: GroupWork): Effect.Effect<Outcome> => {
  const { group, targetNamespace: namespace } = work.place
  return syncHeld(work).pipe(
    within({ namespace, group }),
    Effect.catch((error) =>
      Effect.succeed(
        error.reason === "Missing" && error.side === "source"
          ? withheld("skipped", error)
          : withheld("failed", error)
      )
    )
  )
}

export const run = (
  scene: SyncScene,
  subject: GroupPlanner.GroupSubject,
  onShare: OnShare
): Effect.Effect<GroupReport> =>
  Effect.scoped(
    Effect.gen(function* () {
      const startMillis = yield* Clock.currentTimeMillis
      const { listed, pair } = subject
      const { group } = listed
      const place: GroupPlace = { sourceNamespace: pair.source, targetNamespace: pair.target, group }
      const log = yield* GroupLog.make({
        place: { namespace: pair.target, group },
        report: scene.report,
        isBuffered: scene.options.parallelGroups > 1
      })
      const meter = new SyncMeter((more) => scene.meter.count(more))
      const outcome = yield* outcomeOf({ scene, subject, place, meter, log, onShare })
      if (outcome.error !== undefined) {
        yield* outcome.state === "failed"
          ? log.error(outcome.error)
          : log.warn(`skipped: ${outcome.error.detail}`)
      }
      const busySeconds = ((yield* Clock.currentTimeMillis) - startMillis) / 1000
      const report: GroupReport = { ...place, ...outcome, counts: meter.counts, busySeconds }
      scene.report({ type: "group-ended", place, report })
      return report
    })
  )
