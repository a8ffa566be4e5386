/**
 * R25: what is protected on the target stays protected, and stays: a snapshot that is copied once more keeps its mark,
 * and one that vanished from the source is kept from the moment on at which somebody has protected it.
 */
import * as Effect from "effect/Effect"
import * as ArchiveName from "../../../../src/model/ArchiveName.ts"
import { snapshotAt } from "../../harness/actors.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import { callsOn, noCalls } from "../../harness/points.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { timeBefore } from "../../harness/World.ts"
import { endWith, isProtected, marked, protect } from "../../harness/sync/syncActors.ts"
import { syncStage } from "../../harness/sync/syncStage.ts"
import { lacking } from "../../harness/sync/SyncWorld.ts"

const contents = ["base", "new"]
const [old, newer] = [
  { number: 0, contents: ["base"] },
  { number: 1, contents }
]
const first = snapshotAt(timeBefore(0))
const points = { source: noCalls, target: callsOn("host/a") }

/** A cleanup that knows only what the manifest names: it takes the mark as well. */
const thorough: Mutation = {
  datastore: (store) => {
    const { hierarchy, snapshotFiles } = store
    return {
      ...store,
      snapshotFiles: {
        ...snapshotFiles,
        write: (namespace, snapshot, fileName, content) =>
          Effect.andThen(
            fileName === ArchiveName.manifestFile
              ? hierarchy.setProtected(namespace, snapshot, false)
              : Effect.void,
            snapshotFiles.write(namespace, snapshot, fileName, content)
          )
      }
    }
  }
}

const again: Case = {
  name: "a protected snapshot that failed its verification is copied once more",
  make: syncStage({
    disks: {
      source: endWith({ contents, snapshots: [old, newer] }),
      target: endWith({ contents, snapshots: [old, newer], more: marked(first, "failed") })
    },
    points,
    program: (world) =>
      Effect.andThen(
        world.target.process("protect")(protect(world.target, first)),
        world.sync("sync", { options: { resyncCorrupt: true } })
      ),
    check: (world) =>
      isProtected(world.target, first) ? lacking(world) : "the snapshot is not protected any more"
  }),
  preemptions: { daily: 0, full: 0 },
  dailySeededRuns: 2,
  mutants: [
    {
      guard: "leaving everything but archives alone",
      mutation: { ...thorough, processes: ["sync"] },
      by: { strategy: "exhaustive", preemptions: 0 },
      maxRuns: 1
    }
  ]
}

/** What was listed counts. */
const hasty: Mutation = {
  datastore: (store) => ({
    ...store,
    forget: (namespace, snapshot) => store.hierarchy.removeSnapshot(namespace, snapshot)
  })
}

const meanwhile: Case = {
  name: "a snapshot is protected while a sync removes it, for it vanished",
  make: syncStage({
    disks: {
      source: endWith({ contents, snapshots: [newer] }),
      target: endWith({ contents, snapshots: [old, newer] })
    },
    removes: true,
    points,
    program: (world) =>
      together(
        world.sync("sync", { options: { removeVanished: true } }),
        world.target.process("protect")(protect(world.target, first))
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 10,
  mutants: [
    {
      guard: "looking at the protection under the snapshot's lock",
      mutation: { ...hasty, processes: ["sync"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 500
    }
  ]
}

export const R25: Row = { id: "R25", title: "what is protected on the target", cases: [again, meanwhile] }
