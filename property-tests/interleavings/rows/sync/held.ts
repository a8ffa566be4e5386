/**
 * What a sync holds: the group and the snapshot of the target that it works on. Others remove, protect and copy there
 * at the same time, and on the source too.
 */
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import { collect, forget, group, prune, snapshotAt, yielding } from "../../harness/actors.ts"
import { callsOn, callsOnHosts, noCalls } from "../../harness/points.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { timeBefore } from "../../harness/World.ts"
import { endWith } from "../../harness/sync/syncActors.ts"
import { withoutLocks } from "../../harness/sync/syncMutations.ts"
import { syncStage } from "../../harness/sync/syncStage.ts"
import { lacking } from "../../harness/sync/SyncWorld.ts"

const contents = ["base", "new", "newer"]
const [old, middle, last] = [
  { number: 0, contents: ["base"] },
  { number: 1, contents: ["base", "new"] },
  { number: 2, contents: ["base", "newer"] }
]
const source = endWith({ contents, snapshots: [old, middle] })
const [first, second] = [snapshotAt(timeBefore(0)), snapshotAt(timeBefore(1))]
const onFiles = callsOn("host/a")

const copied: Case = {
  name: "a snapshot is forgotten on the target while a sync copies it",
  make: syncStage({
    disks: { source, target: endWith({ contents, snapshots: [old] }) },
    points: { source: noCalls, target: onFiles },
    program: (world) =>
      together(world.sync("sync"), world.target.process("forget")(yielding(forget(world.target, second))))
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 10,
  mutants: [
    {
      guard: "holding the snapshot of the target",
      mutation: withoutLocks("sync", "snapshot"),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 500
    }
  ]
}

const emptied: Case = {
  name: "the group of the target loses its only snapshot while a sync copies into it",
  make: syncStage({
    disks: { source, target: endWith({ contents, snapshots: [old] }) },
    points: { source: noCalls, target: onFiles },
    program: (world) =>
      together(world.sync("sync"), world.target.process("forget")(yielding(forget(world.target, first))))
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 10,
  mutants: [
    {
      guard: "holding the group of the target",
      mutation: withoutLocks("sync", "group"),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 500
    }
  ]
}

const twice: Case = {
  name: "two syncs copy into one target at once",
  make: syncStage({
    disks: { source, target: endWith({ contents, snapshots: [] }) },
    points: { source: noCalls, target: callsOnHosts },
    program: (world) => together(world.sync("one"), world.sync("two")),
    // One of the two has the group, or had it.
    check: lacking
  }),
  preemptions: { daily: 0, full: 2 },
  dailySeededRuns: 40,
  mutants: []
}

/** The newest is forgotten, the older one pruned, and what nobody names any more goes, while a sync reads. */
const vanishing: Case = {
  name: "snapshots vanish from the source, with their chunks, while a sync copies them",
  make: syncStage({
    disks: {
      source: endWith({ contents, snapshots: [old, middle, last] }),
      target: endWith({ contents, snapshots: [] })
    },
    points: { source: callsOnHosts, target: noCalls },
    program: (world) =>
      together(
        world.sync("sync", { mayFail: ["Busy"] }),
        world.source.process("remover")(
          together(yielding(world.forgetAtSource(second)), prune(world.source))
        ),
        world.source.process("gc")(collect())
      )
  }),
  preemptions: { daily: 0, full: 2 },
  dailySeededRuns: 40,
  mutants: []
}

const elsewhere = BackupGroup.make("host", "b")

/** Beside a sync that removes what vanished, somebody prunes, and somebody collects garbage. */
const pruned: Case = {
  name: "the target is pruned and collected while a sync copies and removes",
  make: syncStage({
    disks: {
      source: endWith({ contents, snapshots: [middle, last] }),
      target: endWith({ contents, snapshots: [old, middle, { ...old, group: elsewhere }] })
    },
    removes: true,
    points: { source: noCalls, target: callsOnHosts },
    program: (world) =>
      together(
        world.sync("sync", { options: { removeVanished: true } }),
        world.target.process("prune")(prune(world.target, group)),
        world.target.process("gc")(collect())
      )
  }),
  preemptions: { daily: 0, full: 2 },
  dailySeededRuns: 40,
  mutants: []
}

export const held: Row = {
  id: "sync",
  title: "what a sync holds, and what others do beside it",
  cases: [copied, emptied, twice, vanishing, pruned]
}
