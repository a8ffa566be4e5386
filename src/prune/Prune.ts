/**
 * Prune: carries a plan out, group by group, the oldest snapshot first.
 *
 * Invariants: every removal holds the snapshot's lock exclusively, so nothing that is being written, read or built upon
 * goes; what made the plan give a snapshot up is looked at again under that lock: one that has been protected since, or
 * finished since, stays. What cannot be removed is kept, told as a warning, and stops nothing.
 */
import * as Effect from "effect/Effect"
import { Datastore, groupLockName, snapshotLockName } from "../datastore/Datastore.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { Progress } from "../platform/Progress.ts"
import { manifestLockName } from "../store/SnapshotFiles.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { Decision } from "./Decision.ts"
import * as PrunePlan from "./PrunePlan.ts"
import type { StorageError } from "../store/StorageError.ts"

/** The plan as it was carried out: the decisions say what became of each snapshot. */
export interface PruneSummary extends PrunePlan.PrunePlan {
  /** Snapshots that should have gone and could not be removed. */
  readonly warnings: number
}

type Failure = StorageError | StoreError

/** As the datastore's `forget`, for what an interrupted backup left behind; refuses what has been finished since. */
const forgetUnfinished = (
  datastore: Datastore["Service"],
  namespace: Namespace,
  snapshot: Snapshot.Snapshot
): Effect.Effect<void, Failure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { hierarchy, locks } = datastore
      const name = Snapshot.format(snapshot)
      yield* locks.hold(snapshotLockName(namespace, snapshot), "exclusive")
      const entry = yield* hierarchy.entry(namespace, snapshot)
      if (entry.protected) return yield* storeError("Protected", name, "this snapshot is protected")
      if (entry.finished) return yield* storeError("SnapshotExists", name, "it has been finished meanwhile")
      yield* locks.holdSoon(manifestLockName(namespace, snapshot), "exclusive")
      yield* hierarchy.removeSnapshot(namespace, snapshot)
      if (yield* locks.tryHold(groupLockName(namespace, snapshot.group), "exclusive")) {
        yield* hierarchy.removeGroupIfEmpty(namespace, snapshot.group)
      }
    })
  )

interface Outcome {
  readonly decision: Decision
  readonly warning: string | undefined
}

/** What it means that a removal failed. */
const explain = (decision: Decision, error: Failure): Outcome => {
  const reason = error._tag === "StoreError" ? error.reason : undefined
  // Somebody else has removed it, which is what was wanted.
  if (reason === "NoSuchSnapshot") return { decision, warning: undefined }
  const kept = { ...decision, keep: true }
  if (reason === "Protected") {
    return { decision: { ...kept, protected: true, reason: "kept: protected" }, warning: undefined }
  }
  if (reason === "SnapshotExists") {
    return { decision: { ...kept, finished: true, reason: "kept: finished meanwhile" }, warning: undefined }
  }
  const why = reason === "Busy" ? "in use" : error._tag === "StoreError" ? error.detail : error.message
  return { decision: { ...kept, reason: `kept: ${why}` }, warning: why }
}

const carryOut = (datastore: Datastore["Service"], namespace: Namespace, decision: Decision) => {
  const { snapshot, finished } = decision
  const removal = finished
    ? datastore.forget(namespace, snapshot)
    : forgetUnfinished(datastore, namespace, snapshot)
  return removal.pipe(
    Effect.match({
      onFailure: (error) => explain(decision, error),
      onSuccess: (): Outcome => ({ decision, warning: undefined })
    })
  )
}

const carryOutAndReport = (datastore: Datastore["Service"], namespace: Namespace, planned: Decision) =>
  Effect.gen(function* () {
    const outcome = yield* carryOut(datastore, namespace, planned)
    if (outcome.warning !== undefined) {
      const report = yield* Progress
      const subject = Snapshot.toPath(namespace, planned.snapshot)
      report({ type: "warning", subject, message: `could not be removed: ${outcome.warning}` })
    }
    return outcome
  })

/** Removes what the plan gives up. Never fails: what could not be removed is in the summary. */
export const run = (plan: PrunePlan.PrunePlan): Effect.Effect<PruneSummary, never, Datastore> =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    const report = yield* Progress
    const total = plan.removed
    let warnings = 0
    let done = 0
    const progress = (state: "started" | "running" | "ended", subject: string): void =>
      report({
        type: "progress",
        task: "prune",
        subject,
        state,
        unit: "snapshots",
        done,
        total,
        counts: { warnings }
      })
    progress("started", datastore.layout.base)
    const groups: Array<PrunePlan.PlannedGroup> = []
    for (const { namespace, group, decisions } of plan.groups) {
      const outcomes: Array<Decision> = []
      for (const planned of decisions.toReversed()) {
        if (planned.keep) {
          outcomes.push(planned)
          continue
        }
        const { decision, warning } = yield* carryOutAndReport(datastore, namespace, planned)
        if (warning !== undefined) warnings += 1
        done += 1
        progress("running", Snapshot.toPath(namespace, planned.snapshot))
        outcomes.push(decision)
      }
      groups.push({ namespace, group, decisions: outcomes.toReversed() })
    }
    progress("ended", datastore.layout.base)
    return { ...PrunePlan.of(groups, plan.keepsAll), warnings }
  })
