/**
 * DatastoreTarget: an open datastore as the target of a sync: in a folder, or in a bucket with its cache folder.
 *
 * The whole sync is one writer with one lease. Snapshots are made as a backup makes them (`BackupSession`): group and
 * snapshot are held exclusively; everything is flushed and proven to be there before the manifest is written.
 *
 * Invariant: the manifest comes last, after the lease was found to be still ours. A manifest that may be in the bucket
 * although writing it failed keeps all that it names.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Datastore, groupLockName } from "../datastore/Datastore.ts"
import type * as AuthId from "../model/AuthId.ts"
import type * as BackupGroup from "../model/BackupGroup.ts"
import type * as Namespace from "../model/Namespace.ts"
import { ChunkCodec } from "../platform/ChunkCodec.ts"
import * as ForgetGroup from "../prune/ForgetGroup.ts"
import type { WriterLease } from "../store/Writers.ts"
import * as ChunkIntake from "./ChunkIntake.ts"
import * as DatastoreListing from "./DatastoreListing.ts"
import * as storeFailures from "./storeFailures.ts"
import { type SyncError, syncError } from "./SyncError.ts"
import { type ForgottenGroup, SyncTarget, type TargetWriter } from "./SyncTarget.ts"
import * as TargetSnapshots from "./TargetSnapshots.ts"

type Store = Datastore["Service"]

/**
 * Whether the group comes into being now. One without a snapshot and without an owner is what a death has left of its
 * beginning; one with snapshots that nobody owns is for a person to look at.
 */
const isNewGroup = (
  { hierarchy }: Store,
  namespace: Namespace.Namespace,
  group: BackupGroup.BackupGroup
): Effect.Effect<boolean, storeFailures.StoreFailure> =>
  hierarchy.owner(namespace, group).pipe(
    Effect.as(false),
    Effect.catchTag("StoreError", (error) =>
      error.reason === "NoSuchGroup"
        ? Effect.succeed(true)
        : Effect.flatMap(hierarchy.snapshots(namespace, group), (found) =>
            found.length === 0 ? Effect.succeed(true) : Effect.fail(error)
          )
    )
  )

/** A group that this sync has made goes again when nothing was copied into it. */
const openGroup = (
  store: Store,
  namespace: Namespace.Namespace,
  group: BackupGroup.BackupGroup,
  owner: AuthId.AuthId
): Effect.Effect<AuthId.AuthId, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const { hierarchy, locks } = store
    if (!(yield* locks.tryHold(groupLockName(namespace, group), "exclusive"))) {
      return yield* syncError("Busy", "a backup or another sync works on this group", { side: "target" })
    }
    const isNew = yield* isNewGroup(store, namespace, group)
    return yield* Effect.acquireRelease(hierarchy.ensureGroup(namespace, group, owner), () =>
      isNew ? Effect.ignore(hierarchy.removeGroupIfEmpty(namespace, group)) : Effect.void
    )
  }).pipe(storeFailures.writing)

const forgetGroup = (
  store: Store,
  namespace: Namespace.Namespace,
  group: BackupGroup.BackupGroup
): Effect.Effect<ForgottenGroup, SyncError> =>
  ForgetGroup.forgetGroup(namespace, group).pipe(
    Effect.provideService(Datastore, store),
    Effect.flatMap(({ isGroupRemoved, kept, removed }) =>
      Effect.map(
        Effect.forEach(kept, ({ error, snapshot }) =>
          Effect.match(storeFailures.writing(Effect.fail(error)), {
            onFailure: (failure) => [{ snapshot, error: failure }],
            onSuccess: () => []
          })
        ),
        (errors) => ({ removed, kept: errors.flat(), isGroupRemoved })
      )
    ),
    storeFailures.writing
  )

/** What was stored and not flushed outlives a power loss only as a doubt, so the lease says so until it is flushed. */
const register = (store: Store): Effect.Effect<WriterLease, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const lease = yield* store.writers.register
    yield* Effect.acquireRelease(lease.storing, () =>
      Effect.ignore(Effect.andThen(store.flush, lease.flushed))
    )
    return lease
  }).pipe(storeFailures.writing)

const beginWriting = (
  store: Store,
  codec: ChunkCodec["Service"]
): Effect.Effect<TargetWriter, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const lease = yield* register(store)
    const { hierarchy } = store
    const doubts = store.bucket === undefined ? yield* storeFailures.writing(store.writers.doubts) : []
    return {
      ...ChunkIntake.make({ store, codec, doubts }),
      createNamespace: (namespace) => storeFailures.writing(hierarchy.createNamespace(namespace)),
      openGroup: (namespace, group, owner) => openGroup(store, namespace, group, owner),
      openSnapshot: (namespace, snapshot) => TargetSnapshots.open({ store, lease, namespace, snapshot }),
      forget: (namespace, snapshot) => storeFailures.writing(store.forget(namespace, snapshot)),
      forgetGroup: (namespace, group) => forgetGroup(store, namespace, group),
      removeNamespaceIfEmpty: (namespace) =>
        storeFailures.writing(hierarchy.removeNamespaceIfEmpty(namespace))
    }
  })

export const make = (store: Store): Effect.Effect<SyncTarget["Service"], never, ChunkCodec> =>
  Effect.map(ChunkCodec, (codec) =>
    SyncTarget.of({
      ...DatastoreListing.make(store),
      findAbsent: (digests) => storeFailures.reading(store.presence.findAbsent(digests)),
      beginWriting: beginWriting(store, codec)
    })
  )
