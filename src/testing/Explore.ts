/**
 * Explore: many runs of one scenario, until one fails or the strategy has nothing left; the failure is shrunk.
 *
 * An exploration is written once, as a generator that asks for runs: who drives it plays them at once, or waits for
 * real work. A scenario is made anew for each run, shrinking included.
 */
import { monotonicMillis } from "../platform/Monotonic.ts"
import { type Chooser, fromSchedule } from "./Choosers.ts"
import { judge, type Judgement } from "./Judge.ts"
import { everyOrder as everyOrderThere } from "./Reduction.ts"
import type { Failure, Report } from "./Report.ts"
import {
  type Run,
  run,
  runAsyncWith,
  runWith,
  type Scenario,
  type Visited,
  type WorldOptions
} from "./Run.ts"
import { shrink } from "./Shrink.ts"
import { scheduleOf } from "./Simulation.ts"
import * as Strategies from "./Strategies.ts"
import { timeline } from "./Timeline.ts"

export { assertHolds, render } from "./Report.ts"

export interface ExploreOptions<A = unknown, E = unknown> extends WorldOptions {
  /** At most so many runs. Default 1000, or 100,000 where a strategy comes to an end by itself. */
  readonly maxRuns?: number
  /** At most so many runs to make the first failure small. Default 2000; 0 leaves it as it is. */
  readonly maxShrinkRuns?: number
  /** Goes on after a failure, and counts them. Default false. */
  readonly keepGoing?: boolean
  /** Sees every run but those of shrinking. */
  readonly onRun?: (run: Run<A, E>) => void
}

/** Makes a scenario for one run. */
export type MakeScenario<A, E> = () => Scenario<A, E>

const maxShrinkRunsDefault = 2000
const maxRunsWithoutEnd = 1000
const maxRunsWithEnd = 100_000

interface Request<A, E> {
  readonly scenario: Scenario<A, E>
  readonly chooser: Chooser
  readonly visited?: Visited
}

type Exploration<A, E, Result> = Generator<Request<A, E>, Result, Run<A, E>>

interface Found<A, E> {
  readonly judgement: Judgement
  readonly run: Run<A, E>
  readonly seed: number | undefined
}

/** Makes a found failure small, as long as it stays of its kind and its outcome of that sort. */
function* shrinkFound<A, E>(
  make: MakeScenario<A, E>,
  found: Found<A, E>,
  options: ExploreOptions<A, E>
): Exploration<A, E, Failure<A, E>> {
  const first = scheduleOf(found.run.steps)
  let best = found
  const { schedule, tries } = yield* shrink<Request<A, E>, Run<A, E>>(
    first,
    function* (candidate) {
      const scenario = make()
      const again = yield { scenario, chooser: fromSchedule(candidate) }
      const judgement = judge(scenario, again)
      if (judgement?.kind !== found.judgement.kind) return undefined
      if (again.outcome._tag !== found.run.outcome._tag) return undefined
      best = { judgement, run: again, seed: found.seed }
      return scheduleOf(again.steps)
    },
    options.maxShrinkRuns ?? maxShrinkRunsDefault
  )
  return {
    kind: best.judgement.kind,
    message: best.judgement.message,
    seed: found.seed,
    found: first,
    schedule,
    shrinkRuns: tries,
    timeline: timeline(best.run),
    replay: () => run(make(), schedule, options)
  }
}

function* explore<A, E>(
  make: MakeScenario<A, E>,
  strategy: Strategies.Strategy,
  maxRuns: number,
  options: ExploreOptions<A, E>
): Exploration<A, E, Report<A, E>> {
  const visited: Visited = new Set()
  const startMillis = monotonicMillis()
  let [runs, depth, failures, complete] = [0, 0, 0, false]
  let first: Found<A, E> | undefined
  while (first === undefined || options.keepGoing === true) {
    const attempt = strategy.next()
    complete = attempt === undefined
    if (attempt === undefined || runs === maxRuns) break
    const scenario = make()
    const played = yield { scenario, chooser: attempt.chooser, visited }
    strategy.done(played)
    options.onRun?.(played)
    runs += 1
    depth = Math.max(depth, played.steps.length)
    const judgement = judge(scenario, played)
    if (judgement === undefined) continue
    failures += 1
    first ??= { judgement, run: played, seed: attempt.seed }
  }
  const seconds = (monotonicMillis() - startMillis) / 1000
  const failure = first === undefined ? undefined : yield* shrinkFound(make, first, options)
  const distinctStates = visited.size
  return { strategy: strategy.name, runs, distinctStates, depth, complete, seconds, failures, failure }
}

