/**
 * R16: a group moves from a namespace that garbage collection has not reached to one that it has passed, so that its
 * indexes are seen in neither.
 */
import * as Effect from "effect/Effect"
import * as Namespace from "../../../src/model/Namespace.ts"
import { backUp, collect, forget, move, snapshotAt, withoutRules } from "../harness/actors.ts"
import { callsExcept } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { prepare, timeBefore } from "../harness/World.ts"

const [near, far] = [Namespace.parse("aa"), Namespace.parse("bb")]
const contents = ["moved", "new"]
const points = callsExcept(/^readDirectory \/store(?:\/ns\/..)?(?:\/(?:vm|ct|ns))?$/)

const first = backUp(undefined, { time: timeBefore(0), contents: ["moved"], namespace: far })

const moving: Case = {
  name: "a group moves",
  make: stage({
    points,
    disk: prepare({ contents, namespaces: ["aa", "bb"], setUp: first }),
    program: (world) => together(world.process("mover")(move(far, near)), world.process("gc")(collect()))
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 200,
  mutants: [
    {
      guard: "draining the journal of moves",
      mutation: withoutRules({ drainsMoves: false }),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

/** In the end it is where it was; the last place it came to counts. */
const movingBack: Case = {
  name: "a group moves there and back",
  make: stage({
    points,
    disk: prepare({ contents, namespaces: ["aa", "bb"], setUp: first }),
    program: (world) =>
      together(
        world.process("mover")(Effect.andThen(move(far, near), move(near, far))),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 100,
  mutants: [
    {
      guard: "draining the journal of moves",
      mutation: withoutRules({ drainsMoves: false }),
      by: { strategy: "pct", depth: 4 },
      maxRuns: 5000
    }
  ]
}

/** Whatever the journal says of the old place, in the new one life goes on. */
const movingOn: Case = {
  name: "a group moves, is backed up into, and pruned",
  make: stage({
    points,
    disk: prepare({ contents, namespaces: ["aa", "bb"], setUp: first }),
    program: (world) =>
      together(
        world.process("mover")(
          Effect.gen(function* () {
            yield* move(far, near)
            yield* backUp(world, { time: timeBefore(1), contents, namespace: near })
            yield* forget(world, snapshotAt(timeBefore(0)), near)
          })
        ),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 200,
  mutants: [
    {
      guard: "draining the journal of moves",
      mutation: withoutRules({ drainsMoves: false }),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R16: Row = {
  id: "R16",
  title: "a group moves while it is marked",
  cases: [moving, movingBack, movingOn]
}
