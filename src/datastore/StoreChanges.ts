/**
 * StoreChanges: what is done to finished snapshots and whole groups: forgetting one, moving the other.
 *
 * Invariants: a snapshot is removed, and a group moved, under locks that keep everybody out who makes, reads or builds
 * on what is in it. A move is journaled before its rename, so that a garbage collection finds the group wherever it is.
 * In a bucket the objects are copied before the journal is locked, because that takes a while, and deleted after it.
 * Collections of other hosts cannot see the journal: so who moves there is a writer and keeps them out.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as BackupGroups from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshots from "../model/Snapshot.ts"
import * as GroupMove from "../store/bucket/GroupMove.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import type { Hierarchy } from "../store/Hierarchy.ts"
import type { MoveJournal } from "../store/MoveJournal.ts"
import { manifestLockName } from "../store/SnapshotFiles.ts"
import type { StorageError } from "../store/StorageError.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { StoreLocks } from "../store/StoreLocks.ts"
import type { Writers } from "../store/Writers.ts"
import { groupLockName, snapshotLockName } from "./lockNames.ts"

type Failure = StorageError | StoreError
type Group = BackupGroups.BackupGroup

export interface Parts {
  readonly hierarchy: Hierarchy["Service"]
  readonly locks: StoreLocks["Service"]
  readonly moves: MoveJournal
  readonly writers: Writers["Service"]
  readonly bucket: StoreBucket | undefined
}

const removeEmptyGroup = ({ hierarchy, locks }: Parts, namespace: Namespace, group: Group) =>
  Effect.scoped(
    Effect.flatMap(locks.tryHold(groupLockName(namespace, group), "exclusive"), (held) =>
      held ? hierarchy.removeGroupIfEmpty(namespace, group) : Effect.succeed(false)
    )
  )

export const forget = (
  parts: Parts,
  namespace: Namespace,
  snapshot: Snapshots.Snapshot
): Effect.Effect<void, Failure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { hierarchy, locks } = parts
      yield* locks.hold(snapshotLockName(namespace, snapshot), "exclusive")
      const entry = yield* hierarchy.entry(namespace, snapshot)
      if (entry.protected) {
        return yield* storeError("Protected", Snapshots.format(snapshot), "this snapshot is protected")
      }
      yield* locks.holdSoon(manifestLockName(namespace, snapshot), "exclusive")
      yield* hierarchy.removeSnapshot(namespace, snapshot)
      yield* removeEmptyGroup(parts, namespace, snapshot.group)
    })
  )

const holdAllSnapshots = (
  { hierarchy, locks }: Parts,
  namespace: Namespace,
  group: Group
): Effect.Effect<void, Failure, Scope.Scope> =>
  Effect.flatMap(hierarchy.snapshots(namespace, group), (entries) =>
    Effect.forEach(
      entries,
      ({ snapshot }) => locks.hold(snapshotLockName(namespace, snapshot), "exclusive"),
      { discard: true }
    )
  )

/** Whether the group is at its new place in the folder, or may be: nobody could look. */
const hasArrived = ({ hierarchy }: Parts, { group, to }: GroupMove.Places): Effect.Effect<boolean> =>
  Effect.match(hierarchy.snapshots(to, group), {
    onFailure: ({ reason }) => reason !== "NoSuchGroup",
    onSuccess: () => true
  })

/** Whether a move that had been cut off after its rename was brought to its end. */
const isMoveFinished = (parts: Parts, places: GroupMove.Places) =>
  Effect.gen(function* () {
    const { bucket } = parts
    if (bucket === undefined || !(yield* hasArrived(parts, places))) return false
    return yield* GroupMove.finish(bucket, places)
  })

const moveHeld = (parts: Parts, places: GroupMove.Places): Effect.Effect<void, Failure> => {
  const { bucket, hierarchy, moves } = parts
  const { from, group, to } = places
  const rename = moves.record(Snapshots.groupPath(to, group), hierarchy.moveGroup(from, group, to))
  return Effect.andThen(
    hierarchy.prepareGroup(to, group),
    bucket === undefined
      ? rename
      : GroupMove.move(bucket, places, { rename, hasArrived: hasArrived(parts, places) })
  )
}

export const moveGroup = (
  parts: Parts,
  from: Namespace,
  group: Group,
  to: Namespace
): Effect.Effect<void, Failure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { bucket, locks, writers } = parts
      const places = { group, from, to }
      const name = BackupGroups.format(group)
      if (from === to) return yield* storeError("Refused", name, "the group is in this namespace already")
      if (bucket !== undefined) yield* writers.register
      yield* locks.hold(groupLockName(from, group), "exclusive")
      yield* locks.hold(groupLockName(to, group), "exclusive")
      const missing = yield* holdAllSnapshots(parts, from, group).pipe(
        Effect.as(undefined),
        Effect.catchIf(
          (error) => error.reason === "NoSuchGroup",
          (error) => Effect.succeed(error)
        )
      )
      if (missing === undefined) return yield* moveHeld(parts, places)
      if (!(yield* isMoveFinished(parts, places))) return yield* missing
    })
  )
