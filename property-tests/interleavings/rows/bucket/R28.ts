/**
 * R28: the answer to a PUT is lost. Tried again, the server says 412 to our own write; or it has never heard of the first
 * one. So what is there is looked at and compared, and silence is never taken for a yes.
 */
import * as Effect from "effect/Effect"
import { backUp } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { keyOfChunk, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Mutant, Row } from "../../harness/Row.ts"
import { digestOfText, timeBefore } from "../../harness/World.ts"

const empty = prepareBucket({ contents: ["new"], setUp: {} })

/** Somebody has left an empty object under the chunk's key. */
const withTornObject = prepareBucket({
  contents: ["new"],
  setUp: {},
  damage: ({ bucket }) => void bucket.put(keyOfChunk("new"), new Uint8Array(0), timeBefore(0) * 1000)
})

const isOfChunk = (key: string): boolean => key.includes("/.chunks/")

/** Silence is a yes. */
const silenceIsYes: Mutation = {
  objects: (objects) => ({
    ...objects,
    putIfAbsent: (key, body) =>
      Effect.catchIf(
        objects.putIfAbsent(key, body),
        ({ outcomeUnknown }) => isOfChunk(key) && outcomeUnknown,
        () => Effect.succeed({ outcome: "created", etag: "" } as const)
      )
  })
}

/** Whatever is there is ours. */
const presentIsOurs: Mutation = {
  objects: (objects) => ({
    ...objects,
    putIfAbsent: (key, body) =>
      Effect.map(objects.putIfAbsent(key, body), (answer) =>
        isOfChunk(key) && answer.outcome === "present" ? ({ outcome: "created", etag: "" } as const) : answer
      )
  })
}

const unanswered = (name: string, start: typeof empty, mutants: ReadonlyArray<Mutant>): Case => ({
  name,
  isOpaque: true,
  make: bucketStage({
    start,
    retries: true,
    faults: {
      kinds: ["lost request", "lost answer", "late failure"],
      max: 2,
      on: (key) => key.includes("/.chunks/") || key.endsWith("/owner") || key.endsWith(".blob")
    },
    program: (world) => world.process("backup")(backUp(world, { time: timeBefore(1), contents: ["new"] })),
    check: (world) =>
      world.acknowledged.length === 1 && world.view.chunks.get(digestOfText("new")) === "good"
        ? undefined
        : "the backup has not finished, although every request could be made again"
  }),
  preemptions: { daily: 1, full: 2 },
  dailySeededRuns: 30,
  mutants
})

const search = { by: { strategy: "exhaustive", preemptions: 2 }, maxRuns: 1000 } as const

export const R28: Row = {
  id: "R28",
  title: "answers that are lost",
  cases: [
    unanswered("a new chunk is uploaded, and answers are lost", empty, [
      { guard: "asking again when there was no answer", mutation: silenceIsYes, ...search }
    ]),
    unanswered("the same where an empty object lies", withTornObject, [
      { guard: "comparing what is present", mutation: presentIsOurs, ...search }
    ])
  ]
}
