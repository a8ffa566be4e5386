/**
 * R10: one object that cannot be deleted, one marker that is not true: they are counted, told, and hinder nothing else.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as Gc from "../../../../src/gc/Gc.ts"
import { ObjectStoreError } from "../../../../src/objectstore/ObjectStoreError.ts"
import { insertLoose } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { keyOfChunk, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import { storeName } from "../../harness/bucket/BucketView.ts"
import type { BucketWorld } from "../../harness/bucket/BucketWorld.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { digestOfText, pathOfChunk } from "../../harness/World.ts"

const loose = ["one", "two", "three"]

/** Another host has removed an object and replaced the generation; the marker of this one is stale. */
const start = prepareBucket({
  contents: [...loose, "stale"],
  setUp: { here: Effect.forEach([...loose, "stale"], insertLoose, { discard: true }) },
  damage: ({ bucket }) => {
    bucket.delete(keyOfChunk("stale"), 0)
    bucket.put(`${storeName}/.granary/generation`, Buffer.from("another"), 0)
  }
})

/** A batch fails when one of its keys does, and the others stay as well. */
const allOrNothing: Mutation = {
  objects: (objects) => ({
    ...objects,
    deleteMany: (keys) =>
      Effect.gen(function* () {
        for (const key of keys) {
          const report = yield* objects.deleteMany([key])
          const [failure] = report.failed
          if (failure !== undefined) {
            return yield* new ObjectStoreError({ operation: "deleteMany", key, reason: "Rejected" })
          }
        }
        return { deleted: keys, failed: [] }
      })
  })
}

const folderOf = (content: string): string => path.dirname(pathOfChunk(content))

const collected = (world: BucketWorld) =>
  Effect.flatMap(Gc.collect({ checksTimes: false }), ({ errors }) =>
    Effect.sync(() => {
      const left = loose.filter((content) => world.view.chunks.has(digestOfText(content)))
      if (world.disk().list(folderOf("stale"), 0).length > 0) world.fault = "a marker that is not true stays"
      if (left.length > errors.length)
        world.fault = `${left.length} chunks stayed, and ${errors.length} are told`
      if (left.length > 1) world.fault = `one key fails, and ${left.length} chunks stay`
    })
  )

const oneFails: Case = {
  name: "one of three objects cannot be deleted, and one marker is not true",
  isOpaque: true,
  make: bucketStage({
    start,
    faults: { kinds: ["failed deletion"], max: 1 },
    program: (world) => world.process("gc")(collected(world))
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 20,
  mutants: [
    {
      guard: "deleting the others when one key fails",
      mutation: allOrNothing,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 100
    }
  ]
}

export const R10: Row = { id: "R10", title: "one error does not stop a collection", cases: [oneFails] }
