/**
 * Choosers: who decides in a run. A chooser lives for one run; it is asked at each decision with more than one option,
 * and answers a number below their count.
 *
 * Option 0 always means "as before": the actor that ran last goes on, or nothing unusual happens. So the empty list is
 * the sequential run, and small lists are runs with few switches.
 */
import type { Footprint } from "./Footprint.ts"
import type { Fault, FaultAt, Parked, Schedule } from "./Simulation.ts"

/** All that what follows depends on, in few letters; undefined where the scenario does not tell. */
export type StateOf = () => string | undefined

export interface Chooser {
  /**
   * Which of the parked fibers goes on. The array is the world's own and changes afterwards. `continues`: option 0 is
   * of the actor that ran last, so any other one is a preemption. -1 ends the run: what could follow is known.
   */
  readonly pick: (options: ReadonlyArray<Parked>, step: number, continues: boolean, state: StateOf) => number
  /** A value that the program asked for. */
  readonly value: (label: string, count: number) => number
  /** What befalls the picked fiber at this step. */
  readonly fault?: (step: number, at: Parked) => Fault
  /** Whether it is asked where there is one option only. Default false. */
  readonly asksAlways?: boolean
  /** Whether it wants to know states, where the scenario tells what is shared. Default false. */
  readonly asksForStates?: boolean
  /** Whether what has been decided so far was decided in an earlier run just so. */
  readonly repeats?: () => boolean
  /** Told after each step what it touched. */
  readonly took?: (footprint: Footprint) => void
}

/** Whether a fault means anything there; one that does not is left out. */
export const applies = (fault: Fault, at: Parked): boolean => {
  const isClock = at.strand === -1
  switch (fault) {
    case "none":
    case "crash":
      return true
    case "fail":
      return at.canFail
    case "interrupt":
      return !isClock
    case "kill":
      return !isClock && at.process !== undefined
  }
}

/** A small generator of numbers in [0, 1) from a seed (mulberry32). */
export const randomFrom = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Faults at certain steps and nowhere else. */
const faultsAt = (faults: ReadonlyArray<FaultAt>): Chooser["fault"] =>
  faults.length === 0 ? undefined : (step) => faults.find((fault) => fault.step === step)?.fault ?? "none"

const withFault = (fault: Chooser["fault"]) => (fault === undefined ? {} : { fault })

/** Follows a schedule; past the end of its list it goes on as before. */
export const fromSchedule = ({ choices, faults }: Schedule): Chooser => {
  let next = 0
  const choose = (count: number) => Math.abs(Math.trunc(choices[next++] ?? 0)) % count
  return {
    pick: (options) => choose(options.length),
    value: (_label, count) => choose(count),
    ...withFault(faultsAt(faults))
  }
}

/** Random faults: at most so many a run, each step with the same chance. */
export interface RandomFaults {
  readonly kinds: ReadonlyArray<Fault>
  /** At most so many a run. Default 1. */
  readonly max?: number
  /** That a step has one, between 0 and 1. Default 0.05. */
  readonly chance?: number
}

const randomFaults = (options: RandomFaults | undefined, random: () => number): Chooser["fault"] => {
  if (options === undefined || options.kinds.length === 0) return undefined
  const { kinds, max = 1, chance = 0.05 } = options
  let left = max
  return (_step, at) => {
    if (left === 0 || random() >= chance) return "none"
    const kind = kinds[Math.floor(random() * kinds.length)] ?? "none"
    if (kind === "none" || !applies(kind, at)) return "none"
    left -= 1
    return kind
  }
}

/** Every option with the same chance. */
export const fromSeed = (seed: number, faults?: RandomFaults): Chooser => {
  const random = randomFrom(seed)
  return {
    pick: (options) => Math.floor(random() * options.length),
    value: (_label, count) => Math.floor(random() * count),
    ...withFault(randomFaults(faults, random))
  }
}

export interface PriorityOptions {
  readonly seed: number
  /** How many orderings a bug needs: depth-1 times in a run the running fiber falls behind all others. */
  readonly depth: number
  /** How many steps a run has, about: the steps at which that happens are taken from that many. */
  readonly steps: number
  readonly faults?: RandomFaults | undefined
}

/**
 * Probabilistic concurrency testing (Burckhardt and others, 2010): each fiber has a random priority, the highest goes
 * on, and at depth-1 random steps the one that would go on gets the lowest of all. A bug of that depth among n fibers
 * and k steps is found with a chance of at least 1 / (n * k ** (depth - 1)) in each run, however rare it is among all
 * schedules.
 */
export const fromPriorities = ({ seed, depth, steps, faults }: PriorityOptions): Chooser => {
  const random = randomFrom(seed)
  const changes = Array.from({ length: depth - 1 }, () => Math.floor(random() * steps))
  const priorities = new Map<number, number>()
  const priorityOf = (strand: number): number => {
    const known = priorities.get(strand)
    if (known !== undefined) return known
    const drawn = random()
    priorities.set(strand, drawn)
    return drawn
  }
  const highest = (options: ReadonlyArray<Parked>): number => {
    let best = 0
    let bestPriority = -Infinity
    for (let index = 0; index < options.length; index++) {
      const priority = priorityOf(options[index]?.strand ?? 0)
      if (priority > bestPriority) [best, bestPriority] = [index, priority]
    }
    return best
  }
  let passed = 0
  const sorted = changes.sort((a, b) => a - b)
  return {
    pick: (options, step) => {
      // A change that fell on a step without a decision takes effect at the next one.
      while ((sorted[passed] ?? Infinity) <= step) {
        passed += 1
        priorities.set(options[highest(options)]?.strand ?? 0, -passed)
      }
      return highest(options)
    },
    value: (_label, count) => Math.floor(random() * count),
    ...withFault(randomFaults(faults, random))
  }
}
