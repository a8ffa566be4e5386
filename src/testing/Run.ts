/**
 * Run: a scenario played once, from its first step to its outcome.
 *
 * A scenario is made anew for every run, so that nothing of one run is left in the next. What its program does must
 * depend on nothing but the choices: then the same schedule gives the same run, on every machine.
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { type Chooser, fromSchedule } from "./Choosers.ts"
import type { Crash, Parked, Schedule, Simulation, Step } from "./Simulation.ts"
import { World, type WorldOptions } from "./World.ts"

export type { WorldOptions } from "./World.ts"

export type Outcome<A = unknown, E = unknown> =
  /** The program ended by itself. */
  | { readonly _tag: "Done"; readonly exit: Exit.Exit<A, E> }
  /** The whole world stopped at that step; `recovered` is how the scenario's `recover` ended, if it has one. */
  | {
      readonly _tag: "Crashed"
      readonly at: Parked
      readonly recovered: Exit.Exit<unknown, unknown> | undefined
    }
  /** Nobody can ever go on. */
  | {
      readonly _tag: "Deadlock"
      readonly waiting: ReadonlyArray<{ readonly actor: string; readonly label: string }>
    }
  /** It took too many steps: probably for ever. */
  | { readonly _tag: "StepLimit" }
  /** The invariant did not hold after the last step. */
  | { readonly _tag: "Violated"; readonly message: string }
  /** The exploration has seen all that could follow. */
  | { readonly _tag: "Pruned" }

/** Nothing, or true: it holds. False, or a text that says what is wrong: it does not; neither does what throws. */
export type Verdict = boolean | string | void

export interface Scenario<A = unknown, E = unknown> {
  readonly program: Effect.Effect<A, E, Simulation>
  /** What is run after a crash of the whole world, in the same world: a restart. It is interleaved as well. */
  readonly recover?: Effect.Effect<unknown, unknown, Simulation>
  /** Must hold after every step; looked at between steps, so it reads plain values and never waits. */
  readonly invariant?: () => Verdict
  /** Must hold at the end. Sees every outcome that is not a failure by itself. */
  readonly check?: (outcome: Outcome<A, E>) => Verdict
  /** Ends that are fine here, although they usually are not. */
  readonly allow?: ReadonlyArray<"Deadlock" | "StepLimit" | "Defect" | "Failed">
  /** A cheap fingerprint of the data, to count distinct states by. */
  readonly state?: () => string | number
  /**
   * All that processes share, in full: data, locks, what the scenario itself remembers. With it `Explore.exhaustive`
   * goes on from each state once. It takes that a process learns of others nothing but what it says by
   * `Simulation.learns`.
   */
  readonly shared?: () => string
  /** Called when a process or the world died, before anybody goes on: releases locks, loses unsynced writes. */
  readonly onCrash?: (crash: Crash) => void
}

export interface Run<A = unknown, E = unknown> {
  readonly outcome: Outcome<A, E>
  readonly steps: ReadonlyArray<Step>
  /** How far the clock moved. */
  readonly elapsedMillis: number
}