const atOnce = <A, E, Result>(exploration: Exploration<A, E, Result>, options: WorldOptions): Result => {
  for (let next = exploration.next(); ;) {
    if (next.done === true) return next.value
    const { scenario, chooser, visited } = next.value
    next = exploration.next(runWith(scenario, chooser, options, visited))
  }
}

const waiting = async <A, E, Result>(
  exploration: Exploration<A, E, Result>,
  options: WorldOptions
): Promise<Result> => {
  for (let next = exploration.next(); ;) {
    if (next.done === true) return next.value
    const { scenario, chooser, visited } = next.value
    next = exploration.next(await runAsyncWith(scenario, chooser, options, visited))
  }
}

export type SeededOptions<A = unknown, E = unknown> = ExploreOptions<A, E> & Strategies.SeededOptions
export type PctOptions<A = unknown, E = unknown> = ExploreOptions<A, E> & Strategies.PctOptions
export type ExhaustiveOptions<A = unknown, E = unknown> = ExploreOptions<A, E> & Strategies.ExhaustiveOptions
export type CrashesOptions<A = unknown, E = unknown> = ExploreOptions<A, E> & Strategies.CrashesOptions

const maxRunsOf = ({ maxRuns }: { readonly maxRuns?: number }, byDefault: number) => maxRuns ?? byDefault

/** Random schedules: every option with the same chance. */
export const seeded = <A, E>(make: MakeScenario<A, E>, options: SeededOptions<A, E> = {}): Report<A, E> =>
  atOnce(explore(make, Strategies.seeded(options), maxRunsOf(options, maxRunsWithoutEnd), options), options)

/** Random priorities with few changes: finds what needs a rare order of few events much sooner than chance does. */
export const pct = <A, E>(make: MakeScenario<A, E>, options: PctOptions<A, E> = {}): Report<A, E> =>
  atOnce(explore(make, Strategies.pct(options), maxRunsOf(options, maxRunsWithoutEnd), options), options)

/** Every schedule once, those of at most so many preemptions if bounded; and every fault in it, if asked. */
export const exhaustive = <A, E>(
  make: MakeScenario<A, E>,
  options: ExhaustiveOptions<A, E> = {}
): Report<A, E> =>
  atOnce(explore(make, Strategies.exhaustive(options), maxRunsOf(options, maxRunsWithEnd), options), options)

/**
 * Every order of steps that makes a difference, without a bound: of runs that differ only in the order of steps that
 * have nothing to do with each other, one. What a step touches is told by `Simulation.touches`; where nothing is told
 * this is `exhaustive`. Faults are not put in.
 */
export const everyOrder = <A, E>(
  make: MakeScenario<A, E>,
  options: ExploreOptions<A, E> = {}
): Report<A, E> =>
  atOnce(explore(make, everyOrderThere(), maxRunsOf(options, maxRunsWithEnd), options), options)

/** Schedules as they are, and then with a crash (or another fault) at every single step of each. */
export const crashes = <A, E>(make: MakeScenario<A, E>, options: CrashesOptions<A, E> = {}): Report<A, E> =>
  atOnce(explore(make, Strategies.crashes(options), maxRunsOf(options, maxRunsWithEnd), options), options)

/** `seeded` for scenarios with real asynchronous work in `external`. */
export const seededAsync = <A, E>(
  make: MakeScenario<A, E>,
  options: SeededOptions<A, E> = {}
): Promise<Report<A, E>> =>
  waiting(explore(make, Strategies.seeded(options), maxRunsOf(options, maxRunsWithoutEnd), options), options)

/** `exhaustive` for scenarios with real asynchronous work in `external`. */
export const exhaustiveAsync = <A, E>(
  make: MakeScenario<A, E>,
  options: ExhaustiveOptions<A, E> = {}
): Promise<Report<A, E>> =>
  waiting(explore(make, Strategies.exhaustive(options), maxRunsOf(options, maxRunsWithEnd), options), options)
