/**
 * StoreLists: which namespaces, groups and finished snapshots there are. A list is asked for when somebody needs it,
 * and asked for again when it is some seconds old; see `KeptLists` for what becomes of it when nobody answers.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Datastore } from "../../datastore/Datastore.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Namespace from "../../model/Namespace.ts"
import type * as Snapshot from "../../model/Snapshot.ts"
import type { StorageError } from "../../store/StorageError.ts"
import type { StoreError } from "../../store/StoreError.ts"
import * as KeptLists from "./KeptLists.ts"
import { nameOf, type SnapshotPlace } from "./OpenSnapshots.ts"
import { patient } from "./patient.ts"
import { toVfsError } from "./toVfsError.ts"
import type { VfsError } from "../VfsError.ts"

export interface StoreLists {
  /** Those right below, sorted. */
  readonly namespaces: (
    around: Namespace.Namespace
  ) => Effect.Effect<ReadonlyArray<Namespace.Namespace>, VfsError>
  readonly groups: (
    namespace: Namespace.Namespace
  ) => Effect.Effect<ReadonlyArray<BackupGroup.BackupGroup>, VfsError>
  /** Finished ones only, oldest first. */
  readonly snapshots: (
    namespace: Namespace.Namespace,
    group: BackupGroup.BackupGroup
  ) => Effect.Effect<ReadonlyArray<Snapshot.Snapshot>, VfsError>
  /** Whether it is there and finished, as of now. */
  readonly isThere: (at: SnapshotPlace) => Effect.Effect<boolean, VfsError>
  /** The names of the files that are stored in it, as of now. */
  readonly files: (at: SnapshotPlace) => Effect.Effect<ReadonlyArray<string>, VfsError>
}

export interface StoreListsOptions {
  readonly datastore: Datastore["Service"]
  /** How long a list serves. */
  readonly validSeconds: number
  readonly waitSeconds: number
  /** The only group that is shown. */
  readonly only: BackupGroup.BackupGroup | undefined
}

const listsMax = 512

const separator = "\n"

export const make = (options: StoreListsOptions): Effect.Effect<StoreLists, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { datastore, only, validSeconds, waitSeconds } = options
    const { hierarchy } = datastore

    const told = <A>(subject: string, effect: Effect.Effect<A, StorageError | StoreError>) =>
      Effect.mapError(patient(waitSeconds)(effect), (error) => toVfsError(subject, error))

    const lists = <A>(find: (key: string) => Effect.Effect<A, VfsError>) =>
      KeptLists.make({ validSeconds, max: listsMax }, find)

    const namespaces = yield* lists((key) => {
      const around = Namespace.parse(key)
      return Effect.map(told(`namespace ${key}`, hierarchy.namespaces(around, 1)), (found) => found.slice(1))
    })

    const groups = yield* lists((key) => told(`namespace ${key}`, hierarchy.groups(Namespace.parse(key))))

    const snapshots = yield* lists((key) => {
      const [namespace = "", group = ""] = key.split(separator)
      const listed = hierarchy.finishedSnapshots(Namespace.parse(namespace), BackupGroup.parse(group))
      return Effect.map(told(group, listed), (found) => found.toReversed())
    })

    const entryOf = (at: SnapshotPlace) => told(nameOf(at), hierarchy.entry(at.namespace, at.snapshot))

    return {
      namespaces: (around) => namespaces(around),
      groups: (namespace) => (only === undefined ? groups(namespace) : Effect.succeed([only])),
      snapshots: (namespace, group) => snapshots(`${namespace}${separator}${BackupGroup.format(group)}`),
      isThere: (at) =>
        Effect.catchIf(
          Effect.map(entryOf(at), ({ finished }) => finished),
          ({ reason }: VfsError) => reason === "Gone",
          () => Effect.succeed(false)
        ),
      files: (at) => Effect.map(entryOf(at), ({ files }) => files)
    }
  })
