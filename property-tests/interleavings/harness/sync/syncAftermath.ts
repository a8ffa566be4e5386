/**
 * syncAftermath: a sync that dies at any of its steps, by a kill or a power loss on both ends, and what comes after:
 * what is on the disks then, the same sync again, and, a month later, a prune and two garbage collections on the
 * target.
 *
 * After the death the invariants must hold as the disks are; the repeated sync must end with what its options promise;
 * in the end nothing may be left of what died, and the source is as it was. Steps are the calls that change something
 * on the target: a sync changes nothing on the source, and between two changes a death makes no difference.
 */
import type { Scenario } from "../../../../src/testing.ts"
import { chooseBy, type Loss, tidyUp, untidy } from "../aftermath.ts"
import { failureOf, hasEnded, judgingOnce, minuteMillis, monthMillis } from "../dying.ts"
import { leftovers } from "../Invariants.ts"
import { textBelow } from "../knowing.ts"
import type { Mutation } from "../Mutation.ts"
import { everyChange, noCalls } from "../points.ts"
import { viewStore } from "../StoreView.ts"
import { startMillis } from "../World.ts"
import type { SyncInput } from "./SyncBetween.ts"
import { lacking, type SyncDisks, SyncWorld, type SyncWorldOptions } from "./SyncWorld.ts"

export interface SyncTrial {
  readonly disks: SyncDisks
  readonly input?: SyncInput
  readonly removes?: boolean
  readonly excuses?: SyncWorldOptions["excuses"]
  readonly loss?: Loss
  /** What must hold when the sync has ended; undefined when it does. Default: the target has all of the source. */
  readonly promise?: (world: SyncWorld) => string | undefined
}

/** Of a world in which the sync has died; in the end the target is tidy. */
const judge = (died: SyncWorld, mutation: Mutation, trial: SyncTrial): string | undefined => {
  const { input, promise = lacking } = trial
  const now = died.complaint()
  if (now !== undefined) return now
  const disks = { source: died.source.disk, target: died.target.disk }
  const next = new SyncWorld(disks, { ...trial, mutation, points: { source: noCalls, target: noCalls } })
  next.target.acknowledged.push(...died.target.acknowledged)
  for (const name of died.target.givenUp) next.target.givenUp.add(name)
  const repeated = failureOf("the same sync again", next.sync("next", input), startMillis + minuteMillis)
  const wrong = repeated ?? next.complaint() ?? promise(next)
  if (wrong !== undefined) return wrong
  if (next.source.view.fingerprint !== viewStore(trial.disks.source).fingerprint)
    return "the source has changed"
  const { disk } = next.target
  const tidied = failureOf("tidying up", next.target.process("tidy")(tidyUp), startMillis + monthMillis)
  next.target.changed()
  return tidied ?? next.complaint() ?? leftovers(viewStore(disk)) ?? untidy(disk)
}

export const syncAftermath = (trial: SyncTrial) => (mutation: Mutation) => {
  const { disks, input, loss = "everything", promise = lacking } = trial
  const once = judgingOnce()
  return (): Scenario => {
    const ends = { source: disks.source.fork(), target: disks.target.fork() }
    const points = { source: noCalls, target: everyChange }
    const world = new SyncWorld(ends, { ...trial, mutation, points })
    const judged = (): string | undefined => {
      const left = textBelow(ends.source, "/store") + textBelow(ends.target, "/store")
      const key = `${left}${JSON.stringify(world.target.acknowledged)}`
      return once(key, () => judge(world, mutation, trial))
    }
    return {
      program: world.sync("first", input),
      invariant: () => world.complaint(),
      check: (outcome) => (hasEnded(outcome) ? promise(world) : judged()),
      state: () => world.fingerprint,
      onCrash: (crash) => {
        for (const { disk, locks } of [world.source, world.target]) {
          if (crash.kind === "process") locks.releaseProcess(crash.process)
          else {
            locks.releaseAll()
            disk.losePower(chooseBy(loss))
          }
        }
        world.source.changed()
        world.target.changed()
      }
    }
  }
}
