/**
 * BucketAftermath: one operation on a datastore in a bucket that dies at any of its steps, and what comes after it: what
 * bucket and folder hold then, the same operation again, a prune and two garbage collections a month later.
 *
 * After the death I1 to I4 must hold at once, also for a folder that has lost or brought back what was not flushed; the
 * repeated operation must succeed; and in the end nothing of what died may be left. Every request is a step; so is every
 * call on the folder that others could notice, and in the full range every call.
 */
import { fromSeed, loseAll, type Scenario } from "../../../../src/testing.ts"
import { failureOf, hasEnded, minuteMillis, monthMillis, pruneUnfinished, unfinishedIn } from "../dying.ts"
import { complaint, type Expectations } from "../Invariants.ts"
import type { Mutation } from "../Mutation.ts"
import { calls, everyCall } from "../points.ts"
import { isFull } from "../Row.ts"
import { startMillis, type StoreEffect } from "../World.ts"
import { judgeSettled } from "./bucketStage.ts"
import { forkStart } from "./bucketStart.ts"
import { viewBucket } from "./BucketView.ts"
import { type BucketStart, BucketWorld } from "./BucketWorld.ts"

/** What a power loss takes of what was not flushed. */
export type BucketLoss = "everything" | { readonly seed: number }

export interface BucketTrial {
  readonly start: BucketStart
  readonly operation: (world: BucketWorld) => StoreEffect
  /** The same once more, a minute after the restart. Default: just the operation. */
  readonly again?: (world: BucketWorld) => StoreEffect
  readonly excuses?: Expectations["excuses"]
  readonly loss?: BucketLoss
  /** What must hold at the end, beside everything else. */
  readonly finally?: (world: BucketWorld) => string | undefined
}

/** What a power loss takes, choice by choice. */
export const chooseBy = (loss: BucketLoss): ((count: number) => number) => {
  if (loss === "everything") return loseAll
  const chooser = fromSeed(loss.seed)
  return (count) => chooser.value("power loss", count)
}

export const bucketAftermath = (trial: BucketTrial) => (mutation: Mutation) => (): Scenario => {
  const { again = trial.operation, excuses, loss = "everything", operation } = trial
  const world = new BucketWorld(forkStart(trial.start), {
    mutation,
    points: isFull ? everyCall : calls,
    requests: () => true
  })
  const { acknowledged, givenUp } = world
  const expectations = { acknowledged, givenUp, ...(excuses === undefined ? {} : { excuses }) }
  const checkNow = (): string | undefined =>
    complaint(viewBucket(world.bucket), expectations) ?? world.untrue() ?? world.fault

  const checkLater = (): string | undefined => {
    const next = new BucketWorld(
      { bucket: world.bucket, disks: { here: world.disk() } },
      { mutation, points: () => false, requests: () => false }
    )
    const inNext = next.process("next")
    const repeated = failureOf("the same operation again", inNext(again(world)), startMillis + minuteMillis)
    world.changed()
    const wrong = repeated ?? checkNow() ?? trial.finally?.(world)
    if (wrong !== undefined) return wrong
    const tidied = failureOf("tidying up", inNext(pruneUnfinished), startMillis + monthMillis)
    const left = tidied ?? unfinishedIn(viewBucket(world.bucket).snapshots)
    return left ?? judgeSettled(world.copy(), expectations)
  }

  return {
    program: world.process("first")(operation(world)),
    invariant: () => complaint(world.view, expectations) ?? world.untrue(),
    check: (outcome) => (hasEnded(outcome) ? undefined : (checkNow() ?? checkLater())),
    state: () => world.view.fingerprint,
    onCrash: (crash) => world.onCrash(chooseBy(loss))(crash)
  }
}
