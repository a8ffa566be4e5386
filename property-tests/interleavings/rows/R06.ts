/**
 * R6: a corrupt chunk is renamed, but somebody still believes it to be there and does not store it again. A session's
 * belief is its table of known chunks, so what counts is that a backup which begins to finish after the chunk was
 * condemned does not end well without it, and that later backups store it anew.
 */
import * as Effect from "effect/Effect"
import { backUp, collect, unlessMissing, verify } from "../harness/actors.ts"
import { callsOnHosts } from "../harness/points.ts"
import type { Case, Mutant, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { digestOfText, pathOfChunk, prepare, timeBefore, type World } from "../harness/World.ts"

const contents = ["base", "new"]

const again = (world: World, number: number) => backUp(world, { time: timeBefore(number), contents })

const mutants: ReadonlyArray<Mutant> = [
  {
    guard: "proving known chunks",
    mutation: { knownChunks: "off" },
    by: { strategy: "exhaustive", preemptions: 1 },
    maxRuns: 1000
  },
  {
    guard: "proving known chunks when a backup finishes",
    mutation: { knownChunks: "register" },
    by: { strategy: "exhaustive", preemptions: 1 },
    maxRuns: 1000
  }
]

const condemned = (isCollected: boolean): Case => ({
  name: `a known chunk is condemned while a backup builds on it${isCollected ? ", and garbage is collected" : ""}`,
  make: stage({
    points: callsOnHosts,
    disk: prepare({
      contents,
      setUp: backUp(undefined, { time: timeBefore(0), contents: ["base"] }),
      damage: (disk) => disk.put(pathOfChunk("base"), Buffer.from("no chunk at all"))
    }),
    // As damaged as it was, until somebody notices.
    excuses: (_snapshot, digest, state) => digest === digestOfText("base") && state === "wrong",
    program: (world) =>
      Effect.gen(function* () {
        yield* together(
          world.process("backup")(unlessMissing(again(world, 1))),
          world.process("verify")(verify()),
          ...(isCollected ? [world.process("gc")(collect())] : [])
        )
        // A backup that meets the gap reports the snapshot that it would build on; the next one is whole.
        yield* world.process("backup")(Effect.andThen(unlessMissing(again(world, 2)), again(world, 3)))
        const { chunks } = world.view
        if (chunks.get(digestOfText("base")) !== "good") world.fault = "the chunk was not stored anew"
      })
  }),
  preemptions: { daily: isCollected ? 0 : 1, full: 3 },
  dailySeededRuns: 100,
  mutants: isCollected ? [] : mutants
})

export const R06: Row = {
  id: "R6",
  title: "a condemned chunk is still believed to be there",
  cases: [condemned(false), condemned(true)]
}
