/**
 * R9: something is made anew without a guard while somebody else works on the same thing. In a local store that is a
 * chunk whose file is useless (empty, after a crash): a backup puts a good one in its place, while the sweep, which has
 * seen the old one, removes it.
 */
import { backUp, collect, insertLoose } from "../harness/actors.ts"
import { callsOnHosts } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { pathOfChunk, prepare, timeBefore } from "../harness/World.ts"
import { withoutGuards } from "./R02.ts"

const replacedWhileSwept: Case = {
  name: "an empty chunk is replaced while it is swept",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents: ["broken"],
      setUp: insertLoose("broken"),
      damage: (disk) => disk.put(pathOfChunk("broken"), new Uint8Array(0))
    }),
    program: (world) =>
      together(
        world.process("backup")(backUp(world, { time: timeBefore(1), contents: ["broken"] })),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 200,
  mutants: [
    {
      guard: "the guard of the backup that puts it in place",
      mutation: { ...withoutGuards, processes: ["backup"] },
      by: { strategy: "pct", depth: 3 },
      maxRuns: 5000
    },
    {
      guard: "the guard of the sweep",
      mutation: { ...withoutGuards, processes: ["gc"] },
      by: { strategy: "pct", depth: 3 },
      maxRuns: 5000
    }
  ]
}

export const R09: Row = {
  id: "R9",
  title: "a chunk is made anew while it is removed",
  cases: [replacedWhileSwept]
}
