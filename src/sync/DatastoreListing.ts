/** DatastoreListing: what an open datastore has, as both ends of a sync list it. */
import * as Effect from "effect/Effect"
import type { Datastore } from "../datastore/Datastore.ts"
import type * as BackupGroup from "../model/BackupGroup.ts"
import type * as Namespace from "../model/Namespace.ts"
import type { SnapshotEntry } from "../store/Hierarchy.ts"
import { type ListedGroup, type ListedSnapshot, type ListingOptions, stateOf } from "./ListedSnapshot.ts"
import * as storeFailures from "./storeFailures.ts"
import type { SyncError } from "./SyncError.ts"
import type { StoreListing } from "./SyncSource.ts"

type Store = Datastore["Service"]

/** A bucket is known by its own name, whichever folder is before it; a folder by its path. */
const identitiesOf = ({ bucket, layout }: Store): ReadonlyArray<string> =>
  bucket === undefined ? [`folder ${layout.base}`] : [`bucket ${bucket.title}`, `folder ${layout.base}`]

const ownerOf = (store: Store, namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
  store.hierarchy.owner(namespace, group).pipe(
    Effect.map((owner): ListedGroup | undefined => ({ group, owner })),
    Effect.catchTag("StoreError", ({ reason }) =>
      Effect.succeed(reason === "NoSuchGroup" ? undefined : { group, owner: undefined })
    )
  )

/** Of a finished snapshot; undefined when it vanished meanwhile. */
const describe = (store: Store, namespace: Namespace.Namespace, entry: SnapshotEntry) =>
  store.snapshotFiles.manifest(namespace, entry.snapshot).pipe(
    Effect.map((manifest): ListedSnapshot | undefined => listed(entry, stateOf(manifest))),
    Effect.catchTag("StoreError", ({ reason }) => {
      if (reason === "Damaged") return Effect.succeed(listed(entry, "unreadable"))
      const isGone = reason === "NoSuchSnapshot"
      return Effect.succeed(isGone ? undefined : listed({ ...entry, finished: false }, undefined))
    })
  )

const listed = (
  { finished, protected: isProtected, snapshot }: SnapshotEntry,
  manifest: ListedSnapshot["manifest"]
): ListedSnapshot => ({ snapshot, finished, protected: isProtected, manifest })

const manifestsAtOnce = 16

export const make = (store: Store): StoreListing => {
  const snapshots = (
    namespace: Namespace.Namespace,
    group: BackupGroup.BackupGroup,
    { manifests }: ListingOptions
  ): Effect.Effect<ReadonlyArray<ListedSnapshot>, SyncError> =>
    Effect.gen(function* () {
      const entries = (yield* store.hierarchy.snapshots(namespace, group)).toReversed()
      if (!manifests) return entries.map((entry) => listed(entry, undefined))
      const found = yield* Effect.forEach(
        entries,
        (entry) =>
          entry.finished ? describe(store, namespace, entry) : Effect.succeed(listed(entry, undefined)),
        { concurrency: manifestsAtOnce }
      )
      return found.filter((one) => one !== undefined)
    }).pipe(storeFailures.reading)

  return {
    title: store.bucket?.title ?? store.layout.base,
    identities: identitiesOf(store),
    namespaces: (start, depthMax) => storeFailures.reading(store.hierarchy.namespaces(start, depthMax)),
    groups: (namespace) =>
      Effect.gen(function* () {
        const groups = yield* store.hierarchy.groups(namespace)
        const found = yield* Effect.forEach(groups, (group) => ownerOf(store, namespace, group), {
          concurrency: manifestsAtOnce
        })
        return found.filter((one) => one !== undefined)
      }).pipe(storeFailures.reading),
    snapshots
  }
}
