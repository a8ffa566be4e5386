/**
 * R29 in a bucket: a process is killed, or the power goes, at any step of a backup, of forgetting, collecting, and of a
 * verification that condemns. What is in the bucket then must be as good as before, the folder must not say what is not
 * so, whoever comes next must be able to do the same again, and nothing of what died may stay for ever.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import * as actors from "../../harness/actors.ts"
import { bucketAftermath, type BucketTrial } from "../../harness/bucket/bucketAftermath.ts"
import { keyOfChunk, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { BucketWorld } from "../../harness/bucket/BucketWorld.ts"
import { deathInBucket } from "../../harness/death.ts"
import { type Case, isFull, type Row } from "../../harness/Row.ts"
import * as worlds from "../../harness/World.ts"
import { unflushed } from "../R29Mutations.ts"
import { indexesLast, knowingTheFolderAlone, manifestsGoLast, namesGoLast } from "./R29Mutations.ts"

const start = prepareBucket({
  contents: ["base", "old", "new", "loose"],
  setUp: {
    here: Effect.gen(function* () {
      yield* actors.backUp(undefined, { time: worlds.timeBefore(0), contents: ["base", "old"] })
      yield* actors.backUp(undefined, { time: worlds.timeBefore(1), contents: ["base"] })
      yield* actors.insertLoose("loose")
    })
  }
})

/** The object of a needed chunk is corrupt, and the folder has a marker of it. */
const damaged = prepareBucket({
  contents: ["base", "old", "new"],
  setUp: { here: actors.backUp(undefined, { time: worlds.timeBefore(0), contents: ["base", "old"] }) },
  damage: ({ bucket, disks }) => {
    bucket.put(keyOfChunk("old"), Buffer.from("no chunk at all"), worlds.timeBefore(0) * 1000)
    disks["here"]?.put(worlds.pathOfChunk("old"), new Uint8Array(0))
  }
})

const seconds = worlds.startMillis / 1000
const minuteLater = seconds + 60
const otherGroup = BackupGroup.make("host", "b")

const backUp = (of: BackupGroup.BackupGroup, time: number) => (world: BucketWorld) =>
  actors.backUp(world, { time, contents: ["base", "new", "loose"], group: of })

const backup: BucketTrial = {
  start,
  operation: backUp(otherGroup, seconds),
  again: backUp(otherGroup, minuteLater)
}
const incremental: BucketTrial = {
  start,
  operation: backUp(actors.group, seconds),
  again: backUp(actors.group, minuteLater)
}
const newest = actors.snapshotAt(worlds.timeBefore(1))
const forget: BucketTrial = {
  start,
  operation: (world) => actors.forget(world, newest),
  again: (world) => actors.yielding(actors.forget(world, newest))
}
const collect: BucketTrial = {
  start,
  operation: () => actors.collect(),
  /** And the next backup must not count on what the dead has removed. */
  again: (world) =>
    Effect.andThen(
      actors.backUp(world, { time: minuteLater, contents: ["loose"], group: otherGroup }),
      actors.collect()
    )
}
const condemn: BucketTrial = {
  start: damaged,
  operation: () => actors.condemn("old"),
  excuses: (_snapshot, digest) => digest === worlds.digestOfText("old"),
  again: (world) =>
    Effect.andThen(
      actors.condemn("old"),
      actors.backUp(world, { time: minuteLater, contents: ["old"], group: otherGroup })
    ),
  finally: (world) =>
    world.view.chunks.get(worlds.digestOfText("old")) === "good" ? undefined : "the chunk was not stored anew"
}

const dying = deathInBucket(bucketAftermath)

/** A power loss that takes some of what was not flushed: one seed says what; in the full range there are many. */
const partly = (name: string, trial: BucketTrial): ReadonlyArray<Case> => {
  const seeds = isFull ? Array.from({ length: 30 }, (_, index) => index + 1) : [27]
  return seeds.map((seed) => dying(`${name} (loss ${seed})`, { ...trial, loss: { seed } }, "crash"))
}

export const R29: Row = {
  id: "R29",
  title: "death at any step of work in a bucket",
  cases: [
    dying("a backup", backup, "kill", { "a manifest after what it names": indexesLast }),
    dying("a backup", backup, "crash", {
      "asking the server about chunks that the folder does not know": knowingTheFolderAlone,
      "flushing the index in the folder": unflushed(".didx")
    }),
    dying("an incremental backup", incremental, "kill"),
    ...partly("an incremental backup", incremental),
    dying("forget", forget, "kill", { "removing the manifest first": manifestsGoLast }),
    dying("forget", forget, "crash"),
    dying("garbage collection", collect, "kill", {
      "taking the marker away before the object": actors.withoutRules({ forgetsBeforeDeleting: false })
    }),
    dying("garbage collection", collect, "crash", {
      "a folder that says under which start of the machine it removes": actors.withoutRules({
        replacesGeneration: false
      })
    }),
    dying("condemning a chunk", condemn, "kill", {
      "taking the name away before the object, and telling the markers": namesGoLast
    }),
    ...partly("garbage collection", collect),
    dying("condemning a chunk", condemn, "crash"),
    ...partly("condemning a chunk", condemn)
  ]
}
