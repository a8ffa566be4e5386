/**
 * R16 for a sync: a group of the target moves while garbage is collected, gets a snapshot from a sync in its new place
 * that builds on what it has, and loses the old one; and a group that a sync is about to copy into moves away.
 */
import * as Effect from "effect/Effect"
import * as Namespace from "../../../../src/model/Namespace.ts"
import { collect, forget, move, snapshotAt, withoutRules, yielding } from "../../harness/actors.ts"
import { withoutLocks } from "../../harness/sync/syncMutations.ts"
import { callsExcept, noCalls } from "../../harness/points.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { timeBefore } from "../../harness/World.ts"
import { endWith } from "../../harness/sync/syncActors.ts"
import { syncStage } from "../../harness/sync/syncStage.ts"
import { lacking } from "../../harness/sync/SyncWorld.ts"

const [near, far] = [Namespace.parse("aa"), Namespace.parse("bb")]
const namespaces = ["aa", "bb"]
const contents = ["moved", "new"]
const target = callsExcept(/^readDirectory \/store(?:\/ns\/..)?(?:\/(?:vm|ct|ns))?$/)

const first = { number: 0, contents: ["moved"] }

const movingOn: Case = {
  name: "a group moves, is synced into, and loses the snapshot that it moved with",
  make: syncStage({
    disks: {
      source: endWith({
        contents,
        snapshots: [first, { number: 1, contents }]
      }),
      target: endWith({ contents, namespaces, snapshots: [{ ...first, namespace: far }] })
    },
    points: { source: noCalls, target },
    program: (world) =>
      together(
        Effect.gen(function* () {
          yield* world.target.process("mover")(move(far, near))
          yield* world.sync("sync", { options: { targetNamespace: near } })
          yield* world.target.process("forget")(forget(world.target, snapshotAt(timeBefore(0)), near))
        }),
        world.target.process("gc")(collect())
      )
  }),
  preemptions: { daily: 0, full: 2 },
  dailySeededRuns: 40,
  mutants: [
    {
      guard: "draining the journal of moves",
      mutation: withoutRules({ drainsMoves: false }),
      by: { strategy: "pct", depth: 3 },
      maxRuns: 5000
    }
  ]
}

const movingAway: Case = {
  name: "a group moves away while a sync copies into it",
  make: syncStage({
    disks: {
      source: endWith({
        contents,
        namespaces: ["bb"],
        snapshots: [
          { ...first, namespace: far },
          { number: 1, contents, namespace: far }
        ]
      }),
      target: endWith({ contents, namespaces, snapshots: [{ ...first, namespace: far }] })
    },
    points: { source: noCalls, target },
    program: (world) =>
      together(world.sync("sync"), world.target.process("mover")(yielding(move(far, near)))),
    // Where it was it is, or will be again.
    check: (world) =>
      world.target.view.snapshots.some(({ path }) => path.startsWith("ns/aa")) ? undefined : lacking(world)
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 20,
  mutants: [
    {
      guard: "holding the group of the target",
      mutation: withoutLocks("sync", "group"),
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R16: Row = { id: "R16", title: "a sync's group moves", cases: [movingOn, movingAway] }
