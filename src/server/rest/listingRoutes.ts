/** listingRoutes: what there is: datastores, their space, namespaces, groups, snapshots and files. */
import * as Effect from "effect/Effect"
import type { Datastore } from "../../datastore/Datastore.ts"
import type { BackupGroup } from "../../model/BackupGroup.ts"
import * as Namespaces from "../../model/Namespace.ts"
import type { Namespace } from "../../model/Namespace.ts"
import { Files } from "../../platform/Files.ts"
import * as Access from "../Access.ts"
import * as Answer from "../Answer.ts"
import { type ApiError, forbidden } from "../ApiError.ts"
import { route } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import { ServedStores } from "../ServedStores.ts"
import type { Privilege } from "../users/Permissions.ts"
import * as items from "./items.ts"
import type { Entry } from "./Router.ts"
import * as StoreCall from "./StoreCall.ts"

/** Listings show all groups to who may audit, and their own to who makes backups. */
export const listing: Access.Wanted = { all: ["Datastore.Audit"], own: ["Datastore.Backup"] }

const anyPrivilege: ReadonlyArray<Privilege> = [
  "Datastore.Audit",
  "Datastore.Modify",
  "Datastore.Read",
  "Datastore.Verify",
  "Datastore.Backup",
  "Datastore.Prune"
]

/** The datastores that the requester may see at all. */
const datastores = route({}, () =>
  Effect.gen(function* () {
    const stores = yield* (yield* ServedStores).list
    const seen = yield* Effect.filter(stores, ({ name }) =>
      Access.hasSomewhere(name, Namespaces.root, ["Datastore.Audit", "Datastore.Backup"])
    )
    return Answer.data(
      // What is undefined is left out of the JSON.
      seen.map(({ backend, comment, maintenance, name }) => ({
        store: name,
        comment: comment ?? null,
        "mount-status": "nonremovable",
        "backend-type": backend,
        maintenance
      }))
    )
  })
)

const statusRules = { ...StoreCall.store, verbose: Parameters.optional(Parameters.boolean) }

/** Who may see nothing but backups of their own is told that there is a store, not how full it is. */
const status = route(statusRules, ({ store }) =>
  Effect.gen(function* () {
    if (!(yield* Access.hasSomewhere(store, Namespaces.root, anyPrivilege))) return yield* forbidden()
    const has = yield* Access.privilegesOn(store)
    const { bucket, layout } = yield* StoreCall.open(store, "read")
    const backend = { "backend-type": bucket === undefined ? "filesystem" : "s3" }
    if (!has.has("Datastore.Audit") && !has.has("Datastore.Backup")) {
      return Answer.data({ total: 0, used: 0, avail: 0, ...backend })
    }
    const files = yield* Files
    const { availableBytes, totalBytes } = yield* told(files.statFileSystem(layout.base))
    return Answer.data({
      total: totalBytes,
      used: totalBytes - availableBytes,
      avail: availableBytes,
      ...backend
    })
  })
)

const namespaceRules = {
  ...StoreCall.store,
  parent: Parameters.optional(Parameters.namespace),
  "max-depth": Parameters.optional(Parameters.integer(0, Namespaces.depthMax))
}

const namespaces = route(namespaceRules, ({ "max-depth": depthMax, parent = Namespaces.root, store }) =>
  Effect.gen(function* () {
    if (!(yield* Access.hasSomewhere(store, parent, anyPrivilege))) return yield* forbidden()
    const { hierarchy } = yield* StoreCall.open(store, "read")
    const found = yield* told(hierarchy.namespaces(parent, depthMax))
    const seen = yield* Effect.filter(found, (namespace) =>
      Access.hasSomewhere(store, namespace, anyPrivilege)
    )
    return Answer.data(seen.toSorted().map((ns) => ({ ns })))
  })
)

interface Owned {
  readonly group: BackupGroup
  readonly owner: Effect.Success<ReturnType<typeof items.ownerOf>>
}

/** The groups that the requester may see, with their owners. */
const visibleGroups = (
  store: string,
  namespace: Namespace,
  isWanted: (group: BackupGroup) => boolean
): Effect.Effect<
  { readonly datastore: Datastore["Service"]; readonly groups: ReadonlyArray<Owned> },
  ApiError,
  StoreCall.Needs
> =>
  Effect.gen(function* () {
    const reach = yield* Access.reach(store, namespace, listing)
    const datastore = yield* StoreCall.open(store, "read")
    const found = (yield* told(datastore.hierarchy.groups(namespace))).filter(isWanted)
    const owned = yield* Effect.forEach(found, (group) =>
      Effect.map(items.ownerOf(datastore, namespace, group), (owner): Owned => ({ group, owner }))
    )
    const groups = yield* Effect.filter(owned, ({ owner }) =>
      reach === "all" ? Effect.succeed(true) : Access.isOwn(owner)
    )
    return { datastore, groups }
  })

const groups = route({ ...StoreCall.store, ...Parameters.inNamespace }, ({ ns = Namespaces.root, store }) =>
  Effect.gen(function* () {
    const visible = yield* visibleGroups(store, ns, () => true)
    const found = yield* Effect.forEach(visible.groups, ({ group, owner }) =>
      items.groupItem(visible.datastore, ns, group, owner)
    )
    return Answer.data(found)
  })
)

const snapshotRules = {
  ...StoreCall.store,
  ...Parameters.inNamespace,
  "backup-type": Parameters.optional(Parameters.backupType),
  "backup-id": Parameters.optional(Parameters.backupId)
}

/** Manifests that are read at once. */
const readTogether = 8

const snapshots = route(snapshotRules, (values) =>
  Effect.gen(function* () {
    const { "backup-id": id, "backup-type": type, ns = Namespaces.root, store } = values
    const visible = yield* visibleGroups(
      store,
      ns,
      (group) => (type === undefined || group.type === type) && (id === undefined || group.id === id)
    )
    const found = yield* Effect.forEach(visible.groups, ({ group, owner }) =>
      Effect.flatMap(items.entriesOf(visible.datastore, ns, group), (entries) =>
        Effect.forEach(entries, (entry) => items.snapshotItem(visible.datastore, ns, entry, owner), {
          concurrency: readTogether
        })
      )
    )
    return Answer.data(found.flat())
  })
)

const files = route({ ...StoreCall.store, ...Parameters.ofSnapshot }, (values) =>
  Effect.gen(function* () {
    const wanted: Access.Wanted = { all: ["Datastore.Audit", "Datastore.Read"], own: ["Datastore.Backup"] }
    const { datastore, namespace, snapshot } = yield* StoreCall.snapshotFor(values, "read", wanted)
    const entry = yield* told(datastore.hierarchy.entry(namespace, snapshot))
    return Answer.data(yield* items.filesOf(datastore, namespace, entry))
  })
)

const below = "/admin/datastore/{store}"

export const routes: ReadonlyArray<Entry<StoreCall.Needs>> = [
  { method: "GET", pattern: "/admin/datastore", route: datastores },
  { method: "GET", pattern: `${below}/status`, route: status },
  { method: "GET", pattern: `${below}/namespace`, route: namespaces },
  { method: "GET", pattern: `${below}/groups`, route: groups },
  { method: "GET", pattern: `${below}/snapshots`, route: snapshots },
  { method: "GET", pattern: `${below}/files`, route: files }
]
