/**
 * SyncPlanner: makes the plan of a sync: lists both stores, and reads the indexes of what would be copied to see what
 * the target lacks of it.
 *
 * Invariants: nothing is changed and nobody is kept out. What cannot be looked at is no failure of the plan: it says so
 * in the place where the run would.
 */
import * as Effect from "effect/Effect"
import type * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import { DigestTable } from "../model/DigestTable.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as GroupFilter from "./GroupFilter.ts"
import * as GroupPlanner from "./GroupPlanner.ts"
import type { ListedGroup } from "./ListedSnapshot.ts"
import type { NamespacePair } from "./NamespaceMapping.ts"
import * as Retries from "./Retries.ts"
import * as SyncEnds from "./SyncEnds.ts"
import { type SyncError, within } from "./SyncError.ts"
import type { PlanOptions } from "./SyncOptions.ts"
import type * as SyncPlan from "./SyncPlan.ts"
import * as SyncRules from "./SyncRules.ts"
import * as TransferEstimates from "./TransferEstimates.ts"

interface PlanScene extends GroupPlanner.PlannerScene {
  /** Undefined: nothing is counted. */
  readonly counted: DigestTable | undefined
}

const ownersOf = (groups: ReadonlyArray<ListedGroup>): ReadonlyMap<string, AuthId.AuthId | undefined> =>
  new Map(groups.map(({ group, owner }) => [BackupGroup.format(group), owner]))

/** One that is missing there has nothing. */
const orNone = <A>(effect: Effect.Effect<ReadonlyArray<A>, SyncError>) =>
  Effect.catchIf(
    effect,
    ({ reason }) => reason === "Missing",
    () => Effect.succeed<ReadonlyArray<A>>([])
  )

const listGroups = ({ retrying, target }: PlanScene, namespace: Namespace) =>
  orNone(retrying(within({ side: "target", namespace })(target.groups(namespace))))

const withEstimates = (scene: PlanScene, plan: SyncPlan.PlannedGroup) =>
  Effect.gen(function* () {
    const { counted } = scene
    if (counted === undefined) return plan
    const snapshots = yield* Effect.forEach(plan.snapshots, (planned) =>
      planned.action === "skip" || planned.action === "check"
        ? Effect.succeed(planned)
        : Effect.map(
            TransferEstimates.estimate(scene, counted, plan.sourceNamespace, planned.snapshot),
            (estimate): SyncPlan.PlannedSnapshot => ({ ...planned, estimate })
          )
    )
    return { ...plan, snapshots }
  })

const withheld = (
  { listed, pair }: GroupPlanner.GroupSubject,
  state: "skip" | "fail",
  error: SyncError
): SyncPlan.PlannedGroup => ({
  sourceNamespace: pair.source,
  targetNamespace: pair.target,
  group: listed.group,
  state,
  error,
  snapshots: [],
  removals: []
})

const planGroup = (
  scene: PlanScene,
  subject: GroupPlanner.GroupSubject,
  owner: AuthId.AuthId | undefined
): Effect.Effect<SyncPlan.PlannedGroup> =>
  Effect.gen(function* () {
    const objection = GroupPlanner.objection(scene, subject, owner)
    if (objection !== undefined) {
      return withheld(subject, objection.verdict === "fail" ? "fail" : "skip", objection.error)
    }
    const selection = yield* GroupPlanner.select(scene, subject)
    return yield* withEstimates(scene, GroupPlanner.asPlan(subject, selection))
  }).pipe(
    within({ namespace: subject.pair.target, group: subject.listed.group }),
    Effect.catch((error) =>
      Effect.succeed(withheld(subject, error.reason === "Missing" ? "skip" : "fail", error))
    )
  )

const planVanished = (
  scene: PlanScene,
  namespace: Namespace,
  groups: ReadonlyArray<ListedGroup>
): Effect.Effect<ReadonlyArray<SyncPlan.VanishedGroup>, SyncError> =>
  Effect.forEach(groups, ({ group }) =>
    Effect.map(
      orNone(scene.retrying(scene.target.snapshots(namespace, group, { manifests: false }))),
      (listed) => ({
        namespace,
        group,
        snapshots: listed.map((one) => ({ snapshot: one.snapshot, protected: one.protected }))
      })
    )
  )

