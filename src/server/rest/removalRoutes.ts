/** removalRoutes: making and removing namespaces, removing snapshots and groups, and pruning. */
import * as Effect from "effect/Effect"
import { Datastore } from "../../datastore/Datastore.ts"
import type { BackupGroup } from "../../model/BackupGroup.ts"
import * as Namespaces from "../../model/Namespace.ts"
import type { Namespace } from "../../model/Namespace.ts"
import * as Retention from "../../model/Retention.ts"
import { forgetGroup } from "../../prune/ForgetGroup.ts"
import * as Prune from "../../prune/Prune.ts"
import * as PrunePlan from "../../prune/PrunePlan.ts"
import * as Access from "../Access.ts"
import * as Answer from "../Answer.ts"
import { type ApiError, badRequest } from "../ApiError.ts"
import { route } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import type { Entry } from "./Router.ts"
import * as StoreCall from "./StoreCall.ts"

type Store = Datastore["Service"]

const removing: Access.Wanted = { all: ["Datastore.Modify"], own: ["Datastore.Prune"] }

const statistics = (groups: number, snapshots: number, kept: number) => ({
  "removed-groups": groups,
  "removed-snapshots": snapshots,
  "protected-snapshots": kept
})

const createRules = {
  ...StoreCall.store,
  name: Parameters.matching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,31}$/),
  parent: Parameters.optional(Parameters.namespace)
}

const createNamespace = route(createRules, ({ name, parent = Namespaces.root, store }) =>
  Effect.gen(function* () {
    yield* Access.require(store, parent, ["Datastore.Modify"])
    if (Namespaces.depth(parent) >= Namespaces.depthMax)
      return yield* badRequest("namespace is nested too deeply")
    const { hierarchy } = yield* StoreCall.open(store, "write")
    yield* told(hierarchy.namespaces(parent, 0))
    const namespace = Namespaces.child(parent, name)
    yield* told(hierarchy.createNamespace(namespace))
    return Answer.data(namespace)
  })
)

interface Removed {
  groups: number
  snapshots: number
  kept: number
}

/** Removes a group; what stays is protected or in use. */
const removeGroup = (
  datastore: Store,
  namespace: Namespace,
  group: BackupGroup,
  removed: Removed
): Effect.Effect<void, ApiError> =>
  Effect.gen(function* () {
    const forgotten = yield* told(forgetGroup(namespace, group)).pipe(
      Effect.provideService(Datastore, datastore)
    )
    removed.snapshots += forgotten.removed.length
    removed.kept += forgotten.kept.length
    if (forgotten.isGroupRemoved) removed.groups += 1
  })

const deleteNamespaceRules = {
  ...StoreCall.store,
  ns: Parameters.namespace,
  "delete-groups": Parameters.optional(Parameters.boolean),
  "error-on-protected": Parameters.optional(Parameters.boolean)
}

const deleteNamespace = route(deleteNamespaceRules, (values) =>
  Effect.gen(function* () {
    const { "delete-groups": deletesGroups = false, ns: namespace, store } = values
    const parent = Namespaces.parent(namespace)
    if (parent === undefined) return yield* badRequest("cannot delete root namespace!")
    yield* Access.require(store, parent, ["Datastore.Modify"])
    const datastore = yield* StoreCall.open(store, "write")
    const { hierarchy } = datastore
    const removed: Removed = { groups: 0, snapshots: 0, kept: 0 }
    const found = yield* told(hierarchy.namespaces(namespace))
    let isEmpty = true
    // What is nested goes before what it is nested in.
    for (const each of found.toReversed()) {
      const groups = yield* told(hierarchy.groups(each))
      if (deletesGroups)
        yield* Effect.forEach(groups, (group) => removeGroup(datastore, each, group, removed))
      isEmpty = (yield* told(hierarchy.removeNamespaceIfEmpty(each))) && isEmpty
    }
    if (!isEmpty && (values["error-on-protected"] ?? true)) {
      const why = deletesGroups ? "protected snapshots" : "existing groups"
      return yield* badRequest(`only partially deleted due to ${why} in namespace ${namespace}`)
    }
    return Answer.data(statistics(removed.groups, removed.snapshots, removed.kept))
  })
)

const deleteSnapshot = route({ ...StoreCall.store, ...Parameters.ofSnapshot }, (values) =>
  Effect.gen(function* () {
    const { datastore, namespace, snapshot } = yield* StoreCall.snapshotFor(values, "write", removing)
    yield* told(datastore.forget(namespace, snapshot))
    return Answer.nothing
  })
)

const deleteGroupRules = {
  ...StoreCall.store,
  ...Parameters.ofGroup,
  "error-on-protected": Parameters.optional(Parameters.boolean)
}

const deleteGroup = route(deleteGroupRules, (values) =>
  Effect.gen(function* () {
    const { datastore, group, namespace } = yield* StoreCall.groupFor(values, "write", removing)
    const removed: Removed = { groups: 0, snapshots: 0, kept: 0 }
    yield* removeGroup(datastore, namespace, group, removed)
    if (removed.kept > 0 && (values["error-on-protected"] ?? true)) {
      return yield* badRequest("group only partially deleted due to protected snapshots")
    }
    return Answer.data(statistics(removed.groups, removed.snapshots, removed.kept))
  })
)

const keep = Parameters.optional(Parameters.integer(1))

const pruneRules = {
  ...StoreCall.store,
  ...Parameters.ofGroup,
  "keep-last": keep,
  "keep-hourly": keep,
  "keep-daily": keep,
  "keep-weekly": keep,
  "keep-monthly": keep,
  "keep-yearly": keep,
  "dry-run": Parameters.optional(Parameters.boolean),
  "use-task": Parameters.optional(Parameters.boolean)
}

const prune = route(pruneRules, (values) =>
  Effect.gen(function* () {
    const { datastore, group, namespace } = yield* StoreCall.groupFor(values, "write", removing)
    if (values["use-task"] === true)
      return yield* badRequest("tasks are not supported: prune without use-task")
    const retention = Object.fromEntries(
      Retention.rules.map((rule) => [rule, values[`keep-${rule}`] ?? 0])
    ) as Retention.Retention
    const plan = yield* told(PrunePlan.make({ namespace, groups: [group], retention })).pipe(
      Effect.provideService(Datastore, datastore)
    )
    const isDry = values["dry-run"] ?? false
    const done = isDry ? plan : yield* Effect.provideService(Prune.run(plan), Datastore, datastore)
    const decisions = done.groups.flatMap(({ decisions: each }) => each)
    return Answer.data(
      decisions
        .toSorted((left, right) => left.snapshot.time - right.snapshot.time)
        .map((decision) => ({
          "backup-type": group.type,
          "backup-id": group.id,
          "backup-time": decision.snapshot.time,
          keep: plan.keepsAll || decision.keep || decision.protected,
          protected: decision.protected,
          ns: isDry && namespace !== Namespaces.root ? namespace : undefined
        }))
    )
  })
)

const below = "/admin/datastore/{store}"

export const routes: ReadonlyArray<Entry<StoreCall.Needs>> = [
  { method: "POST", pattern: `${below}/namespace`, route: createNamespace },
  { method: "DELETE", pattern: `${below}/namespace`, route: deleteNamespace },
  { method: "DELETE", pattern: `${below}/snapshots`, route: deleteSnapshot },
  { method: "DELETE", pattern: `${below}/groups`, route: deleteGroup },
  { method: "POST", pattern: `${below}/prune`, route: prune }
]
