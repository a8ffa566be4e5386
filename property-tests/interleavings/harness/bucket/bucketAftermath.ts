/**
 * BucketAftermath: one operation on a datastore in a bucket that dies at any of its steps, and what comes after it: what
 * bucket and folder hold then, the same operation again, a prune and two garbage collections a month later.
 *
 * After the death I1 to I4 must hold at once, also for a folder that has lost or brought back what was not flushed; the
 * repeated operation must succeed; and in the end nothing of what died may be left. Every request is a step; so is every
 * call on the folder that others could notice, and in the full range every call.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Namespace from "../../../../src/model/Namespace.ts"
import * as Prune from "../../../../src/prune/Prune.ts"
import * as PrunePlan from "../../../../src/prune/PrunePlan.ts"
import { fromSeed, loseAll, run, type Scenario } from "../../../../src/testing.ts"
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

const minuteMillis = 60_000
const monthMillis = 30 * 86_400_000

/** Removes what interrupted backups left; finished snapshots all stay. */
export const pruneUnfinished = Effect.flatMap(
  PrunePlan.make({ namespace: Namespace.root, retention: { last: 100 } }),
  Prune.run
)

/** Runs something by itself, after the restart; undefined when it went well. */
const failureOf = (
  what: string,
  world: BucketWorld,
  work: StoreEffect,
  atMillis: number
): string | undefined => {
  const { outcome } = run({ program: world.process("next")(work) }, {}, { startMillis: atMillis })
  if (outcome._tag !== "Done") return `I6: ${what} ends with ${outcome._tag}`
  return Exit.isFailure(outcome.exit) ? `I6: ${what} fails: ${Cause.pretty(outcome.exit.cause)}` : undefined
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
    const repeated = failureOf("the same operation again", next, again(world), startMillis + minuteMillis)
    world.changed()
    const wrong = repeated ?? checkNow() ?? trial.finally?.(world)
    if (wrong !== undefined) return wrong
    const pruned = failureOf("tidying up", next, pruneUnfinished, startMillis + monthMillis)
    if (pruned !== undefined) return pruned
    const unfinished = viewBucket(world.bucket).snapshots.find(({ isFinished }) => !isFinished)
    if (unfinished !== undefined) return `${unfinished.path} was never finished and is still there`
    return judgeSettled(world.copy(), expectations)
  }

  return {
    program: world.process("first")(operation(world)),
    invariant: () => complaint(world.view, expectations) ?? world.untrue(),
    check: (outcome) => {
      const exit = outcome._tag === "Done" ? outcome.exit : undefined
      const hasEnded = exit !== undefined && Exit.isSuccess(exit) && Option.isSome(exit.value as never)
      return hasEnded ? undefined : (checkNow() ?? checkLater())
    },
    state: () => world.view.fingerprint,
    onCrash: (crash) => {
      const chooser = loss === "everything" ? undefined : fromSeed(loss.seed)
      world.onCrash(chooser === undefined ? loseAll : (count) => chooser.value("power loss", count))(crash)
    }
  }
}
