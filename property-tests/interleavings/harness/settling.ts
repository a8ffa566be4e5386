/**
 * Settling: what a store looks like long after everybody has ended: two garbage collections later nothing is left that
 * nobody needs, and nothing is missing that somebody needs (I5).
 *
 * Different schedules end on the same disk most of the time, so a verdict is remembered by what was on the disk.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Gc from "../../../src/gc/Gc.ts"
import type { MemoryDisk } from "../../../src/testing.ts"
import { complaint, type Expectations, leftovers } from "./Invariants.ts"
import { type StoreView, viewStore } from "./StoreView.ts"
import { runAlone, startMillis } from "./World.ts"

const laterMillis = startMillis + 30 * 86_400_000

const collectTwice = Effect.andThen(Gc.collect({ checksTimes: false }), Gc.collect({ checksTimes: false }))

const judge = (disk: MemoryDisk, expectations: Expectations): string | undefined => {
  const exit = runAlone(disk, collectTwice, { startMillis: laterMillis })
  if (Exit.isFailure(exit)) return `I5: garbage cannot be collected any more: ${Cause.pretty(exit.cause)}`
  const after = viewStore(disk)
  return complaint(after, expectations) ?? leftovers(after)
}

/** Judges ends of runs; the store itself stays as it is. */
export const settling = () => {
  const known = new Map<string, string | undefined>()
  return (disk: MemoryDisk, view: StoreView, expectations: Expectations): string | undefined => {
    const key = `${view.fingerprint} ${[...expectations.givenUp].join(" ")}`
    if (!known.has(key)) known.set(key, judge(disk.fork(), expectations))
    return known.get(key)
  }
}
