/**
 * R7: a verification finds a chunk corrupt; until it renames it, a good copy has taken its place, and that is what gets
 * condemned. The corrupt chunk is an empty file, as a crash may leave one, because that is what a backup replaces; or
 * two verifications judge the same chunk, and a backup stores it anew between their renames.
 */
import * as Effect from "effect/Effect"
import { backUp, collect, condemn, insertLoose } from "../harness/actors.ts"
import { callsOnHosts } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { pathOfChunk, prepare, timeBefore } from "../harness/World.ts"
import { withoutGuards } from "./R02.ts"

const emptied: Case = {
  name: "an empty chunk is condemned while a backup replaces it",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents: ["broken"],
      setUp: insertLoose("broken"),
      damage: (disk) => disk.put(pathOfChunk("broken"), new Uint8Array(0))
    }),
    program: (world) =>
      together(world.process("backup")(insertLoose("broken")), world.process("verify")(condemn("broken")))
  }),
  preemptions: { daily: 3, full: 10 },
  dailySeededRuns: 100,
  mutants: [
    {
      guard: "guards of digests",
      mutation: withoutGuards,
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 1000
    },
    {
      guard: "guards of digests in the process of the backup",
      mutation: { ...withoutGuards, processes: ["backup"] },
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 2000
    }
  ]
}

const judgedTwice: Case = {
  name: "two verifications condemn one chunk while a backup needs it and garbage is collected",
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents: ["broken"],
      setUp: insertLoose("broken"),
      damage: (disk) => disk.put(pathOfChunk("broken"), Buffer.from("no chunk at all"))
    }),
    program: (world) =>
      together(
        world.process("first")(
          Effect.andThen(condemn("broken"), backUp(world, { time: timeBefore(1), contents: ["broken"] }))
        ),
        world.process("second")(condemn("broken")),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 0, full: 3 },
  dailySeededRuns: 300,
  mutants: [
    {
      guard: "guards of digests",
      mutation: withoutGuards,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 2000
    }
  ]
}

export const R07: Row = {
  id: "R7",
  title: "a chunk is condemned while others work on it",
  cases: [emptied, judgedTwice]
}
