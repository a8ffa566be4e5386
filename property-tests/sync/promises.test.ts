/**
 * After any sequence of backups, removals, marks, verifications, collections and syncs the target holds what the
 * options of the syncs promise, to the last file; and a plan says what a run does. `GRANARY_EXPLORE=full` looks for
 * hours.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { type Kind, play, Scene } from "../../test/sync/scene.ts"
import * as promises from "./promises.ts"
import {
  type Deed,
  deeds,
  observe,
  optionsOf,
  perform,
  prepareAll,
  promise,
  type Wanted,
  type Work
} from "./work.ts"

const isFull = process.env["GRANARY_EXPLORE"] === "full"
const dayMillis = 86_400_000

/** Both stores are what they promise. */
const assertKept = ({ promised, scene }: Work) =>
  Effect.gen(function* () {
    for (const end of ["source", "target"] as const) {
      assert.deepStrictEqual(yield* observe(scene[end]), promises.linesOf(promised[end]), end)
    }
  })

const sync = (work: Work, wanted: Wanted) =>
  Effect.gen(function* () {
    const options = optionsOf(wanted)
    const expected = promise(work, wanted)
    const planned = yield* Effect.result(work.scene.plan(options))
    const outcome = yield* Effect.result(work.scene.sync(options))
    if (expected.refused) {
      assert.deepStrictEqual([planned._tag, outcome._tag], ["Failure", "Failure"])
      return yield* assertKept(work)
    }
    if (outcome._tag === "Failure") throw outcome.failure
    if (planned._tag === "Failure") throw planned.failure
    const { counts, failedGroups, problems, removed } = outcome.success
    const { removedSnapshots, snapshots } = planned.success.totals
    const { checked, copied } = expected
    assert.isEmpty(problems)
    assert.deepStrictEqual(
      {
        checked: counts.checkedSnapshots,
        copied: counts.copiedSnapshots,
        failedGroups,
        removed: removed.snapshots
      },
      { checked, copied, failedGroups: expected.failedGroups, removed: expected.removedSnapshots }
    )
    if (failedGroups === 0) {
      assert.deepStrictEqual([snapshots, removedSnapshots], [checked + copied, expected.removedSnapshots])
    }
    yield* assertKept(work)
  })

const live = (sequence: ReadonlyArray<Deed>, from: Kind, to: Kind): void => {
  const scene = new Scene(from, to)
  const work: Work = { scene, promised: { source: promises.emptyStore(), target: promises.emptyStore() } }
  prepareAll(scene)
  play(
    Effect.gen(function* () {
      for (const deed of sequence) {
        yield* deed.kind === "sync" ? sync(work, deed.wanted) : perform(work, deed)
        // Long enough for what nobody needs to be collected.
        yield* Effect.sleep("2 days")
      }
      yield* assertKept(work)
    })
  )
}

/** Mostly in folders. */
const kind = fc.constantFrom<Kind>("folder", "folder", "folder", "bucket")

describe("a target", () => {
  it(
    "holds what the options of the syncs promise, whatever was done before",
    () => fc.assert(fc.property(deeds, kind, kind, live), { numRuns: isFull ? 20_000 : 16 }),
    isFull ? dayMillis : 120_000
  )
})
