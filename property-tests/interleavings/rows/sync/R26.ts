/**
 * R26: a filter of a sync passes a snapshot over, or begins to while the sync runs, for a verification on the source
 * has found it damaged: it is still there, so the target's copy is no vanished one.
 */
import * as Effect from "effect/Effect"
import { snapshotAt, verify } from "../../harness/actors.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import { callsOn, noCalls } from "../../harness/points.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { digestOfText, pathOfChunk, timeBefore } from "../../harness/World.ts"
import { endWith, marked } from "../../harness/sync/syncActors.ts"
import { syncStage } from "../../harness/sync/syncStage.ts"

const contents = ["base", "new"]
const snapshots = [
  { number: 0, contents: ["base"] },
  { number: 1, contents }
]
const verified = Effect.forEach([0, 1], (number) => marked(snapshotAt(timeBefore(number)), "ok"))

/** The source lists only what the filters take. */
const filteredListing: Mutation = {
  source: (source) => ({
    ...source,
    snapshots: (namespace, of, options) =>
      Effect.map(source.snapshots(namespace, of, options), (listed) =>
        listed.filter(({ manifest }) => manifest !== "unreadable" && manifest?.verified === "ok")
      )
  })
}

const filtered: Case = {
  name: "a verification of the source fails while a sync copies what is verified, and removes what vanished",
  make: syncStage({
    disks: {
      source: endWith({
        contents,
        snapshots,
        more: verified,
        damage: (disk) => disk.put(pathOfChunk("base"), Buffer.from("damaged"))
      }),
      target: endWith({ contents, snapshots, more: verified })
    },
    removes: true,
    points: { source: callsOn("index.json"), target: noCalls },
    excuses: (_snapshot, digest) => digest === digestOfText("base"),
    program: (world) =>
      together(
        world.sync("sync", { options: { verifiedOnly: true, removeVanished: true } }),
        world.source.process("verify")(verify())
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 10,
  mutants: [
    {
      guard: "taking what filters pass over for present",
      mutation: filteredListing,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 200
    }
  ]
}

export const R26: Row = { id: "R26", title: "what filters pass over has not vanished", cases: [filtered] }