/** Undefined when it holds, else what is wrong. */
export const complaintOf = (judge: () => Verdict): string | undefined => {
  try {
    const verdict = judge()
    if (verdict === false) return "it does not hold"
    return typeof verdict === "string" ? verdict : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Collects fingerprints of the states that runs pass through. */
export type Visited = Set<string | number>

class Session<A, E> {
  readonly world: World
  private readonly scenario: Scenario<A, E>
  private readonly repeats: Chooser["repeats"]
  private readonly visited: Visited | undefined
  private readonly startMillis: number
  private readonly fiber: Fiber.Fiber<A, E>
  private recovery: Fiber.Fiber<unknown, unknown> | undefined
  private crashedAt: Parked | undefined

  constructor(
    scenario: Scenario<A, E>,
    chooser: Chooser,
    options: WorldOptions,
    visited: Visited | undefined
  ) {
    this.world = new World(chooser, options, scenario.shared)
    this.scenario = scenario
    this.repeats = chooser.repeats
    this.visited = visited
    this.startMillis = this.world.nowMillis
    if (scenario.onCrash !== undefined) this.world.onCrash(scenario.onCrash)
    this.fiber = this.world.start(scenario.program)
  }

  private ended(): Outcome<A, E> | undefined {
    if (this.crashedAt === undefined) {
      const exit = this.fiber.pollUnsafe()
      return exit === undefined ? undefined : { _tag: "Done", exit }
    }
    const recovered = this.recovery?.pollUnsafe()
    if (this.recovery !== undefined && recovered === undefined) return undefined
    return { _tag: "Crashed", at: this.crashedAt, recovered }
  }

  private crashed(at: Parked): void {
    this.crashedAt = at
    const { recover } = this.scenario
    this.recovery = recover === undefined ? undefined : this.world.start(recover)
  }

  /** What is wrong with the state in which everybody rests. */
  private look(): string | undefined {
    const { scenario, visited, world } = this
    const message = scenario.invariant === undefined ? undefined : complaintOf(scenario.invariant)
    if (message !== undefined) return message
    visited?.add(scenario.state === undefined ? world.history.fingerprint : scenario.state())
    return undefined
  }

  /** Lets everybody run who can; unless that was the end, or real work is awaited, takes the next step. */
  advance(): Outcome<A, E> | "waits" | undefined {
    const { world } = this
    if (!world.fibers.drain()) return { _tag: "StepLimit" }
    world.settle()
    const message = this.repeats?.() === true ? undefined : this.look()
    if (message !== undefined) return { _tag: "Violated", message }
    const outcome = this.ended()
    if (outcome !== undefined) return outcome
    if (world.external.count > 0) return "waits"
    const end = world.step()
    switch (end?.kind) {
      case "stuck":
        return { _tag: "Deadlock", waiting: world.waiting }
      case "limit":
        return { _tag: "StepLimit" }
      case "pruned":
        return { _tag: "Pruned" }
      case "crashed":
        this.crashed(end.at)
        return undefined
      case undefined:
        return undefined
    }
  }

  result(outcome: Outcome<A, E>): Run<A, E> {
    return { outcome, steps: this.world.steps, elapsedMillis: this.world.nowMillis - this.startMillis }
  }
}

/** Plays a scenario with a chooser, all at once. It must not wait for anything real. */
export const runWith = <A, E>(
  scenario: Scenario<A, E>,
  chooser: Chooser,
  options: WorldOptions = {},
  visited?: Visited
): Run<A, E> => {
  const session = new Session(scenario, chooser, options, visited)
  for (;;) {
    const outcome = session.advance()
    if (outcome === "waits") {
      void session.world.external.close()
      throw new Error("the scenario waits for real asynchronous work: play it with runAsync")
    }
    if (outcome !== undefined) return session.result(outcome)
  }
}

/** Like `runWith`; waits for `external` effects before each decision. */
export const runAsyncWith = async <A, E>(
  scenario: Scenario<A, E>,
  chooser: Chooser,
  options: WorldOptions = {},
  visited?: Visited
): Promise<Run<A, E>> => {
  const session = new Session(scenario, chooser, options, visited)
  const { external, fibers } = session.world
  for (;;) {
    const outcome = session.advance()
    if (outcome === "waits") {
      await new Promise<void>((resolve) => {
        fibers.notify = resolve
      })
      fibers.notify = undefined
    } else if (outcome !== undefined) {
      await external.close()
      return session.result(outcome)
    }
  }
}

const scheduleFrom = ({ choices = [], faults = [] }: Partial<Schedule>): Schedule => ({ choices, faults })

/** Plays a scenario by a schedule; without one as a sequential run. */
export const run = <A, E>(
  scenario: Scenario<A, E>,
  schedule: Partial<Schedule> = {},
  options: WorldOptions = {}
): Run<A, E> => runWith(scenario, fromSchedule(scheduleFrom(schedule)), options)

/** Plays a scenario with real asynchronous work in it by a schedule. */
export const runAsync = <A, E>(
  scenario: Scenario<A, E>,
  schedule: Partial<Schedule> = {},
  options: WorldOptions = {}
): Promise<Run<A, E>> => runAsyncWith(scenario, fromSchedule(scheduleFrom(schedule)), options)
