/**
 * R6 in a bucket: a corrupt object is set aside, but the folder still says that it exists, and so nobody stores it again.
 * The name in the folder goes first, under the same guard.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import { backUp, condemn, unlessMissing, verify } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { keyOfChunk, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { BucketWorld } from "../../harness/bucket/BucketWorld.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { digestOfText, pathOfChunk, timeBefore } from "../../harness/World.ts"
import { untoldCondemning } from "./R29Mutations.ts"

const contents = ["base", "new"]

const again = (world: BucketWorld, number: number) => backUp(world, { time: timeBefore(number), contents })

/** Condemned chunks keep their names in the folder. */
const keptNames: Mutation = {
  files: (files) => ({
    ...files,
    rename: (from, to) => (to.endsWith(".bad") ? Effect.void : files.rename(from, to))
  }),
  processes: ["verify"]
}

const condemned: Case = {
  name: "a known chunk is condemned while a backup builds on it",
  isOpaque: true,
  make: bucketStage({
    start: prepareBucket({
      contents,
      setUp: { here: backUp(undefined, { time: timeBefore(0), contents: ["base"] }) },
      damage: ({ bucket, disks }) => {
        bucket.put(keyOfChunk("base"), Buffer.from("no chunk at all"), timeBefore(0) * 1000)
        disks["here"]?.put(pathOfChunk("base"), new Uint8Array(0))
      }
    }),
    // As damaged as it was, until somebody notices.
    excuses: (_snapshot, digest, state) => digest === digestOfText("base") && state === "wrong",
    program: (world) =>
      Effect.gen(function* () {
        yield* together(
          world.process("backup")(unlessMissing(again(world, 1))),
          world.process("verify")(verify())
        )
        // A backup that meets the gap reports the snapshot that it would build on; the next one is whole.
        yield* world.process("backup")(Effect.andThen(unlessMissing(again(world, 2)), again(world, 3)))
        if (world.view.chunks.get(digestOfText("base")) !== "good")
          world.fault = "the chunk was not stored anew"
      })
  }),
  preemptions: { daily: 1, full: 2 },
  dailySeededRuns: 20,
  mutants: [
    {
      guard: "taking the name away from the folder",
      mutation: keptNames,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    },
    {
      guard: "proving known chunks",
      mutation: { knownChunks: "off" },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

/** Another host has the chunk in its folder. */
const knownElsewhere: Case = {
  name: "a chunk is condemned, at whichever step that dies, and then another host that knows it stores it",
  isOpaque: true,
  make: bucketStage({
    start: prepareBucket({
      contents,
      hosts: ["here", "there"],
      setUp: {
        here: backUp(undefined, { time: timeBefore(0), contents: ["base"] }),
        there: backUp(undefined, {
          time: timeBefore(1),
          contents: ["base"],
          group: BackupGroup.make("host", "c")
        })
      },
      damage: ({ bucket, disks }) => {
        bucket.put(keyOfChunk("base"), Buffer.from("no chunk at all"), timeBefore(0) * 1000)
        disks["here"]?.put(pathOfChunk("base"), new Uint8Array(0))
      }
    }),
    excuses: (_snapshot, digest, state) => digest === digestOfText("base") && state === "wrong",
    program: (world) =>
      Effect.andThen(
        world.process("verify")(condemn("base")),
        world.process("backup", { host: "there" })(
          backUp(world, { time: timeBefore(3), contents: ["base"], group: BackupGroup.make("host", "b") })
        )
      )
  }),
  preemptions: { daily: 0, full: 0 },
  dailySeededRuns: 0,
  crashes: { kinds: ["kill"], preemptions: { daily: 0, full: 0 } },
  mutants: [
    {
      guard: "telling other hosts that chunks are set aside",
      mutation: untoldCondemning,
      by: { strategy: "exhaustive", preemptions: 0 },
      maxRuns: 10
    }
  ]
}

export const R06: Row = {
  id: "R6",
  title: "a condemned object is still believed to be there",
  cases: [condemned, knownElsewhere]
}
