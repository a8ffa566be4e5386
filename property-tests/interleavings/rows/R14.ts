/**
 * R14: a reader looks something up, it goes, and the reader finds an empty file or none. In a local store no chunk goes
 * from under a reader, because the snapshot that it reads is locked; and an empty chunk file counts as none: a backup
 * that knows such a chunk fails and reports the snapshot, and the next one stores it anew.
 */
import * as Effect from "effect/Effect"
import type { Datastore } from "../../../src/datastore/Datastore.ts"
import * as Digest from "../../../src/model/Digest.ts"
import * as StoreLocks from "../../../src/store/StoreLocks.ts"
import {
  backUp,
  collect,
  forget,
  plainArchive,
  readMounted,
  restore,
  snapshotAt,
  unlessMissing,
  yielding
} from "../harness/actors.ts"
import type { Mutation } from "../harness/Mutation.ts"
import { callsOnHosts } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { digestOfText, pathOfChunk, prepare, timeBefore } from "../harness/World.ts"

/** Locks on groups, snapshots and manifests that everybody gets. */
export const withoutLocks: Mutation = {
  around: (work) =>
    Effect.provideService(work, StoreLocks.Maker, (layout) =>
      Effect.map(StoreLocks.make(layout), (locks) =>
        StoreLocks.StoreLocks.of({
          ...locks,
          hold: () => Effect.void,
          tryHold: () => Effect.succeed(true),
          holdSoon: () => Effect.void
        })
      )
    )
}

const snapshot = snapshotAt(timeBefore(0))

const readWhileForgotten: Case = {
  name: "a snapshot is restored while somebody forgets it and collects garbage",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents: ["one", "two"],
      setUp: backUp(undefined, { time: timeBefore(0), contents: ["one", "two"] })
    }),
    program: (world) =>
      together(
        world.process("reader")(yielding(restore(snapshot, "onetwo"))),
        world.process("gc")(Effect.andThen(yielding(forget(world, snapshot)), collect()))
      )
  }),
  preemptions: { daily: 2, full: 3 },
  dailySeededRuns: 100,
  mutants: [
    {
      guard: "the reader's lock on the snapshot",
      mutation: { ...withoutLocks, processes: ["reader"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

const mountedWhileForgotten: Case = {
  name: "a mounted file is read while somebody forgets its snapshot and collects garbage",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents: ["one", "two"],
      setUp: backUp(undefined, { time: timeBefore(0), contents: ["one", "two"], archive: plainArchive })
    }),
    program: (world) =>
      together(
        world.process("mount")(readMounted(snapshot, "onetwo")),
        world.process("gc")(Effect.andThen(yielding(forget(world, snapshot)), collect()))
      )
  }),
  preemptions: { daily: 2, full: 3 },
  dailySeededRuns: 100,
  mutants: [
    {
      guard: "the mount's lock on the snapshot",
      mutation: { ...withoutLocks, processes: ["mount"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

/** Those that have no file at all; an empty one will do. */
const findWithoutName = (store: Datastore["Service"]) => (digests: Uint8Array) =>
  Effect.gen(function* () {
    const absent: Array<number> = []
    for (let number = 0; number < digests.length / Digest.lengthBytes; number++) {
      const digest = Digest.fromBytes(digests, number * Digest.lengthBytes)
      if (!(yield* Effect.isSuccess(store.chunks.stat(digest)))) absent.push(number)
    }
    return absent
  })

const emptiedBase: Case = {
  name: "the previous snapshot names a chunk whose file is empty",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents: ["one", "two"],
      setUp: backUp(undefined, { time: timeBefore(0), contents: ["one"] }),
      damage: (disk) => disk.put(pathOfChunk("one"), new Uint8Array(0))
    }),
    excuses: (path, digest, state) =>
      path.endsWith(snapshot.directory) && digest === digestOfText("one") && state === "empty",
    program: (world) =>
      Effect.gen(function* () {
        yield* together(
          world.process("backup")(
            unlessMissing(backUp(world, { time: timeBefore(1), contents: ["one", "two"] }))
          ),
          world.process("gc")(collect())
        )
        yield* world.process("backup")(backUp(world, { time: timeBefore(2), contents: ["one", "two"] }))
      })
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 100,
  mutants: [
    {
      guard: "taking an empty chunk file for none",
      mutation: {
        datastore: (store) => ({ ...store, presence: { findAbsent: findWithoutName(store) } })
      },
      by: { strategy: "exhaustive", preemptions: 0 },
      maxRuns: 1000
    }
  ]
}

export const R14: Row = {
  id: "R14",
  title: "a reader meets an empty file or none",
  cases: [readWhileForgotten, mountedWhileForgotten, emptiedBase]
}
