/**
 * R8 and R9: a marker says that the object exists, so only who knows it may make one: from an answer of the server, and
 * under the guard under which it was asked. A collection that makes markers for what it finds needed, or a reader that
 * puts what it fetched into the folder without a guard, lets the next backup count on what is not there.
 */
import * as Effect from "effect/Effect"
import { Datastore } from "../../../../src/datastore/Datastore.ts"
import { around } from "../../../../src/objectstore/decorators/ObjectRequest.ts"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import { backUp, collect, insertLoose } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { keyOfChunk, layMarker, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { digestOfText, pathOfChunk, timeBefore } from "../../harness/World.ts"
import { withoutGuards } from "../R02.ts"

/** A finished snapshot names a chunk that the bucket has lost; the folder does not know it either. */
const withLostChunk = prepareBucket({
  contents: ["lost"],
  setUp: { here: backUp(undefined, { time: timeBefore(0), contents: ["lost"] }) },
  damage: ({ bucket, disks }) => {
    bucket.delete(keyOfChunk("lost"), 0)
    disks["here"]?.unlink(pathOfChunk("lost"), 0)
  }
})

/** A collection that makes a marker for what is needed and has none, when it lists the chunks. */
const expectantMarkers: Mutation = {
  objects: (objects, { disk }) =>
    around(objects, ({ key, operation }, request) =>
      Effect.suspend(() => {
        if (operation === "list" && key.endsWith("/.chunks/")) layMarker(disk, "lost")
        return request
      })
    ),
  processes: ["gc"]
}

const expected: Case = {
  name: "a needed chunk is lost, and is stored again while garbage is collected",
  isOpaque: true,
  make: bucketStage({
    start: withLostChunk,
    excuses: (snapshot, digest, state) =>
      snapshot.startsWith("host/a/") && digest === digestOfText("lost") && state === "absent",
    program: (world) =>
      together(
        world.process("backup")(
          backUp(world, { time: timeBefore(1), contents: ["lost"], group: BackupGroup.make("host", "b") })
        ),
        world.process("gc")(collect())
      ),
    check: (world) =>
      world.view.chunks.get(digestOfText("lost")) === "good" ? undefined : "it was not stored"
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 30,
  mutants: [
    {
      guard: "making markers of what is known alone",
      mutation: expectantMarkers,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

const withUnknownObject = prepareBucket({
  contents: ["again"],
  setUp: { here: insertLoose("again") },
  damage: ({ disks }) => disks["here"]?.unlink(pathOfChunk("again"), 0)
})

/** Whoever comes too late finds nothing. */
const readChunk = Effect.flatMap(Datastore, ({ chunks }) =>
  Effect.catchTag(
    chunks.read({ digest: digestOfText("again"), sizeBytes: undefined, crypt: undefined }),
    "ChunkError",
    (error) => (error.reason === "Missing" ? Effect.void : Effect.fail(error))
  )
)

const fetched: Case = {
  name: "a chunk that the folder does not know is read while it is swept",
  isOpaque: true,
  make: bucketStage({
    start: withUnknownObject,
    program: (world) => together(world.process("reader")(readChunk), world.process("gc")(collect()))
  }),
  preemptions: { daily: 2, full: 4 },
  dailySeededRuns: 30,
  mutants: [
    {
      guard: "the guard from before a chunk is fetched until it is in the folder",
      mutation: { ...withoutGuards, processes: ["reader"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R08: Row = {
  id: "R8",
  title: "markers of what nobody knows (and R9)",
  cases: [expected, fetched]
}
