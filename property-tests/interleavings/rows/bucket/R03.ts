/**
 * R3 in a bucket: an object is there and the folder does not say so yet; a collection lists it, sees no marker, and
 * deletes it, while the upload was told that it is present and makes its marker. One guard for each digest spans the
 * upload and the marker, and the deletion and what goes before it.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { around } from "../../../../src/objectstore/decorators/ObjectRequest.ts"
import * as DigestGuards from "../../../../src/store/DigestGuards.ts"
import { backUp, collect, insertLoose, withoutRules } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { pathOfChunk, timeBefore } from "../../harness/World.ts"
import { withoutGuards } from "../R02.ts"

/** Whom to tell that the server has answered an upload. */
const Answered = Context.Reference<Deferred.Deferred<void> | undefined>("granary/interleavings/Answered", {
  defaultValue: () => undefined
})

/** Guards that are given back as soon as the server has answered, before the marker is made. */
const guardsOfRequests: Mutation = {
  objects: (objects) =>
    around(objects, ({ operation }, request) =>
      operation !== "putIfAbsent"
        ? request
        : Effect.ensuring(
            request,
            Effect.flatMap(Answered, (answered) =>
              answered === undefined ? Effect.void : Deferred.succeed(answered, undefined)
            )
          )
    ),
  around: (work) =>
    Effect.provideService(work, DigestGuards.Maker, (layout) =>
      Effect.map(DigestGuards.make(layout), ({ guard, guardFree }) =>
        DigestGuards.DigestGuards.of({
          guardFree,
          guard: (digest) => (effect) =>
            Effect.gen(function* () {
              const answered = yield* Deferred.make<void>()
              const told = Effect.ensuring(effect, Deferred.succeed(answered, undefined))
              const guarded = Effect.tap(
                Effect.forkChild(Effect.provideService(told, Answered, answered)),
                () => Deferred.await(answered)
              )
              return yield* Fiber.join(yield* guard(digest)(guarded))
            })
        })
      )
    )
}

/** An old object that nobody needs, and that the folder does not know of. */
const start = prepareBucket({
  contents: ["again"],
  setUp: { here: insertLoose("again") },
  damage: ({ disks }) => disks["here"]?.unlink(pathOfChunk("again"), 0)
})

const uploadAgainstSweep: Case = {
  name: "an object that the folder does not know is uploaded again while it is swept",
  isOpaque: true,
  make: bucketStage({
    start,
    program: (world) =>
      together(
        world.process("backup")(backUp(world, { time: timeBefore(1), contents: ["again"] })),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 60,
  mutants: [
    {
      guard: "guards that span upload and marker",
      mutation: { ...guardsOfRequests, processes: ["backup"] },
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 5000
    },
    {
      guard: "guards of digests",
      mutation: withoutGuards,
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 5000
    },
    {
      guard: "holding the guards until objects are deleted",
      mutation: withoutRules({ holdsGuardsWhileDeleting: false }),
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 5000
    },
    {
      guard: "looking at the folder again under the guard",
      mutation: withoutRules({ rechecksUnderGuard: false }),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R03: Row = {
  id: "R3",
  title: "upload and marker against the sweep of a bucket",
  cases: [uploadAgainstSweep]
}
