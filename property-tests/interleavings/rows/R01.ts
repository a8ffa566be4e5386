/**
 * R1: garbage collection lists a group; meanwhile a backup builds on the snapshot that it has not read yet, and that
 * one is pruned. Chunks that only those two name are never marked.
 */
import * as Effect from "effect/Effect"
import * as Namespace from "../../../src/model/Namespace.ts"
import { backUp, collect, forget, prune, snapshotAt, withoutRules, yielding } from "../harness/actors.ts"
import { callsOnHosts } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { prepare, timeBefore } from "../harness/World.ts"

const contents = ["base", "other", "new", "newest"]

/** One snapshot; the next builds on it, and then it goes. */
const replaced = (mark: "set" | "atime"): Case => ({
  name: `a snapshot is replaced by one that builds on it (marks: ${mark})`,
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents,
      setUp: backUp(undefined, { time: timeBefore(0), contents: ["base", "other"] })
    }),
    program: (world) =>
      together(
        world.process("writer")(
          Effect.andThen(
            backUp(world, { time: timeBefore(1), contents: ["base", "new"] }),
            forget(world, snapshotAt(timeBefore(0)))
          )
        ),
        world.process("gc")(collect({ mark }))
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: mark === "set" ? 200 : 50,
  mutants: [
    {
      guard: "listing a changed group again",
      mutation: withoutRules({ relistsChangedGroups: false }),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
})

/** The newest is forgotten after it was read; the next builds on the one before, which is pruned before it is read. */
const steppedOver: Case = {
  name: "a backup builds on the second newest, which is then pruned",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents,
      setUp: Effect.andThen(
        backUp(undefined, { time: timeBefore(0), contents: ["base"] }),
        backUp(undefined, { time: timeBefore(1), contents: ["newest"], reusePrevious: false })
      )
    }),
    program: (world) =>
      together(
        world.process("writer")(
          Effect.gen(function* () {
            yield* forget(world, snapshotAt(timeBefore(1)))
            yield* backUp(world, { time: timeBefore(2), contents: ["base", "new"] })
            yield* yielding(prune(world, undefined, Namespace.root))
          })
        ),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 200,
  mutants: [
    {
      guard: "listing a changed group again",
      mutation: withoutRules({ relistsChangedGroups: false }),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R01: Row = {
  id: "R1",
  title: "a group changes while it is marked",
  cases: [replaced("set"), replaced("atime"), steppedOver]
}
