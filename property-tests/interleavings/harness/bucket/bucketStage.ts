/**
 * BucketStage: a datastore in a bucket, its hosts, and what is done there, as a scenario of the laboratory. After every
 * step the invariants are looked at in the bucket (I1, I2, I4) and in every cache folder (I3), and at the end what is left
 * over when garbage was collected twice, long after everybody had ended (I5).
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Gc from "../../../../src/gc/Gc.ts"
import { type Outcome, type Scenario, Simulation } from "../../../../src/testing.ts"
import { complaint, type Expectations, leftovers } from "../Invariants.ts"
import type { Mutation } from "../Mutation.ts"
import { startMillis } from "../World.ts"
import { forkStart, runAlone } from "./bucketStart.ts"
import { namesInFolder, viewBucket } from "./BucketView.ts"
import { type BucketStart, BucketWorld, type BucketWorldOptions } from "./BucketWorld.ts"

export interface BucketCast extends Omit<BucketWorldOptions, "mutation"> {
  readonly start: BucketStart
  /** The program: usually some processes, all at once. */
  readonly program: (world: BucketWorld) => Effect.Effect<unknown, unknown, Simulation>
  readonly excuses?: Expectations["excuses"]
  /** Beside the invariants, after every step. */
  readonly invariant?: (world: BucketWorld) => string | undefined
  /** Beside the invariants, at the end. */
  readonly check?: (world: BucketWorld, outcome: Outcome) => string | undefined
  /** Whether two collections later everything unneeded is gone (I5). Default true. */
  readonly settles?: boolean
  readonly allow?: Scenario["allow"]
}

const laterMillis = startMillis + 30 * 86_400_000

const collectTwice = Effect.andThen(Gc.collect({ checksTimes: false }), Gc.collect({ checksTimes: false }))

/** What is wrong with a store that was collected twice, a month after everybody had ended. */
export const judgeSettled = (
  start: BucketStart,
  expectations: Expectations,
  server: BucketCast["server"] = {}
): string | undefined => {
  const exit = runAlone(start, collectTwice, { startMillis: laterMillis, server })
  if (Exit.isFailure(exit)) return `I5: garbage cannot be collected any more: ${Cause.pretty(exit.cause)}`
  const after = viewBucket(start.bucket)
  const wrong = complaint(after, expectations) ?? leftovers(after)
  if (wrong !== undefined) return wrong
  const { here } = start.disks
  const left =
    here === undefined ? undefined : namesInFolder(here).find((name) => /\.tmp_|\.using$/.test(name))
  return left === undefined ? undefined : `I5: ${left} was not collected`
}

/** Different schedules end alike most of the time, so a verdict is remembered by what it was about. */
const settling = (server: BucketCast["server"]) => {
  const known = new Map<string, string | undefined>()
  return (world: BucketWorld, expectations: Expectations): string | undefined => {
    const names = namesInFolder(world.disk()).map((name) => name.replace(/\.tmp_.*/, ".tmp"))
    const key = `${world.view.fingerprint} ${world.view.leases} ${names.join(" ")} ${[...expectations.givenUp].join(" ")}`
    if (!known.has(key)) known.set(key, judgeSettled(world.copy(), expectations, server))
    return known.get(key)
  }
}

/** A scenario for the laboratory: the invariants are looked at after every step. */
export const bucketStage =
  (cast: BucketCast) =>
  (mutation: Mutation): (() => Scenario) => {
    const settle = settling(cast.server)
    return () => {
      const world = new BucketWorld(forkStart(cast.start), { ...cast, mutation })
      const { acknowledged, givenUp } = world
      const { excuses } = cast
      const expectations = { acknowledged, givenUp, ...(excuses === undefined ? {} : { excuses }) }
      let choose = (_count: number): number => 0
      return {
        program: Effect.flatMap(Simulation, (simulation) => {
          choose = (count) => simulation.choose("power loss", count)
          return cast.program(world)
        }),
        invariant: () =>
          complaint(world.view, expectations) ?? world.untrue() ?? world.fault ?? cast.invariant?.(world),
        check: (outcome) => {
          const own = cast.check?.(world, outcome)
          return own !== undefined || cast.settles === false ? own : settle(world, expectations)
        },
        state: () => world.view.fingerprint,
        onCrash: (crash) => world.onCrash((count) => choose(count))(crash),
        ...(cast.allow === undefined ? {} : { allow: cast.allow })
      }
    }
  }
