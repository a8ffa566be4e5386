/**
 * R2 and R6 for a sync: what the target has is claimed and not fetched: the sweep takes it in the moment of the claim,
 * or a verification condemns it right after.
 */
import * as Effect from "effect/Effect"
import { condemn, collect, insertLoose, withoutRules } from "../../harness/actors.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import { callsOn, callsOnHosts, noCalls } from "../../harness/points.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { digestOfText, pathOfChunk } from "../../harness/World.ts"
import { endWith } from "../../harness/sync/syncActors.ts"
import { syncStage } from "../../harness/sync/syncStage.ts"
import { lacking } from "../../harness/sync/SyncWorld.ts"
import { withoutGuards } from "../R02.ts"

const contents = ["again", "new"]

const source = endWith({ contents, snapshots: [{ number: 0, contents }] })

/** A claim that only looks. */
const untouching: Mutation = {
  datastore: (store) => ({
    ...store,
    chunks: { ...store.chunks, touch: (digest) => Effect.isSuccess(store.chunks.stat(digest)) }
  })
}

const claimed: Case = {
  name: "a sync claims a chunk that nobody needed while it is swept",
  make: syncStage({
    disks: { source, target: endWith({ contents, snapshots: [], more: insertLoose("again") }) },
    points: { source: noCalls, target: callsOnHosts },
    program: (world) => together(world.sync("sync"), world.target.process("gc")(collect())),
    check: lacking
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 40,
  mutants: [
    {
      guard: "touching what is claimed",
      mutation: { ...untouching, processes: ["sync"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    },
    {
      guard: "guards of digests",
      mutation: withoutGuards,
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

/** Nobody looks again. */
const unproven: Mutation = { target: (target) => ({ ...target, findAbsent: () => Effect.succeed([]) }) }

const condemnedChunk: Case = {
  name: "a bad chunk is condemned after a sync has claimed it",
  make: syncStage({
    disks: {
      source,
      target: endWith({
        contents,
        snapshots: [],
        more: insertLoose("again"),
        damage: (disk) => disk.put(pathOfChunk("again"), Buffer.from("damaged"))
      })
    },
    points: { source: noCalls, target: callsOn(".chunks", "index.json") },
    program: (world) => together(world.sync("sync"), world.target.process("verify")(condemn("again"))),
    // What is there counts, until somebody reads it.
    excuses: (_snapshot, digest, state) => digest === digestOfText("again") && state === "wrong"
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 20,
  mutants: [
    {
      guard: "looking whether every chunk is there before the manifest is written",
      mutation: unproven,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 500
    }
  ]
}

export const R02: Row = { id: "R2", title: "a sync's claims", cases: [claimed, condemnedChunk] }
