/**
 * VanishedRemoval: removes from the target the groups and namespaces that the source does not have.
 *
 * Invariant: only groups of the sync's owner that its filters take, never what is protected, and a namespace only when
 * nothing is left in it. What could not be removed is a problem that is told, and stops nothing.
 */
import * as Effect from "effect/Effect"
import type { BackupGroup } from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { ListedGroup } from "./ListedSnapshot.ts"
import { at, type SyncError } from "./SyncError.ts"
import type { RemovedCounts } from "./SyncSummary.ts"
import * as SyncRules from "./SyncRules.ts"
import type { SyncScene } from "./SyncScene.ts"

export interface Removal {
  readonly removed: RemovedCounts
  readonly problems: ReadonlyArray<SyncError>
}

const none: RemovedCounts = { groups: 0, snapshots: 0, namespaces: 0 }

export const nothing: Removal = { removed: none, problems: [] }

export const sum = (removals: ReadonlyArray<Removal>): Removal => ({
  removed: removals.reduce(
    (total, { removed }) => ({
      groups: total.groups + removed.groups,
      snapshots: total.snapshots + removed.snapshots,
      namespaces: total.namespaces + removed.namespaces
    }),
    none
  ),
  problems: removals.flatMap(({ problems }) => problems)
})

/** What goes wrong is a problem; what is gone already is none. */
const orProblem = (
  work: Effect.Effect<Removal, SyncError>,
  namespace: Namespace,
  group?: BackupGroup
): Effect.Effect<Removal> =>
  work.pipe(
    Effect.catch((error) => {
      const place = { side: "target", namespace, ...(group === undefined ? {} : { group }) } as const
      return Effect.succeed(
        error.reason === "Missing" ? nothing : { removed: none, problems: [at(place)(error)] }
      )
    })
  )

const removeGroup = (
  { report, retrying, writer }: SyncScene,
  namespace: Namespace,
  group: BackupGroup
): Effect.Effect<Removal> =>
  orProblem(
    Effect.map(retrying(writer.forgetGroup(namespace, group)), ({ isGroupRemoved, kept, removed }) => {
      for (const snapshot of removed)
        report({ type: "removed", what: "snapshot", namespace, group, snapshot })
      if (isGroupRemoved) {
        report({ type: "removed", what: "group", namespace, group, snapshot: undefined })
      }
      return {
        removed: { groups: isGroupRemoved ? 1 : 0, snapshots: removed.length, namespaces: 0 },
        problems: kept
          .filter(({ error }) => error.reason !== "Protected")
          .map(({ error, snapshot }) => at({ side: "target", namespace, group, snapshot })(error))
      }
    }),
    namespace,
    group
  )

const tellGroup = (report: SyncScene["report"], namespace: Namespace, group: BackupGroup): void =>
  report({
    type: "log",
    lines: [{ level: "info", place: { namespace, group }, text: "removing: it vanished from the source" }]
  })

/** Groups of one namespace of the target. `source` is all that the source has there, filtered or not. */
export const removeGroups = (
  scene: SyncScene,
  namespace: Namespace,
  source: ReadonlyArray<ListedGroup>
): Effect.Effect<Removal> =>
  orProblem(
    Effect.gen(function* () {
      const there = yield* scene.retrying(scene.target.groups(namespace))
      const gone = SyncRules.vanishedGroups(source, there, scene.options)
      const removals = yield* Effect.forEach(gone, ({ group }) => {
        tellGroup(scene.report, namespace, group)
        return removeGroup(scene, namespace, group)
      })
      return sum(removals)
    }),
    namespace
  )

/** Namespaces of the target, the deepest first. */
export const removeNamespaces = (
  scene: SyncScene,
  namespaces: ReadonlyArray<Namespace>
): Effect.Effect<Removal> =>
  Effect.map(
    Effect.forEach(namespaces, (namespace) =>
      Effect.gen(function* () {
        const groups = yield* removeGroups(scene, namespace, [])
        const { report, retrying, writer } = scene
        const itself = Effect.map(retrying(writer.removeNamespaceIfEmpty(namespace)), (isRemoved) => {
          if (!isRemoved) return nothing
          report({ type: "removed", what: "namespace", namespace, group: undefined, snapshot: undefined })
          return { removed: { groups: 0, snapshots: 0, namespaces: 1 }, problems: [] }
        })
        return sum([groups, yield* orProblem(itself, namespace)])
      })
    ),
    sum
  )
