/**
 * R15 for a sync: what it claimed and stored is named by no index yet, and two days are long for a garbage collection.
 */
import * as Effect from "effect/Effect"
import { collect, insertLoose, withoutRules } from "../../harness/actors.ts"
import { callsOnHosts, noCalls } from "../../harness/points.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { digestOfText } from "../../harness/World.ts"
import { endWith } from "../../harness/sync/syncActors.ts"
import { syncStage } from "../../harness/sync/syncStage.ts"
import { lacking } from "../../harness/sync/SyncWorld.ts"
import { shortLeases } from "../R15.ts"

const contents = ["again", "new", "last"]

const long: Case = {
  name: "a sync takes two days",
  make: syncStage({
    disks: {
      source: endWith({ contents, snapshots: [{ number: 0, contents }] }),
      target: endWith({ contents, snapshots: [], more: insertLoose("again") })
    },
    points: { source: noCalls, target: callsOnHosts },
    program: (world) =>
      together(
        world.sync("sync", {
          around: (source) => ({
            ...source,
            openSnapshot: (namespace, snapshot) =>
              Effect.map(source.openSnapshot(namespace, snapshot), (opened) => ({
                ...opened,
                chunk: (digest) =>
                  Effect.andThen(
                    digest === digestOfText("last") ? Effect.sleep("2 days") : Effect.void,
                    opened.chunk(digest)
                  )
              }))
          })
        }),
        world.target.process("gc")(Effect.andThen(Effect.sleep("2 days"), collect()))
      ),
    check: lacking
  }),
  // Two days are as long as the exploration likes: work may take any time.
  world: { time: "choice" },
  preemptions: { daily: 0, full: 3 },
  dailySeededRuns: 40,
  mutants: [
    {
      guard: "keeping what is younger than the oldest writer",
      mutation: withoutRules({ respectsWriters: false }),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    },
    {
      guard: "a lease that lasts as long as the sync",
      mutation: { ...shortLeases, processes: ["sync"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R15: Row = { id: "R15", title: "one lease for a whole sync", cases: [long] }
