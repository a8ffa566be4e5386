/**
 * Datastore: one open store, the entrance to everything in it.
 *
 * It owns the store's locks, guards and worker threads for as long as its scope lives; backups, restores and
 * verifications borrow them. Opening one writes nothing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as BackupGroups from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import { Files } from "../platform/Files.ts"
import * as ChunkPresence from "../store/ChunkPresence.ts"
import * as ChunkStore from "../store/ChunkStore.ts"
import * as Hierarchy from "../store/Hierarchy.ts"
import * as MoveJournal from "../store/MoveJournal.ts"
import * as SnapshotFiles from "../store/SnapshotFiles.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as StoreLayout from "../store/StoreLayout.ts"
import * as StoreLocks from "../store/StoreLocks.ts"
import * as Writers from "../store/Writers.ts"
import type { StorageError } from "../store/StorageError.ts"

export interface DatastoreOptions {
  /** The folder. */
  readonly path: string
  /** Default `filesystem`, as PBS: everything is flushed once, before a backup counts as finished. */
  readonly syncLevel?: ChunkStore.SyncLevel
}

/** What an open datastore needs of the machine. */
export type DatastoreRequirements = Files | FileLocks | ChunkCodec

export class Datastore extends Context.Service<
  Datastore,
  {
    readonly layout: StoreLayout.StoreLayout
    readonly chunks: ChunkStore.ChunkStore["Service"]
    readonly presence: ChunkPresence.ChunkPresence["Service"]
    readonly hierarchy: Hierarchy.Hierarchy["Service"]
    readonly snapshotFiles: SnapshotFiles.SnapshotFiles["Service"]
    readonly locks: StoreLocks.StoreLocks["Service"]
    /** Who writes into the store, in all processes. Whoever wants to write registers here first. */
    readonly writers: Writers.Writers["Service"]
    /** Which groups were moved, for a garbage collection that is under way. */
    readonly moves: MoveJournal.MoveJournal
    /** Makes everything written so far survive a power loss, as the sync level asks. */
    readonly flush: Effect.Effect<void, StorageError>
    /**
     * Removes a snapshot for good, under its locks; refuses a protected one. Its chunks stay until they are collected.
     */
    readonly forget: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot
    ) => Effect.Effect<void, StorageError | StoreError>
    /**
     * Moves a group with all its snapshots into another namespace, which must exist. Refuses when that has a group of
     * this name; fails with `Busy` while a backup is made into the group or one of its snapshots is read.
     */
    readonly moveGroup: (
      from: Namespace,
      group: BackupGroups.BackupGroup,
      to: Namespace
    ) => Effect.Effect<void, StorageError | StoreError>
  }
>()("granary/datastore/Datastore") {}

/** The name under which a group's lock is held: exclusive while a snapshot is made in it or the group removed. */
export const groupLockName = (namespace: Namespace, group: BackupGroups.BackupGroup): string =>
  `group ${Snapshot.groupPath(namespace, group)}`

/** The name under which a snapshot's lock is held: shared by readers, exclusive while it is made or removed. */
export const snapshotLockName = (namespace: Namespace, snapshot: Snapshot.Snapshot): string =>
  `snapshot ${Snapshot.toPath(namespace, snapshot)}`

/** Opens the datastore in a folder. */
export const open = (
  options: DatastoreOptions
): Effect.Effect<Datastore["Service"], StorageError | StoreError, DatastoreRequirements | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* Files
    const syncLevel = options.syncLevel ?? "filesystem"
    const layout = yield* StoreLayout.open(options.path)
    const makeLocks = yield* StoreLocks.Maker
    const locks = yield* makeLocks(layout)
    const makeWriters = yield* Writers.Maker
    const writers = yield* makeWriters(layout, locks, { flushesLate: syncLevel === "filesystem" })
    const doubts = yield* writers.doubts
    const moves = yield* MoveJournal.make(layout, locks)
    const hierarchy = yield* Hierarchy.make(layout, syncLevel === "file")
    const chunks = yield* ChunkStore.make(layout, { syncLevel, doubts })
    const presence = yield* ChunkPresence.make(layout)
    const snapshotFiles = yield* SnapshotFiles.make(layout, locks, syncLevel !== "none")

    const removeEmptyGroup = (namespace: Namespace, group: BackupGroups.BackupGroup) =>
      Effect.scoped(
        Effect.flatMap(locks.tryHold(groupLockName(namespace, group), "exclusive"), (held) =>
          held ? hierarchy.removeGroupIfEmpty(namespace, group) : Effect.succeed(false)
        )
      )

    const forget = (namespace: Namespace, snapshot: Snapshot.Snapshot) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* locks.hold(snapshotLockName(namespace, snapshot), "exclusive")
          const entry = yield* hierarchy.entry(namespace, snapshot)
          if (entry.protected) {
            return yield* storeError("Protected", Snapshot.format(snapshot), "this snapshot is protected")
          }
          yield* locks.holdSoon(SnapshotFiles.manifestLockName(namespace, snapshot), "exclusive")
          yield* hierarchy.removeSnapshot(namespace, snapshot)
          yield* removeEmptyGroup(namespace, snapshot.group)
        })
      )

    const holdAllSnapshots = (namespace: Namespace, group: BackupGroups.BackupGroup) =>
      Effect.flatMap(hierarchy.snapshots(namespace, group), (entries) =>
        Effect.forEach(
          entries,
          ({ snapshot }) => locks.hold(snapshotLockName(namespace, snapshot), "exclusive"),
          { discard: true }
        )
      )

    const moveGroup = (from: Namespace, group: BackupGroups.BackupGroup, to: Namespace) =>
      Effect.scoped(
        Effect.gen(function* () {
          const name = BackupGroups.format(group)
          if (from === to) return yield* storeError("Refused", name, "the group is in this namespace already")
          yield* locks.hold(groupLockName(from, group), "exclusive")
          yield* locks.hold(groupLockName(to, group), "exclusive")
          yield* holdAllSnapshots(from, group)
          yield* hierarchy.prepareGroup(to, group)
          yield* moves.record(Snapshot.groupPath(to, group), hierarchy.moveGroup(from, group, to))
        })
      )

    return Datastore.of({
      layout,
      chunks,
      presence,
      hierarchy,
      snapshotFiles,
      locks,
      writers,
      moves,
      flush: syncLevel === "filesystem" ? files.syncFileSystem(layout.base) : Effect.void,
      forget,
      moveGroup
    })
  })

export const layer = (
  options: DatastoreOptions
): Layer.Layer<Datastore, StorageError | StoreError, DatastoreRequirements> =>
  Layer.effect(Datastore, open(options))

/** Makes an empty datastore in a folder. */
export const create = StoreLayout.create
