/**
 * Simulation: the service through which code under test tells the laboratory where it can be stopped.
 *
 * A fiber parks at a point until the laboratory lets it go on. Nothing else of a program is ever interrupted in its
 * course: between two points a fiber runs alone. So a run is decided by who goes on at each point, and one list of
 * integers is one run. This file holds the service and its words only; `World` is the implementation, and the only
 * place that knows how Effect schedules fibers.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Touch } from "./Footprint.ts"

/**
 * What can befall a fiber that is about to go on:
 * - `fail`: the operation behind the point fails with its typed error (only where the point can fail).
 * - `interrupt`: its actor is interrupted, as by Ctrl-C: finalizers run.
 * - `kill`: its process dies, as by SIGKILL: no fiber of the process ever runs again, no finalizer runs, and the
 *   other processes go on.
 * - `crash`: the whole world stops, as by a power loss: no finalizer runs anywhere.
 */
export type Fault = "none" | "fail" | "interrupt" | "kill" | "crash"

/** A fault and the number of the step (from 0) at which it happens. */
export interface FaultAt {
  readonly step: number
  readonly fault: Fault
}

/** One run, apart from the program: what is chosen at each decision, and what goes wrong. */
export interface Schedule {
  readonly choices: ReadonlyArray<number>
  readonly faults: ReadonlyArray<FaultAt>
}

/** A fiber that waits at a point, as those see it who choose. */
export interface Parked {
  readonly actor: string
  /** The process it belongs to; undefined outside of all processes. */
  readonly process: string | undefined
  readonly label: string
  /** Whether the operation behind the point knows how to fail. */
  readonly canFail: boolean
  /** A number for each fiber of a run: of one process in the order in which they first parked; the clock is -1. */
  readonly strand: number
}

/**
 * One thing that happened. `point`: a parked fiber went on. `tick`: the clock moved to the next timer. `value`: the
 * program asked for a choice of its own.
 */
export interface Step {
  readonly kind: "point" | "tick" | "value"
  readonly actor: string
  readonly process: string | undefined
  readonly label: string
  readonly canFail: boolean
  readonly chosen: number
  /** How many options there were; only steps with more than one are decisions. */
  readonly count: number
  readonly fault: Fault
  /** The clock after the step. */
  readonly timeMillis: number
}

/** What died: one process, or everything. */
export type Crash = { readonly kind: "process"; readonly process: string } | { readonly kind: "world" }

export class Simulation extends Context.Service<
  Simulation,
  {
    /** Parks the calling fiber until it is chosen. */
    readonly point: (label: string) => Effect.Effect<void>
    /** Like `point`; answers true when the operation behind it is to fail. */
    readonly failPoint: (label: string) => Effect.Effect<boolean>
    /** One of 0 to count-1, decided like everything else; 0 stands for nothing unusual. At once: nobody parks. */
    readonly choose: (label: string, count: number) => number
    /**
     * Runs an effect with real asynchronous work in it, on the real clock and scheduler. That it has ended is a point
     * of its own, so the order of results is chosen too. Needs `runAsync`.
     */
    readonly external: <A, E, R>(label: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /** Names a concurrent part and parks it before its first step. */
    readonly actor: (name: string) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /** Runs an effect as a process of its own; answers none when the process was killed. */
    readonly process: (
      name: string
    ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E, R>
    /** Kills a process now; one that is not running stays as it is. */
    readonly kill: (process: string) => Effect.Effect<void>
    /**
     * Says what the step that runs now reads or writes of what other processes see, for `Explore.everyOrder`. A step
     * that never says anything touches everything; nothing is a thing to say, too.
     */
    readonly touches: (touches: Iterable<Touch>) => void
    /**
     * Says what the calling fiber's process has just learned of what other processes change, for `Explore.exhaustive`;
     * called only where somebody wants to know. See `Scenario.shared`.
     */
    readonly learns: (tell: () => string) => Effect.Effect<void>
    /** Called at once whenever something died: gives back what the dead held in the world outside. */
    readonly onCrash: (hook: (crash: Crash) => void) => Effect.Effect<void>
  }
>()("granary/testing/Simulation") {}

/** Parks the calling fiber until it is chosen. */
export const point = (label: string): Effect.Effect<void, never, Simulation> =>
  Simulation.use((simulation) => simulation.point(label))

/**
 * Names a concurrent part of a scenario, for the timeline, and parks it before its first step: so the order in which
 * parts begin is explored too. Fibers that it forks bear its name.
 */
export const actor =
  (name: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Simulation> =>
    Simulation.use((simulation) => simulation.actor(name)(self))

/**
 * Runs an effect as a process: all its fibers can be killed together, without finalizers, while the rest goes on.
 * Answers none when it was killed. Layers that stand for the process's own memory are to be provided inside of it.
 */
export const inProcess =
  (name: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R | Simulation> =>
    Simulation.use((simulation) => simulation.process(name)(self))

/** Runs an effect with real asynchronous work in it, under `runAsync`. */
export const external = <A, E, R>(
  label: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Simulation> => Simulation.use((simulation) => simulation.external(label, effect))

/** What was chosen, in the form in which it can be played again. */
export const scheduleOf = (steps: ReadonlyArray<Step>): Schedule => ({
  choices: steps.filter(({ count }) => count > 1).map(({ chosen }) => chosen),
  faults: steps.flatMap(({ fault }, step) => (fault === "none" ? [] : [{ step, fault }]))
})
