/**
 * GroupPlanner: what is to be done to one group, from what both stores list of it. A plan and a run ask it alike; the
 * run does so with the group of the target held, so that nobody changes it meanwhile.
 */
import * as Effect from "effect/Effect"
import type * as AuthId from "../model/AuthId.ts"
import type { ListedGroup, ListedSnapshot } from "./ListedSnapshot.ts"
import type { NamespacePair } from "./NamespaceMapping.ts"
import { type SyncError, syncError, within } from "./SyncError.ts"
import type { PlannedGroup, PlannedRemoval } from "./SyncPlan.ts"
import * as SyncRules from "./SyncRules.ts"
import type { SyncScene } from "./SyncScene.ts"

export type PlannerScene = Pick<SyncScene, "options" | "source" | "target" | "retrying">

export interface GroupSubject {
  readonly pair: NamespacePair
  readonly listed: ListedGroup
}

export interface GroupSelection {
  readonly snapshots: ReadonlyArray<SyncRules.Selected>
  readonly removals: ReadonlyArray<PlannedRemoval>
}

const isMissing = ({ reason }: SyncError): boolean => reason === "Missing"

const listTarget = ({ options, retrying, target }: PlannerScene, { listed, pair }: GroupSubject) =>
  target.snapshots(pair.target, listed.group, { manifests: options.resyncCorrupt }).pipe(
    retrying,
    within({ side: "target" }),
    // It will be made.
    Effect.catchIf(isMissing, () => Effect.succeed<ReadonlyArray<ListedSnapshot>>([]))
  )

/** Fails with `Missing` when the group vanished from the source. */
export const select = (
  scene: PlannerScene,
  subject: GroupSubject
): Effect.Effect<GroupSelection, SyncError> =>
  Effect.gen(function* () {
    const { options, retrying, source } = scene
    const { listed, pair } = subject
    const manifests = SyncRules.needsSourceManifests(options)
    const offered = yield* source
      .snapshots(pair.source, listed.group, { manifests })
      .pipe(retrying, within({ side: "source" }))
    const there = yield* listTarget(scene, subject)
    return {
      snapshots: SyncRules.select(offered, there, options),
      removals: options.removeVanished ? SyncRules.vanishedSnapshots(offered, there) : []
    }
  })

/** What speaks against working on the group; `actual` is the owner on the target, undefined for a new one. */
export const objection = (
  { options }: PlannerScene,
  { listed, pair }: GroupSubject,
  actual: AuthId.AuthId | undefined
): { readonly verdict: SyncRules.OwnerVerdict; readonly error: SyncError } | undefined => {
  const { group } = listed
  if (listed.owner === undefined) {
    const place = { side: "source", namespace: pair.source, group } as const
    return { verdict: "skip", error: syncError("NotOwner", "this group has no owner", place) }
  }
  if (actual === undefined) return undefined
  const verdict = SyncRules.judgeOwner(options.direction, actual, options.owner)
  if (verdict === "fine") return undefined
  const detail = `this group belongs to ${actual}, not to ${options.owner}`
  const place = { side: "target", namespace: pair.target, group } as const
  return { verdict, error: syncError("NotOwner", detail, place) }
}

export const asPlan = (
  { listed, pair }: GroupSubject,
  { removals, snapshots }: GroupSelection
): PlannedGroup => ({
  sourceNamespace: pair.source,
  targetNamespace: pair.target,
  group: listed.group,
  state: "sync",
  error: undefined,
  snapshots: snapshots.map((selected) => ({ ...selected, estimate: undefined })),
  removals
})
