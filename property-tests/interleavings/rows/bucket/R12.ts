/**
 * R12: a good chunk is condemned because it could not be read. Only its content, or the server's own 404, says anything
 * of a chunk: a connection that breaks, an answer that ends too early, a server that is too busy say nothing.
 */
import * as Effect from "effect/Effect"
import type { ObjectStore } from "../../../../src/objectstore/ObjectStore.ts"
import { ObjectStoreError } from "../../../../src/objectstore/ObjectStoreError.ts"
import { backUp, verify } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import { namesInFolder } from "../../harness/bucket/BucketView.ts"
import type { BucketWorld } from "../../harness/bucket/BucketWorld.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { pathOfChunk, timeBefore } from "../../harness/World.ts"
import { knowingTheFolderAlone } from "./R29Mutations.ts"

const contents = ["one", "two"]

/** The folder has the content of one chunk, and of the other a marker. */
const start = prepareBucket({
  contents,
  setUp: { here: backUp(undefined, { time: timeBefore(0), contents }) },
  damage: ({ disks }) => disks["here"]?.put(pathOfChunk("two"), new Uint8Array(0))
})

/** Reads that fail for that reason are answered in another way. */
const answering =
  (reason: string, answer: (whole: Effect.Effect<Uint8Array, ObjectStoreError>) => typeof whole) =>
  (objects: ObjectStore["Service"]): ObjectStore["Service"] => ({
    ...objects,
    get: (key, maxSizeBytes) =>
      Effect.catchIf(
        objects.get(key, maxSizeBytes),
        (error) => error.reason === reason && key.includes("/.chunks/"),
        () => answer(objects.get(key, maxSizeBytes))
      )
  })

/** What had come until the connection broke counts as the object. */
const partsAsWhole: Mutation = {
  objects: answering("Truncated", (whole) => Effect.map(whole, (body) => body.subarray(0, body.length - 1)))
}

/** A connection that broke counts as a 404. */
const troubleAsAbsence: Mutation = {
  objects: answering("Disconnected", () =>
    Effect.fail(new ObjectStoreError({ operation: "get", key: "", reason: "NotFound", httpStatus: 404 }))
  )
}

/** The same for those who only look. */
const silenceAsAbsence: Mutation = {
  objects: (objects) => ({
    ...objects,
    head: (key) =>
      Effect.mapError(objects.head(key), (error) =>
        error.reason === "NotFound"
          ? error
          : new ObjectStoreError({ operation: "head", key, reason: "NotFound", httpStatus: 404 })
      )
  })
}

const wrongWord = (world: BucketWorld): string | undefined => {
  const { bad, snapshots } = world.view
  if (bad.size > 0) return "a good chunk was condemned"
  if (snapshots.some(({ isReported }) => isReported)) return "a good snapshot was reported"
  return namesInFolder(world.disk()).some((name) => name.endsWith(".bad"))
    ? "a good copy was set aside"
    : undefined
}

const troubled: Case = {
  name: "good chunks are verified, and the server or the way to it has trouble",
  isOpaque: true,
  make: bucketStage({
    start,
    faults: { kinds: ["lost request", "lost answer", "throttled", "unavailable", "truncated"], max: 2 },
    program: (world) => world.process("verify")(verify()),
    invariant: wrongWord
  }),
  preemptions: { daily: 2, full: 4 },
  dailySeededRuns: 40,
  mutants: [
    {
      guard: "failing when not all of an object has come",
      mutation: partsAsWhole,
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 1000
    },
    {
      guard: "telling trouble on the way from a 404",
      mutation: troubleAsAbsence,
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 1000
    }
  ]
}

/** A snapshot that another host has made, or whose markers a power loss has taken. */
const withoutMarkers = prepareBucket({
  contents: [...contents, "new"],
  setUp: { here: backUp(undefined, { time: timeBefore(0), contents }) },
  damage: ({ disks }) => contents.forEach((content) => disks["here"]?.unlink(pathOfChunk(content), 0))
})

const unreached = <A, E extends { readonly _tag: string }, R>(work: Effect.Effect<A, E, R>) =>
  Effect.catchIf(
    work,
    ({ _tag }) => _tag === "ObjectStoreError",
    () => Effect.void
  )

const unknownHere: Case = {
  name: "a backup builds on a snapshot whose chunks the folder does not know, and a request fails",
  isOpaque: true,
  make: bucketStage({
    start: withoutMarkers,
    faults: { kinds: ["lost request", "unavailable"], max: 1 },
    program: (world) =>
      world.process("backup")(
        unreached(backUp(world, { time: timeBefore(1), contents: [...contents, "new"] }))
      ),
    invariant: wrongWord
  }),
  preemptions: { daily: 1, full: 2 },
  dailySeededRuns: 40,
  mutants: [
    {
      guard: "asking the server about chunks that the folder does not know",
      mutation: knowingTheFolderAlone,
      by: { strategy: "exhaustive", preemptions: 0 },
      maxRuns: 100
    },
    {
      guard: "telling silence from a 404",
      mutation: silenceAsAbsence,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R12: Row = { id: "R12", title: "only content condemns", cases: [troubled, unknownHere] }
