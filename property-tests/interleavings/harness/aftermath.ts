/**
 * Aftermath: one operation that dies at any of its steps, and what comes after it: what is on the disk then, the same
 * operation again, a prune and two garbage collections a month later. Every call to the system is a point here, also
 * those within an operation of `Files`, for a crash can fall between any two.
 *
 * After the death I1 to I3 must hold as the disk is; the repeated operation must succeed; and in the end nothing may be
 * left of what died: no temporary file, no unfinished snapshot, no lease, no chunk that nobody needs.
 */
import * as Effect from "effect/Effect"
import type * as ChunkStore from "../../../src/store/ChunkStore.ts"
import { chooseFrom, fromSeed, loseAll, type MemoryDisk, type Scenario } from "../../../src/testing.ts"
import { collect } from "./actors.ts"
import { failureOf, hasEnded, minuteMillis, monthMillis, pruneUnfinished, unfinishedIn } from "./dying.ts"
import { complaint, type Expectations, leftovers } from "./Invariants.ts"
import type { Mutation } from "./Mutation.ts"
import { everyCall } from "./points.ts"
import { basePath, viewStore } from "./StoreView.ts"
import { startMillis, type StoreEffect, World } from "./World.ts"

/**
 * What a power loss takes of what was not flushed: nothing, everything, or what a seed says. `whole`: content is there
 * or is not, as it is on file systems that give a file its size when its blocks are written; otherwise it is torn too.
 */
export type Loss = "nothing" | "everything" | { readonly seed: number; readonly content: "whole" | "torn" }

export interface Trial {
  readonly disk: MemoryDisk
  readonly operation: (world: World) => StoreEffect
  /** The same once more, a minute after the restart. Default: just the operation. */
  readonly again?: (world: World) => StoreEffect
  readonly excuses?: Expectations["excuses"]
  readonly syncLevel?: ChunkStore.SyncLevel
  readonly loss?: Loss
}

/** What later runs are to clear away: unfinished backups, temporary files. */
export const untidy = (disk: MemoryDisk): string | undefined => {
  const unfinished = unfinishedIn(viewStore(disk).snapshots)
  if (unfinished !== undefined) return unfinished
  const visit = (path: string): string | undefined => {
    for (const [name, { kind }] of disk.list(path, 0)) {
      if (name.includes(".tmp_")) return `${path}/${name} is still there`
      const found = kind === "directory" ? visit(`${path}/${name}`) : undefined
      if (found !== undefined) return found
    }
    return undefined
  }
  return visit(basePath)
}

export const tidyUp = Effect.andThen(pruneUnfinished, Effect.andThen(collect(), collect()))

export const chooseBy = (loss: Loss): ((count: number) => number) => {
  if (loss === "nothing") return chooseFrom([])
  if (loss === "everything") return loseAll
  const chooser = fromSeed(loss.seed)
  const isWhole = loss.content === "whole"
  // Of more than two outcomes the first is that all is there, and the second that nothing is.
  return (count) => chooser.value("power loss", isWhole ? Math.min(count, 2) : count)
}

export const aftermath = (trial: Trial) => (mutation: Mutation) => (): Scenario => {
  const { again = trial.operation, excuses, loss = "everything", operation } = trial
  const syncLevel = trial.syncLevel ?? "filesystem"
  const world = new World(trial.disk.fork(), { mutation, points: everyCall, syncLevel })
  const { acknowledged, givenUp } = world
  const expectations = { acknowledged, givenUp, ...(excuses === undefined ? {} : { excuses }) }
  const checkNow = (): string | undefined => complaint(viewStore(world.disk), expectations)

  const checkLater = (): string | undefined => {
    const { disk } = world
    const next = new World(disk, { mutation, points: () => false, syncLevel })
    const inNext = next.process("next")
    const repeated = failureOf("the same operation again", inNext(again(world)), startMillis + minuteMillis)
    const wrong = repeated ?? checkNow()
    if (wrong !== undefined) return wrong
    const tidied = failureOf("tidying up", inNext(tidyUp), startMillis + monthMillis)
    return tidied ?? checkNow() ?? leftovers(viewStore(disk)) ?? untidy(disk)
  }

  return {
    program: world.process("first")(operation(world)),
    invariant: () => complaint(world.view, expectations),
    check: (outcome) => (hasEnded(outcome) ? undefined : (checkNow() ?? checkLater())),
    state: () => world.view.fingerprint,
    onCrash: (crash) => {
      world.changed()
      if (crash.kind === "process") return world.locks.releaseProcess(crash.process)
      world.locks.releaseAll()
      world.disk.losePower(chooseBy(loss))
    }
  }
}
