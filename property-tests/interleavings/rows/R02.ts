/**
 * R2: a backup finds a chunk in the store, touches it, and does not store it again; the sweep, which has seen the old
 * times, removes it. For a local store both the look and the removal are of one file, so one guard a digest does it,
 * if times are looked at under it.
 */
import * as Effect from "effect/Effect"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { actor } from "../../../src/testing.ts"
import { backUp, collect, insertLoose, withoutRules } from "../harness/actors.ts"
import type { Mutation } from "../harness/Mutation.ts"
import { callsOnHosts } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { prepare, timeBefore } from "../harness/World.ts"

/** Guards that let everybody in. */
export const withoutGuards: Mutation = {
  around: (work) =>
    Effect.provideService(work, DigestGuards.Maker, () =>
      Effect.succeed(
        DigestGuards.DigestGuards.of({
          guard: () => (effect) => effect,
          guardFree: (digests, use) => use(digests)
        })
      )
    )
}

const store = prepare({ contents: ["again", "new"], setUp: insertLoose("again") })

const usedAgain: Case = {
  name: "a chunk that nobody needed is used again while it is swept",
  make: stage({
    points: callsOnHosts,
    disk: store,
    program: (world) =>
      together(
        world.process("backup")(backUp(world, { time: timeBefore(1), contents: ["again", "new"] })),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 300,
  mutants: [
    {
      guard: "guards of digests",
      mutation: withoutGuards,
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 5000
    },
    {
      guard: "guards of digests in the process of the backup",
      mutation: { ...withoutGuards, processes: ["backup"] },
      by: { strategy: "pct", depth: 3 },
      maxRuns: 5000
    },
    {
      guard: "looking at the times again under the guard",
      mutation: withoutRules({ rechecksUnderGuard: false }),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

/** In one process the guards are semaphores first, and marks as access times touch chunks as well. */
const withinOneProcess: Case = {
  name: "the same in one process, with marks as access times",
  make: stage({
    points: callsOnHosts,
    disk: store,
    program: (world) =>
      world.process("server")(
        together(
          backUp(world, { time: timeBefore(1), contents: ["again", "new"] }).pipe(actor("backup")),
          collect({ mark: "atime" }).pipe(actor("gc"))
        )
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 100,
  mutants: [
    {
      guard: "guards of digests",
      mutation: withoutGuards,
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 5000
    }
  ]
}

export const R02: Row = { id: "R2", title: "touch against the sweep", cases: [usedAgain, withinOneProcess] }
