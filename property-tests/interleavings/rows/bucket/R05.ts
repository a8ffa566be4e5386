/**
 * R5: one digest is uploaded twice at once, by two hosts that share no guard, or by two processes of one host; and the
 * conditional PUT is answered by 412, by 409, or not at all. 412 is looked into, 409 and silence are answered by an
 * unconditional PUT, and nobody counts on an upload that has not been acknowledged.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import { backUp, type BackupInput } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { keyOfChunk, layMarker, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { BucketWorld } from "../../harness/bucket/BucketWorld.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Mutant, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { timeBefore } from "../../harness/World.ts"

const start = prepareBucket({ contents: ["same"], hosts: ["here", "there"], setUp: {} })

const other = BackupGroup.make("host", "b")

/** What is told as stored although nobody knows. */
const believing = (reasons: ReadonlyArray<string>): Mutation => ({
  objects: (objects) => ({
    ...objects,
    putIfAbsent: (key, body) =>
      objects.putIfAbsent(key, body).pipe(
        Effect.catchIf(
          ({ reason }) => key.includes("/.chunks/") && reasons.includes(reason),
          () => Effect.succeed({ outcome: "created", etag: "" } as const)
        )
      )
  })
})

/** The marker is made before the chunk is uploaded. */
const markerFirst: Mutation = {
  objects: (objects, { disk }) => ({
    ...objects,
    putIfAbsent: (key, body) =>
      Effect.suspend(() => {
        if (key === keyOfChunk("same")) layMarker(disk, "same")
        return objects.putIfAbsent(key, body)
      })
  })
}

/** A request that is no upload may fail, and the backup with it; it counts on nothing then. */
const backUpIfReached = (world: BucketWorld, input: BackupInput) =>
  Effect.catchTag(backUp(world, input), "ObjectStoreError", (error) =>
    error.operation === "putIfAbsent" ? Effect.fail(error) : Effect.succeed(undefined)
  )

const twice = (name: string, second: string, mutants: ReadonlyArray<Mutant>): Case => ({
  name,
  isOpaque: true,
  make: bucketStage({
    start,
    faults: { kinds: ["conflict", "lost request", "lost answer"], max: 1 },
    requests: (_operation, key) => key.includes("/.chunks/"),
    program: (world) =>
      together(
        world.process("first")(backUpIfReached(world, { time: timeBefore(1), contents: ["same"] })),
        world.process("second", { host: second })(
          backUpIfReached(world, { time: timeBefore(2), contents: ["same"], group: other })
        )
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 30,
  mutants
})

export const R05: Row = {
  id: "R5",
  title: "one digest is uploaded twice at once, and answers go wrong",
  cases: [
    twice("two hosts upload one chunk", "there", [
      {
        guard: "writing again after a conflict",
        mutation: believing(["Conflict"]),
        by: { strategy: "exhaustive", preemptions: 1 },
        maxRuns: 1000
      },
      {
        guard: "writing again when the connection broke",
        mutation: believing(["Disconnected"]),
        by: { strategy: "exhaustive", preemptions: 1 },
        maxRuns: 1000
      }
    ]),
    twice("two processes of one host upload one chunk", "here", [
      {
        guard: "making the marker when the server has answered",
        mutation: { ...markerFirst, processes: ["first"] },
        by: { strategy: "exhaustive", preemptions: 1 },
        maxRuns: 1000
      }
    ])
  ]
}