const planNamespace = (scene: PlanScene, pair: NamespacePair, isNew: boolean) =>
  Effect.gen(function* () {
    const { options, retrying, source } = scene
    const place = within({ side: "source", namespace: pair.source })
    const found = yield* orNone(retrying(place(source.groups(pair.source))))
    const there = isNew ? [] : yield* listGroups(scene, pair.target)
    const owners = ownersOf(there)
    const groups = yield* Effect.forEach(
      found.filter(({ group }) => GroupFilter.accepts(options.groupFilters, group)),
      (listed) => planGroup(scene, { pair, listed }, owners.get(BackupGroup.format(listed.group)))
    )
    const gone = options.removeVanished ? SyncRules.vanishedGroups(found, there, options) : []
    const vanished = yield* planVanished(scene, pair.target, gone)
    return { ...pair, isNew, groups, vanished } satisfies SyncPlan.PlannedNamespace
  })

const totalsOf = (
  namespaces: ReadonlyArray<SyncPlan.PlannedNamespace>,
  vanished: ReadonlyArray<SyncPlan.VanishedGroup>
): SyncPlan.PlanTotals => {
  const groups = namespaces.flatMap((planned) => planned.groups)
  const snapshots = groups.flatMap((planned) => planned.snapshots)
  const wanted = snapshots.filter(({ action }) => action !== "skip")
  const removals = [
    ...groups.flatMap((planned) => planned.removals),
    ...namespaces.flatMap((planned) => planned.vanished.flatMap((group) => group.snapshots)),
    ...vanished.flatMap((group) => group.snapshots)
  ]
  return {
    groups: groups.length,
    failingGroups: groups.filter(({ state }) => state === "fail").length,
    snapshots: wanted.length,
    skippedSnapshots: snapshots.length - wanted.length,
    removedSnapshots: removals.filter((removal) => !removal.protected).length,
    estimate: TransferEstimates.sum(
      wanted.filter(({ action }) => action !== "check").map(({ estimate }) => estimate)
    )
  }
}

const warningsOf = (namespaces: ReadonlyArray<SyncPlan.PlannedNamespace>): ReadonlyArray<string> =>
  namespaces.flatMap(({ groups }) =>
    groups.flatMap(({ error, state }) => (state === "skip" && error !== undefined ? [error.message] : []))
  )

export const plan = (
  ends: SyncEnds.SyncEnds,
  wanted: PlanOptions
): Effect.Effect<SyncPlan.SyncPlan, SyncError> =>
  Effect.gen(function* () {
    const options = yield* SyncEnds.check(ends, wanted)
    const retrying = Retries.make(options.attemptsMax)
    // What a chunk will be called only its content says.
    const recodes = options.encryptWith !== undefined || options.decryptWith.length > 0
    const counted = wanted.estimates === false || recodes ? undefined : new DigestTable()
    const scene: PlanScene = { ...ends, options, retrying, counted }
    const { newOnes, pairs, vanished } = yield* SyncEnds.namespaces(ends, options, retrying)
    const namespaces = yield* Effect.forEach(pairs, (pair) =>
      planNamespace(scene, pair, newOnes.has(pair.target))
    )
    const vanishedNamespaces = yield* Effect.forEach(options.removeVanished ? vanished : [], (namespace) =>
      Effect.gen(function* () {
        const gone = SyncRules.vanishedGroups([], yield* listGroups(scene, namespace), options)
        return { namespace, groups: yield* planVanished(scene, namespace, gone) }
      })
    )
    return {
      direction: options.direction,
      source: ends.source.title,
      target: ends.target.title,
      namespaces,
      vanishedNamespaces,
      totals: totalsOf(
        namespaces,
        vanishedNamespaces.flatMap(({ groups }) => groups)
      ),
      warnings: warningsOf(namespaces)
    }
  })
