/**
 * Row: one row of the race ledger: its scenarios, how far each is explored, and the mutants, each with the exploration
 * that must find it. Rows are values, so that tests, and the table of mutants, go over the same ones.
 */
import { Explore, type Report, type Scenario, type WorldOptions } from "../../../src/testing.ts"
import { guarded, type Mutation } from "./Mutation.ts"

/** `full`: the whole range of the proof, for hours; without it what every change is tested with, for seconds. */
export const isFull = process.env["GRANARY_EXPLORE"] === "full"

/** Where random explorations begin. */
export const seed = Number(process.env["GRANARY_SEED"] ?? 1)

const fullSeededRuns = 200_000
const fullExhaustiveRuns = 5_000_000

export interface Mutant {
  /** What is switched off, in a few words. */
  readonly guard: string
  readonly mutation: Mutation
  /** How it is looked for. */
  readonly by: Search
  /** It must be found within so many runs. */
  readonly maxRuns: number
}

export type Search =
  | { readonly strategy: "exhaustive"; readonly preemptions: number }
  | { readonly strategy: "pct"; readonly depth: number }
  | { readonly strategy: "seeded"; readonly faults?: ReadonlyArray<"kill" | "crash" | "interrupt"> }
  | {
      readonly strategy: "crashes"
      readonly kinds: ReadonlyArray<"kill" | "crash" | "interrupt">
      readonly preemptions: number
    }

export interface Case {
  readonly name: string
  readonly make: (mutation: Mutation) => () => Scenario
  /** How the exploration sees time and steps. */
  readonly world?: WorldOptions
  /** Its steps do not say what they touch: to look for every order that makes a difference is hopeless. */
  readonly isOpaque?: boolean
  /** With the guards on: every schedule of so many preemptions, in everyday tests and in the full range. */
  readonly preemptions: { readonly daily: number; readonly full: number }
  /** And so many random ones, half of them by priorities. */
  readonly dailySeededRuns: number
  /** Faults at every step, of every schedule with so many preemptions. */
  readonly crashes?: {
    readonly kinds: ReadonlyArray<"kill" | "crash" | "interrupt">
    readonly preemptions: { readonly daily: number; readonly full: number }
  }
  readonly mutants: ReadonlyArray<Mutant>
}

export interface Row {
  /** `R1`. */
  readonly id: string
  readonly title: string
  readonly cases: ReadonlyArray<Case>
}

/** Errors are made by the thousand, and nobody reads where. */
const withoutStacks = <A>(explore: () => A): A => {
  const before = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return explore()
  } finally {
    Error.stackTraceLimit = before
  }
}

const findNow = ({ make, world = {} }: Case, { by, maxRuns, mutation }: Mutant): Report => {
  const scenario = make(mutation)
  const options = { ...world, maxRuns }
  switch (by.strategy) {
    case "exhaustive":
      return Explore.exhaustive(scenario, { ...options, preemptions: by.preemptions })
    case "pct":
      return Explore.pct(scenario, { ...options, depth: by.depth, seed })
    case "crashes":
      return Explore.crashes(scenario, {
        ...options,
        kinds: by.kinds,
        schedules: { preemptions: by.preemptions }
      })
    case "seeded":
      return Explore.seeded(scenario, {
        ...options,
        seed,
        ...(by.faults === undefined ? {} : { faults: { kinds: by.faults } })
      })
  }
}

/** Looks for a mutant as its search says. */
export const find = (of: Case, mutant: Mutant): Report => withoutStacks(() => findNow(of, mutant))

/** One exploration of the product as it is, which must find nothing. */
export interface Proof {
  readonly name: string
  /** It leaves nothing out within its bounds. */
  readonly isExhaustive: boolean
  /** Explored when it is asked for. */
  readonly report: Report
}

const proof = (name: string, isExhaustive: boolean, explore: () => Report): Proof => {
  let report: Report | undefined
  return {
    name,
    isExhaustive,
    get report() {
      return (report ??= withoutStacks(explore))
    }
  }
}

/** Few enough to play every one, without a bound. */
const ordersMax = 150_000

const proveBounded = function* (of: Case): Iterable<Proof> {
  const { crashes, make, preemptions, world = {} } = of
  const moment = isFull ? "full" : "daily"
  const scenario = make(guarded)
  const all = { ...world, maxRuns: fullExhaustiveRuns }
  const maxRuns = Math.ceil((isFull ? fullSeededRuns : of.dailySeededRuns) / 2)
  yield proof(`all schedules of ${preemptions[moment]} preemptions`, true, () =>
    Explore.exhaustive(scenario, { ...all, preemptions: preemptions[moment] })
  )
  if (crashes !== undefined) {
    const { kinds } = crashes
    const schedules = { preemptions: crashes.preemptions[moment] }
    yield proof(`${kinds.join(", ")} at every step`, true, () =>
      Explore.crashes(scenario, { ...all, kinds, schedules })
    )
  }
  if (of.dailySeededRuns === 0) return
  const random = { ...world, seed, maxRuns }
  yield proof("random priorities", false, () => Explore.pct(scenario, { ...random, depth: 4 }))
  yield proof("random choices", false, () => Explore.seeded(scenario, random))
}

/**
 * Where every order of steps that makes a difference can be played, bounds and chance could add nothing. `isBounded`:
 * does not try.
 */
export const prove = function* (of: Case, isBounded = !isFull): Iterable<Proof> {
  if (!isBounded && of.crashes === undefined) {
    const options = { ...of.world, maxRuns: ordersMax }
    const everyOrder = proof("every order that makes a difference", true, () =>
      Explore.everyOrder(of.make(guarded), options)
    )
    const { complete, failure } = everyOrder.report
    if (complete || failure !== undefined) return yield everyOrder
  }
  yield* proveBounded(of)
}
