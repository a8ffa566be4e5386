/**
 * StoreCall: what every call on a datastore begins with: permission, then the store, then the rest.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Datastore } from "../../datastore/Datastore.ts"
import type { BackupGroup } from "../../model/BackupGroup.ts"
import * as Namespaces from "../../model/Namespace.ts"
import type { Namespace } from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import type { ChunkCodec } from "../../platform/ChunkCodec.ts"
import type { Files } from "../../platform/Files.ts"
import * as Access from "../Access.ts"
import type { ApiError } from "../ApiError.ts"
import * as Parameters from "../Parameters.ts"
import { type Operation, ServedStores } from "../ServedStores.ts"

export type Needs = Access.Needs | ServedStores | Files | ChunkCodec | Scope.Scope

export const store = { store: Parameters.safeId }

type Store = Datastore["Service"]

export const open = (name: string, operation: Operation): Effect.Effect<Store, ApiError, Needs> =>
  Effect.flatMap(ServedStores, ({ lookup }) => lookup(name, operation))

interface InNamespace {
  readonly store: string
  readonly ns: Namespace | undefined
}

interface OfGroup extends InNamespace {
  readonly "backup-type": BackupGroup["type"]
  readonly "backup-id": string
}

interface OfSnapshot extends OfGroup {
  readonly "backup-time": number
}

export interface GroupPlace {
  readonly datastore: Store
  readonly namespace: Namespace
  readonly group: BackupGroup
}

export interface SnapshotPlace extends GroupPlace {
  readonly snapshot: Snapshot.Snapshot
}

/** The group that a call names, if the requester may do that to it. */
export const groupFor = (
  values: OfGroup,
  operation: Operation,
  wanted: Access.Wanted
): Effect.Effect<GroupPlace, ApiError, Needs> =>
  Effect.gen(function* () {
    const namespace = values.ns ?? Namespaces.root
    yield* Access.reach(values.store, namespace, wanted)
    const datastore = yield* open(values.store, operation)
    const group = Parameters.groupOf(values)
    yield* Access.requireForGroup(values.store, datastore, namespace, group, wanted)
    return { datastore, namespace, group }
  })

export const snapshotFor = (
  values: OfSnapshot,
  operation: Operation,
  wanted: Access.Wanted
): Effect.Effect<SnapshotPlace, ApiError, Needs> =>
  Effect.map(groupFor(values, operation, wanted), (place) => ({
    ...place,
    snapshot: Snapshot.make(place.group, values["backup-time"])
  }))
