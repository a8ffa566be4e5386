/**
 * R20 for a sync: a file that an earlier run left on the target is taken, and is gone when the manifest is about to be
 * written: a manifest that names what was never stored must not come into being. (Names that lead elsewhere:
 * `property-tests/sync/names.test.ts`.)
 */
import * as Effect from "effect/Effect"
import * as ArchiveName from "../../../../src/model/ArchiveName.ts"
import * as Namespace from "../../../../src/model/Namespace.ts"
import * as Snapshot from "../../../../src/model/Snapshot.ts"
import type { SyncSource } from "../../../../src/sync/SyncSource.ts"
import type { MemoryDisk } from "../../../../src/testing.ts"
import { fileArchive, snapshotAt } from "../../harness/actors.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import { noCalls } from "../../harness/points.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { timeBefore } from "../../harness/World.ts"
import { endWith } from "../../harness/sync/syncActors.ts"
import { syncStage } from "../../harness/sync/syncStage.ts"
import { lacking, type SyncWorld } from "../../harness/sync/SyncWorld.ts"

const contents = ["base", "new"]
const snapshots = [{ number: 0, contents }]
const folder = `/store/${Snapshot.toPath(Namespace.root, snapshotAt(timeBefore(0)))}`
const points = { source: noCalls, target: noCalls }

/** When everything else is there: the log comes right before the manifest. */
const removing =
  ({ target }: SyncWorld) =>
  (source: SyncSource["Service"]): SyncSource["Service"] => ({
    ...source,
    openSnapshot: (namespace, snapshot) =>
      Effect.map(source.openSnapshot(namespace, snapshot), (opened) => ({
        ...opened,
        clientLog: Effect.andThen(
          Effect.sync(() => {
            target.disk.unlink(`${folder}/${fileArchive.file}`, 0)
            target.changed()
          }),
          opened.clientLog
        )
      }))
  })

/** As if every file that is named were there. */
const unprovenFiles: Mutation = {
  datastore: (store) => ({
    ...store,
    snapshotFiles: {
      ...store.snapshotFiles,
      stored: (namespace, snapshot) =>
        Effect.map(
          store.snapshotFiles.stored(namespace, snapshot),
          (stored) => new Set([...stored, fileArchive.file])
        )
    }
  })
}

const unfinished = (disk: MemoryDisk): void => disk.unlink(`${folder}/${ArchiveName.manifestFile}`, 0)

const ghost: Case = {
  name: "an index that an earlier run left vanishes after a sync has taken it",
  make: syncStage({
    disks: {
      source: endWith({ contents, snapshots }),
      target: endWith({ contents, snapshots, damage: unfinished })
    },
    points,
    program: (world) =>
      Effect.andThen(
        world.sync("sync", { around: removing(world), mayFail: ["Refused"] }),
        world.sync("again")
      ),
    check: lacking
  }),
  preemptions: { daily: 0, full: 0 },
  dailySeededRuns: 2,
  mutants: [
    {
      guard: "proving every file before the manifest is written",
      mutation: unprovenFiles,
      by: { strategy: "exhaustive", preemptions: 0 },
      maxRuns: 1
    }
  ]
}

export const R20: Row = { id: "R20", title: "a sync finishes what is there", cases: [ghost] }
