/**
 * ForgetGroup: removes a backup group with everything in it, protected snapshots excepted: they stay, and the group
 * with them, as in Proxmox Backup Server.
 *
 * The group's lock is held exclusively from the first to the last removal: while a backup runs in the group nothing is
 * removed at all, and none begins before the group is gone. Each snapshot goes under its own locks.
 */
import * as Effect from "effect/Effect"
import { Datastore, groupLockName } from "../datastore/Datastore.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { StorageError } from "../store/StorageError.ts"

type Failure = StorageError | StoreError

export interface ForgottenGroup {
  /** Oldest first. */
  readonly removed: ReadonlyArray<Snapshot.Snapshot>
  /** What is still there, and why: protected, in use, a failing disk. */
  readonly kept: ReadonlyArray<{ readonly snapshot: Snapshot.Snapshot; readonly error: Failure }>
  /** Whether the group itself is gone. */
  readonly isGroupRemoved: boolean
}

/** Fails with `NoSuchGroup`, and with `Busy` while a backup of the group is running. */
export const forgetGroup = (
  namespace: Namespace,
  group: BackupGroup.BackupGroup
): Effect.Effect<ForgottenGroup, Failure, Datastore> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { forget, hierarchy, locks } = yield* Datastore
      const name = BackupGroup.format(group)
      if (!(yield* locks.tryHold(groupLockName(namespace, group), "exclusive"))) {
        return yield* storeError("Busy", name, "another operation is working on this group")
      }
      const removed: Array<Snapshot.Snapshot> = []
      const kept: Array<ForgottenGroup["kept"][number]> = []
      for (const { snapshot } of (yield* hierarchy.snapshots(namespace, group)).toReversed()) {
        const error = yield* forget(namespace, snapshot).pipe(
          Effect.match({ onFailure: (failure) => failure, onSuccess: () => undefined })
        )
        const isGone = error?._tag === "StoreError" && error.reason === "NoSuchSnapshot"
        if (error === undefined) removed.push(snapshot)
        else if (!isGone) kept.push({ snapshot, error })
      }
      const isGroupRemoved = yield* hierarchy.removeGroupIfEmpty(namespace, group)
      return { removed, kept, isGroupRemoved }
    })
  )
