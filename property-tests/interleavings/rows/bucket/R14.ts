/**
 * R14 in a bucket: a reader looks a chunk up in the cache folder, an eviction makes a marker of it, and the reader finds
 * an empty file. That means that it has to be fetched, and is never an error.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import { ObjectStoreError } from "../../../../src/objectstore/ObjectStoreError.ts"
import { backUp, restore, snapshotAt } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { timeBefore } from "../../harness/World.ts"

const [cached, added] = ["a".repeat(200), "b".repeat(200)] as [string, string]

/** A little more than one of the chunks. */
const maxCacheBytes = 300

/** What the cache held when it was looked up is never fetched. */
const withoutFetching: Mutation = {
  objects: (objects) => ({
    ...objects,
    get: (key, maxSizeBytes) =>
      key.includes("/.chunks/")
        ? Effect.fail(new ObjectStoreError({ operation: "get", key, reason: "Rejected" }))
        : objects.get(key, maxSizeBytes)
  }),
  processes: ["reader"]
}

const evicted: Case = {
  name: "a snapshot is restored from the cache while its chunk is evicted",
  isOpaque: true,
  make: bucketStage({
    start: prepareBucket({
      contents: [cached, added],
      setUp: { here: backUp(undefined, { time: timeBefore(0), contents: [cached] }) }
    }),
    program: (world) =>
      together(
        world.process("reader")(restore(snapshotAt(timeBefore(0)), cached)),
        world.process("writer", { maxCacheBytes })(
          backUp(world, { time: timeBefore(1), contents: [added], group: BackupGroup.make("host", "b") })
        )
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 30,
  mutants: [
    {
      guard: "fetching what the cache does not hold any more",
      mutation: withoutFetching,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R14: Row = { id: "R14", title: "a reader against eviction", cases: [evicted] }
