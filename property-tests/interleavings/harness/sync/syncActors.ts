/** syncActors: what else is done on either end of a sync, and how the ends of scenarios are made. */
import * as Effect from "effect/Effect"

import { Datastore, snapshotLockName } from "../../../../src/datastore/Datastore.ts"
import type * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import * as ManifestNotes from "../../../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../../../src/model/ArchiveName.ts"
import * as Namespace from "../../../../src/model/Namespace.ts"
import * as Snapshot from "../../../../src/model/Snapshot.ts"
import type { MemoryDisk } from "../../../../src/testing.ts"
import { backUp, yielding } from "../actors.ts"
import { type BucketSetUp, prepareBucket } from "../bucket/bucketStart.ts"
import { prepare, type StoreEffect, timeBefore, type World } from "../World.ts"

export interface SnapshotInput {
  readonly number: number
  readonly contents: ReadonlyArray<string>
  readonly group?: BackupGroup.BackupGroup
  readonly namespace?: Namespace.Namespace
}

export interface EndInput {
  /** Contents of all chunks that the scenario ever stores. */
  readonly contents: ReadonlyArray<string>
  readonly namespaces?: ReadonlyArray<string>
  readonly snapshots: ReadonlyArray<SnapshotInput>
  readonly more?: StoreEffect
  readonly damage?: (disk: MemoryDisk) => void
}

const backUps = (snapshots: ReadonlyArray<SnapshotInput>) =>
  Effect.forEach(snapshots, ({ number, ...rest }) =>
    backUp(undefined, { ...rest, time: timeBefore(number), reusePrevious: false })
  )

/** A disk with these snapshots: the same input gives the same snapshot, byte for byte, on any end. */
export const endWith = ({ contents, damage, more = Effect.void, namespaces = [], snapshots }: EndInput) =>
  prepare({
    contents,
    namespaces,
    setUp: Effect.andThen(backUps(snapshots), more),
    ...(damage === undefined ? {} : { damage })
  })

/** The same in a bucket, with its cache folder. */
export const bucketEndWith = ({
  more = Effect.void,
  snapshots,
  ...rest
}: Omit<EndInput, "damage"> & Pick<BucketSetUp, "damage">) =>
  prepareBucket({ ...rest, setUp: { here: Effect.andThen(backUps(snapshots), more) } })

/** Protects a snapshot as the command does; from then on it has to stay. */
export const protect = (
  world: Pick<World, "givenUp">,
  snapshot: Snapshot.Snapshot,
  namespace = Namespace.root
) =>
  yielding(
    Effect.scoped(
      Effect.gen(function* () {
        const { hierarchy, locks } = yield* Datastore
        yield* hierarchy.entry(namespace, snapshot)
        yield* locks.holdSoon(snapshotLockName(namespace, snapshot), "shared")
        yield* hierarchy.entry(namespace, snapshot)
        yield* hierarchy.setProtected(namespace, snapshot, true)
        world.givenUp.delete(Snapshot.format(snapshot))
      })
    )
  )

/** Marks a snapshot as its last verification found it. */
export const marked = (snapshot: Snapshot.Snapshot, state: "ok" | "failed") =>
  Effect.flatMap(Datastore, ({ snapshotFiles }) =>
    snapshotFiles.updateManifest(Namespace.root, snapshot, (manifest) =>
      ManifestNotes.withVerifyState(manifest, { state, upid: "UPID:x" })
    )
  )

/** Whether a snapshot of the root namespace is protected, by the disk alone. */
export const isProtected = ({ disk }: World, { directory, group }: Snapshot.Snapshot): boolean =>
  disk
    .list(`/store/${group.type}/${group.id}/${directory}`, 0)
    .some(([name]) => name === ArchiveName.protectedFile)
