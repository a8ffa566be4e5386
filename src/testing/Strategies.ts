/**
 * Strategies: which runs an exploration makes, one after the other. A strategy hands out a chooser for each run and
 * may look at the run before it hands out the next; it knows nothing of right and wrong.
 */
import {
  applies,
  type Chooser,
  fromPriorities,
  fromSchedule,
  fromSeed,
  type RandomFaults
} from "./Choosers.ts"
import type { Run } from "./Run.ts"
import type { Fault, Parked, Schedule, Step } from "./Simulation.ts"

export interface Attempt {
  readonly chooser: Chooser
  readonly seed?: number
}

export interface Strategy {
  /** What it does, for the report. */
  readonly name: string
  /** Undefined when there is nothing left to try. */
  readonly next: () => Attempt | undefined
  readonly done: (run: Run) => void
}

const faultsName = (faults: RandomFaults | undefined): string =>
  faults === undefined ? "" : `, faults ${faults.kinds.join(" ")}`

export interface SeededOptions {
  /** The seed of the first run; each later one has the next. Default 0. */
  readonly seed?: number
  readonly faults?: RandomFaults
}

export const seeded = ({ seed = 0, faults }: SeededOptions): Strategy => {
  let next = seed
  return {
    name: `seeded from ${seed}${faultsName(faults)}`,
    next: () => {
      const attempt = { chooser: fromSeed(next, faults), seed: next }
      next += 1
      return attempt
    },
    done: () => undefined
  }
}

export interface PctOptions extends SeededOptions {
  /** How many orderings the bug needs, at most. Default 3. */
  readonly depth?: number
  /** How many steps a run has, about. By default as many as the sequential run. */
  readonly steps?: number
}

export const pct = ({ seed = 0, depth = 3, steps, faults }: PctOptions): Strategy => {
  let next = seed
  // The sequential run tells how long runs are; so one seed means one schedule, whatever was played before it.
  let known = steps
  return {
    name: `pct of depth ${depth} from ${seed}${faultsName(faults)}`,
    next: () => {
      if (known === undefined) return { chooser: fromSchedule({ choices: [], faults: [] }) }
      const attempt = { chooser: fromPriorities({ seed: next, depth, steps: known, faults }), seed: next }
      next += 1
      return attempt
    },
    done: (run) => {
      known ??= Math.max(1, run.steps.length)
    }
  }
}

export interface FaultBudget {
  readonly kinds: ReadonlyArray<Fault>
  /** At most so many a run. Default 1. */
  readonly max?: number
}

export interface ExhaustiveOptions {
  /** How often a run may switch away from an actor that could go on. Default: as often as it likes. */
  readonly preemptions?: number
  /** Faults at every step of every schedule, as decisions like the others. */
  readonly faults?: FaultBudget
}

interface Decision {
  readonly count: number
  /** The options that are taken here, one after the other. */
  readonly wanted: ReadonlyArray<number>
  /** Which of them is taken now. */
  at: number
}

/** The tree of decisions, walked depth first: the list of what was taken is also the way to the next leaf. */
class Tree {
  private readonly decisions: Array<Decision> = []
  private fixed = 0
  private depth = 0
  /** The fewest preemptions with which each strand went on from each state. */
  private readonly taken = new Map<string, number>()

  /** Whether nobody has gone on so with as many preemptions left; now somebody has. */
  isNew(state: string, strand: number, spent: number): boolean {
    const key = `${state} ${strand}`
    if ((this.taken.get(key) ?? Infinity) <= spent) return false
    this.taken.set(key, spent)
    return true
  }

  /** -1 when nothing is wanted. */
  decide(count: number, wantedNow: () => ReadonlyArray<number>): number {
    const known = this.repeats ? this.decisions[this.depth] : undefined
    if (known !== undefined && known.count !== count) {
      throw new Error(
        `the scenario is not deterministic: decision ${this.depth} had ${known.count} options and now has ${count}; ` +
          "make everything anew in each run, and take time and chance from the simulation"
      )
    }
    const decision = known ?? { count, wanted: wantedNow(), at: 0 }
    const chosen = decision.wanted[decision.at]
    if (chosen === undefined) return -1
    this.decisions[this.depth++] = decision
    return chosen
  }

  /** Whether the run has decided nothing yet that the one before it did not. */
  get repeats(): boolean {
    return this.depth < this.fixed
  }

  begin(): void {
    this.depth = 0
  }

