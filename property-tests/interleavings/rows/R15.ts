/**
 * R15: what says that a writer is at work ends before the writer does, and garbage collection in another process takes
 * what was stored and is not named by an index yet. A backup of two days, so that what it stored first is old.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Writers from "../../../src/store/Writers.ts"
import { backUp, collect, withoutRules } from "../harness/actors.ts"
import type { Mutation } from "../harness/Mutation.ts"
import { callsOnHosts } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { prepare, timeBefore } from "../harness/World.ts"

/** Leases that are given back as soon as they have said what the writer builds on. */
export const shortLeases: Mutation = {
  around: (work) =>
    Effect.provideService(work, Writers.Maker, (layout, locks, options) =>
      Effect.map(Writers.make(layout, locks, options), (writers) =>
        Writers.Writers.of({
          ...writers,
          register: Effect.gen(function* () {
            const scope = yield* Scope.make()
            const lease = yield* Scope.provide(writers.register, scope)
            yield* Scope.close(scope, Effect.runSync(Effect.exit(Effect.void)))
            return { ...lease, buildsOn: () => Effect.void }
          })
        })
      )
    )
}

const long: Case = {
  name: "a backup takes two days",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents: ["base", "first", "second"],
      setUp: backUp(undefined, { time: timeBefore(0), contents: ["base"] })
    }),
    program: (world) =>
      together(
        world.process("backup")(
          backUp(world, {
            time: timeBefore(1),
            contents: ["base", "first", "second"],
            between: Effect.sleep("2 days")
          })
        ),
        world.process("gc")(Effect.andThen(Effect.sleep("2 days"), collect()))
      )
  }),
  // Two days are as long as the exploration likes: work may take any time.
  world: { time: "choice" },
  preemptions: { daily: 0, full: 3 },
  dailySeededRuns: 200,
  mutants: [
    {
      guard: "keeping what is younger than the oldest writer",
      mutation: withoutRules({ respectsWriters: false }),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    },
    {
      guard: "a lease that lasts as long as its session",
      mutation: shortLeases,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R15: Row = { id: "R15", title: "a writer's lease lasts as long as its session", cases: [long] }
