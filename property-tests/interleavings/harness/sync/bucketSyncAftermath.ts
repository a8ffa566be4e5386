/**
 * bucketSyncAftermath: a sync into a bucket that dies at any of its steps, by a kill or a power loss on both ends, and
 * what comes after: what bucket, folder and source hold then, the same sync again, and, a month later, a prune and
 * garbage collections on the target.
 *
 * After the death the invariants must hold as things are, also for a cache folder that has lost or brought back what
 * was not flushed; the repeated sync must end with what its options promise; in the end nothing may be left of what
 * died, and the source is as it was.
 */
import type { Scenario } from "../../../../src/testing.ts"
import { type BucketLoss, chooseBy } from "../bucket/bucketAftermath.ts"
import { judgeSettled } from "../bucket/bucketStage.ts"
import { forkStart } from "../bucket/bucketStart.ts"
import {
  failureOf,
  hasEnded,
  judgingOnce,
  minuteMillis,
  monthMillis,
  pruneUnfinished,
  unfinishedIn
} from "../dying.ts"
import { textBelow } from "../knowing.ts"
import type { Mutation } from "../Mutation.ts"
import { basePath, contentHash, viewStore } from "../StoreView.ts"
import { startMillis } from "../World.ts"
import {
  type BucketSyncOptions,
  type BucketSyncStart,
  BucketSyncWorld,
  lackingInBucket
} from "./BucketSyncWorld.ts"
import type { SyncInput } from "./SyncBetween.ts"

export interface BucketSyncTrial {
  readonly start: BucketSyncStart
  readonly input?: SyncInput
  readonly removes?: boolean
  readonly excuses?: BucketSyncOptions["excuses"]
  readonly loss?: BucketLoss
  /** What must hold when the sync has ended; undefined when it does. Default: the target has all of the source. */
  readonly promise?: (world: BucketSyncWorld) => string | undefined
}

/** Of a world in which the sync has died; in the end the target is tidy. */
const judge = (died: BucketSyncWorld, mutation: Mutation, trial: BucketSyncTrial): string | undefined => {
  const { input, promise = lackingInBucket } = trial
  const now = died.complaint()
  if (now !== undefined) return now
  const ends = { source: died.source.disk, target: died.target.copy() }
  const next = new BucketSyncWorld(ends, { ...trial, mutation, isExplored: false })
  next.target.acknowledged.push(...died.target.acknowledged)
  for (const name of died.target.givenUp) next.target.givenUp.add(name)
  const repeated = failureOf("the same sync again", next.sync("next", input), startMillis + minuteMillis)
  const wrong = repeated ?? next.complaint() ?? promise(next)
  if (wrong !== undefined) return wrong
  if (next.source.view.fingerprint !== viewStore(trial.start.source).fingerprint)
    return "the source has changed"
  const tidied = failureOf(
    "tidying up",
    next.target.process("tidy")(pruneUnfinished),
    startMillis + monthMillis
  )
  next.target.changed()
  const left = tidied ?? unfinishedIn(next.target.view.snapshots)
  return left ?? judgeSettled(next.target.copy(), next.expectationsOf(next.target))
}

/** All that is in the bucket and in its folder, with the source. */
const textOf = ({ source, target }: BucketSyncWorld): string => {
  const { bucket } = target
  const objects = bucket.keys().map((key) => `${key} ${contentHash(bucket.find(key)?.body ?? noBytes)}`)
  const folders = [source.disk, target.disk()].map((disk) => textBelow(disk, basePath))
  return [...objects, ...folders, JSON.stringify(target.acknowledged)].join("\n")
}

const noBytes = new Uint8Array(0)

export const bucketSyncAftermath = (trial: BucketSyncTrial) => (mutation: Mutation) => {
  const { input, loss = "everything", promise = lackingInBucket, start } = trial
  const once = judgingOnce()
  return (): Scenario => {
    const ends = { source: start.source.fork(), target: forkStart(start.target) }
    const world = new BucketSyncWorld(ends, { ...trial, mutation, isExplored: true })
    const judged = (): string | undefined => once(textOf(world), () => judge(world, mutation, trial))
    return {
      program: world.sync("first", input),
      invariant: () => world.complaint(),
      check: (outcome) => (hasEnded(outcome) ? promise(world) : judged()),
      state: () => world.fingerprint,
      onCrash: (crash) => world.onCrash(chooseBy(loss))(crash)
    }
  }
}