  /** Moves to the next leaf; false when that was the last. */
  advance(): boolean {
    for (let length = this.depth; length > 0; length--) {
      const decision = this.decisions[length - 1]
      if (decision === undefined || decision.at + 1 >= decision.wanted.length) continue
      decision.at += 1
      this.fixed = length
      return true
    }
    return false
  }
}

const upTo = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index)

const treeChooser = (tree: Tree, { preemptions = Infinity, faults }: ExhaustiveOptions): Chooser => {
  let spent = 0
  let faultsLeft = faults?.max ?? 1
  const pick: Chooser["pick"] = (options, _step, continues, stateOf) => {
    const costOf = (index: number): number => spent + (continues && index > 0 ? 1 : 0)
    const chosen = tree.decide(options.length, () => {
      const state = stateOf()
      return upTo(options.length).filter((index) => {
        const cost = costOf(index)
        if (cost > preemptions) return false
        return state === undefined || tree.isNew(state, options[index]?.strand ?? 0, cost)
      })
    })
    if (chosen !== -1) spent = costOf(chosen)
    return chosen
  }
  const value = (_label: string, count: number): number => tree.decide(count, () => upTo(count))
  const repeats = (): boolean => tree.repeats
  if (faults === undefined) return { pick, value, repeats, asksAlways: true, asksForStates: true }
  return {
    pick,
    value,
    repeats,
    fault: (_step, at) => {
      if (faultsLeft === 0) return "none"
      const kinds = faults.kinds.filter((kind) => kind !== "none" && applies(kind, at))
      const chosen = kinds.length === 0 ? 0 : tree.decide(kinds.length + 1, () => upTo(kinds.length + 1))
      if (chosen === 0) return "none"
      faultsLeft -= 1
      return kinds[chosen - 1] ?? "none"
    }
  }
}

export const exhaustive = (options: ExhaustiveOptions): Strategy => {
  const tree = new Tree()
  let left = true
  const { preemptions = Infinity, faults } = options
  const bound = preemptions === Infinity ? "" : `, preemptions <= ${preemptions}`
  const faultBound = faults === undefined ? "" : `, faults ${faults.kinds.join(" ")} <= ${faults.max ?? 1}`
  return {
    name: `exhaustive${bound}${faultBound}`,
    next: () => {
      if (!left) return undefined
      tree.begin()
      return { chooser: treeChooser(tree, options) }
    },
    done: () => {
      left = tree.advance()
    }
  }
}

export interface CrashesOptions {
  /** What happens at every step. Default `crash`. */
  readonly kinds?: ReadonlyArray<Fault>
  /** In these schedules, or in every one of so many preemptions. Default: 1 preemption. */
  readonly schedules?: ReadonlyArray<ReadonlyArray<number>> | { readonly preemptions: number }
}

const placeOf = ({ actor, process, label, canFail, kind }: Step): Parked => ({
  actor,
  process,
  label,
  canFail,
  strand: kind === "tick" ? -1 : 0
})

const following = (schedules: ReadonlyArray<ReadonlyArray<number>>): Strategy => {
  let at = 0
  return {
    name: `${schedules.length} schedules`,
    next: () => {
      const choices = schedules[at++]
      return choices === undefined ? undefined : { chooser: fromSchedule({ choices, faults: [] }) }
    },
    done: () => undefined
  }
}

/** The schedule with each fault at each step where it means something. */
const faultyVariants = (steps: ReadonlyArray<Step>, kinds: ReadonlyArray<Fault>): ReadonlyArray<Schedule> => {
  const choices = steps.filter(({ count }) => count > 1).map(({ chosen }) => chosen)
  return steps.flatMap((step, index) =>
    step.kind === "value"
      ? []
      : kinds
          .filter((fault) => applies(fault, placeOf(step)))
          .map((fault) => ({ choices, faults: [{ step: index, fault }] }))
  )
}

/** Every schedule as it is, and then again with a fault at each of its steps. */
export const crashes = ({ kinds = ["crash"], schedules = { preemptions: 1 } }: CrashesOptions): Strategy => {
  const base = "preemptions" in schedules ? exhaustive(schedules) : following(schedules)
  let variants: ReadonlyArray<Schedule> = []
  let at = 0
  let isBase = false
  return {
    name: `${kinds.join(" ")} at every step of ${base.name}`,
    next: () => {
      const variant = variants[at++]
      isBase = variant === undefined
      return variant === undefined ? base.next() : { chooser: fromSchedule(variant) }
    },
    done: (run) => {
      if (!isBase) return
      base.done(run)
      variants = faultyVariants(run.steps, kinds)
      at = 0
    }
  }
}
