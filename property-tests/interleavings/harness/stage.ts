/**
 * Stage: a world and what is done in it, as a scenario of the laboratory. The invariants are looked at after every step
 * of every run, and what is left over at its end.
 */
import * as Effect from "effect/Effect"
import { type MemoryDisk, type Outcome, type Scenario, Simulation } from "../../../src/testing.ts"
import { complaint, type Expectations } from "./Invariants.ts"
import type { Mutation } from "./Mutation.ts"
import { settling } from "./settling.ts"
import { type Power, World, type WorldOptions } from "./World.ts"

export interface Cast extends Omit<WorldOptions, "mutation"> {
  readonly disk: MemoryDisk
  /** The program: usually some processes, all at once. */
  readonly program: (world: World) => Effect.Effect<unknown, unknown, Simulation>
  readonly recover?: (world: World) => Effect.Effect<unknown, unknown, Simulation>
  readonly excuses?: Expectations["excuses"]
  /** What the cast remembers beside the world: two states in which it differs are not the same. */
  readonly remembers?: () => string
  /** Beside the invariants, after every step. */
  readonly invariant?: (world: World) => string | undefined
  /** Beside the invariants, at the end. */
  readonly check?: (world: World, outcome: Outcome) => string | undefined
  /** What a power loss takes. Default `worst`. */
  readonly power?: Power
  /** Whether two collections later everything unneeded is gone (I5). Default true. */
  readonly settles?: boolean
  readonly allow?: Scenario["allow"]
}

/** A scenario for the laboratory: the invariants are looked at after every step. */
export const stage =
  (cast: Cast) =>
  (mutation: Mutation): (() => Scenario) => {
    const settle = settling()
    return () => {
      const world = new World(cast.disk.fork(), { ...cast, mutation })
      const { acknowledged, givenUp } = world
      const { excuses } = cast
      const expectations = { acknowledged, givenUp, ...(excuses === undefined ? {} : { excuses }) }
      let choose = (_count: number): number => 0
      const program = Effect.flatMap(Simulation, (simulation) => {
        choose = (count) => simulation.choose("power loss", count)
        return cast.program(world)
      })
      const checkEnd = (outcome: Outcome): string | undefined => {
        const own = cast.check?.(world, outcome)
        if (own !== undefined || cast.settles === false) return own
        return settle(world.disk, world.view, expectations)
      }
      return {
        program,
        ...(cast.recover === undefined ? {} : { recover: cast.recover(world) }),
        invariant: () => complaint(world.view, expectations) ?? world.fault ?? cast.invariant?.(world),
        check: (outcome) => checkEnd(outcome),
        state: () => world.view.fingerprint,
        shared: () => `${world.shared}\n${cast.remembers?.()}`,
        onCrash: (crash) => world.onCrash(cast.power ?? "worst", (count) => choose(count))(crash),
        ...(cast.allow === undefined ? {} : { allow: cast.allow })
      }
    }
  }

/** All at once. */
export const together = <E, R>(
  ...parts: ReadonlyArray<Effect.Effect<unknown, E, R>>
): Effect.Effect<void, E, R> => Effect.all(parts, { concurrency: "unbounded", discard: true })
