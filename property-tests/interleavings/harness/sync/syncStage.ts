/**
 * syncStage: a world of two stores and what is done in it, as a scenario of the laboratory. The invariants are looked
 * at on both ends after every step of every run, and what is left over at its end on both.
 */
import * as Effect from "effect/Effect"
import { type Outcome, type Scenario, Simulation } from "../../../../src/testing.ts"
import type { Mutation } from "../Mutation.ts"
import { isFull } from "../Row.ts"
import { settling } from "../settling.ts"
import type { Power } from "../World.ts"
import { type SyncDisks, SyncWorld, type SyncWorldOptions } from "./SyncWorld.ts"

export interface SyncCast extends Omit<SyncWorldOptions, "mutation"> {
  readonly disks: SyncDisks
  readonly program: (world: SyncWorld) => Effect.Effect<unknown, unknown, Simulation>
  /** Beside the invariants, after every step. */
  readonly invariant?: (world: SyncWorld) => string | undefined
  /** Beside the invariants, at the end. */
  readonly check?: (world: SyncWorld, outcome: Outcome) => string | undefined
  /** What a power loss takes, of both ends. Default `worst`. */
  readonly power?: Power
}

export const syncStage =
  (cast: SyncCast) =>
  (mutation: Mutation): (() => Scenario) => {
    const settles = { source: settling(), target: settling() }
    return () => {
      const { source, target } = cast.disks
      const world = new SyncWorld({ source: source.fork(), target: target.fork() }, { ...cast, mutation })
      let choose = (_count: number): number => 0
      const program = Effect.flatMap(Simulation, (simulation) => {
        choose = (count) => simulation.choose("power loss", count)
        return cast.program(world)
      })
      const checkEnd = (outcome: Outcome): string | undefined => {
        const own = cast.check?.(world, outcome)
        if (own !== undefined) return own
        for (const end of ["source", "target"] as const) {
          const { disk, view } = world[end]
          const found = settles[end](disk, view, world.expectationsOf(world[end]))
          if (found !== undefined) return `${end}: ${found}`
        }
        return undefined
      }
      return {
        program,
        invariant: () => world.complaint() ?? cast.invariant?.(world),
        check: checkEnd,
        state: () => world.fingerprint,
        // Telling it costs more than it saves where few switches are looked at.
        ...(isFull ? { shared: () => world.shared } : {}),
        onCrash: (crash) => world.onCrash(cast.power ?? "worst", (count) => choose(count))(crash)
      }
    }
  }
