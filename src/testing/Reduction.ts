/**
 * Reduction: every order of steps that makes a difference, once. Of runs that differ only in the order of steps that
 * have nothing to do with each other (see `Footprint`) one is played and the others are cut off.
 *
 * The method is that of sleep sets (Godefroid, 1996): when all runs that begin with step a have been played, a
 * sleeps in the runs that begin with another step b of the same moment, for as long as only steps follow that are
 * independent of a: all that a could bring there has been seen. A run in which everybody who can go on sleeps is
 * cut off. Nothing is lost by it: sleep sets leave out transitions, and never a state. So what holds after every
 * step of the runs that are played holds after every step of all.
 *
 * Where the scenario tells what is shared, and so what a state is, a run that comes to a known state is cut off as
 * well: what can follow has been seen, or is about to be. But for the steps that slept then: those that are awake now
 * are taken (the same, chapter 5), and only those that slept both times are left out for good.
 *
 * Invariant: the path holds the decisions of the run before, and for each those that were tried, with what they
 * touched; `seen` holds every state at which somebody was chosen, with the strands that nobody has taken there.
 */
import type { Chooser, StateOf } from "./Choosers.ts"
import { areIndependent, type Footprint, union } from "./Footprint.ts"
import type { Parked } from "./Simulation.ts"
import type { Strategy } from "./Strategies.ts"

interface Decision {
  readonly kind: "pick"
  readonly strands: ReadonlyArray<number>
  /** Those that are to be taken here. */
  readonly wanted: ReadonlySet<number>
  /** Not to be taken: what they bring has been seen. */
  readonly asleep: ReadonlyMap<number, Footprint>
  /** Taken before, and what they touched then. */
  readonly tried: Map<number, Footprint>
  chosen: number
  footprint: Footprint | undefined
}

interface Value {
  readonly kind: "value"
  readonly count: number
  chosen: number
}

const notDeterministic = (): Error =>
  new Error(
    "the scenario is not deterministic: a decision has other options than when it was first met; " +
      "make everything anew in each run, and take time and chance from the simulation"
  )

const sameStrands = (strands: ReadonlyArray<number>, options: ReadonlyArray<Parked>): boolean =>
  strands.length === options.length && strands.every((strand, index) => options[index]?.strand === strand)

const nobody: ReadonlySet<number> = new Set()

class Path {
  readonly #nodes: Array<Decision | Value> = []
  /** Who slept in a state each time that it was met. */
  readonly #seen = new Map<string, ReadonlySet<number>>()
  /** So many decisions are those of the run before, the last one of them with its next choice. */
  #fixed = 0
  #depth = 0
  /** The pick whose step is under way. */
  #current: Decision | undefined

  begin(): void {
    this.#depth = 0
    this.#current = undefined
  }

  took(footprint: Footprint): void {
    if (this.#current !== undefined) this.#current.footprint = union(this.#current.footprint, footprint)
  }

  get repeats(): boolean {
    return this.#depth < this.#fixed
  }

  /** -1 when there is nobody to take: everybody sleeps, or was taken in this state before. */
  pick(options: ReadonlyArray<Parked>, state: StateOf): number {
    const known = this.#depth < this.#fixed ? this.#nodes[this.#depth] : undefined
    if (known !== undefined) {
      if (known.kind !== "pick" || !sameStrands(known.strands, options)) throw notDeterministic()
      this.#current = known
      this.#depth += 1
      return known.chosen
    }
    const strands = options.map(({ strand }) => strand)
    const { asleep, wanted } = this.#wake(strands, this.#sleepers(), state())
    const chosen = strands.findIndex((strand) => wanted.has(strand))
    if (chosen === -1) return -1
    const tried = new Map<number, Footprint>()
    const node: Decision = { kind: "pick", strands, wanted, asleep, tried, chosen, footprint: undefined }
    this.#nodes[this.#depth++] = node
    this.#current = node
    return chosen
  }

  value(count: number): number {
    const known = this.#depth < this.#fixed ? this.#nodes[this.#depth] : undefined
    if (known !== undefined && (known.kind !== "value" || known.count !== count)) throw notDeterministic()
    const node: Value = known?.kind === "value" ? known : { kind: "value", count, chosen: 0 }
    this.#nodes[this.#depth++] = node
    return node.chosen
  }

  /** Who is to be taken: those who are awake, or of a state that is known those who have slept there until now. */
  #wake(
    strands: ReadonlyArray<number>,
    asleep: ReadonlyMap<number, Footprint>,
    state: string | undefined
  ): Pick<Decision, "asleep" | "wanted"> {
    const before = state === undefined ? undefined : this.#seen.get(state)
    const sleeping =
      before === undefined ? asleep : new Map([...asleep].filter(([strand]) => before.has(strand)))
    if (state !== undefined) this.#seen.set(state, sleeping.size === 0 ? nobody : new Set(sleeping.keys()))
    const isWanted = (strand: number): boolean => !asleep.has(strand) && before?.has(strand) !== false
    return { asleep: sleeping, wanted: new Set(strands.filter(isWanted)) }
  }

  /** Who sleeps after the step that was taken last: whom it did not concern. */
  #sleepers(): ReadonlyMap<number, Footprint> {
    const sleepers = new Map<number, Footprint>()
    const last = this.#current
    if (last?.footprint === undefined) return sleepers
    for (const seen of [last.asleep, last.tried]) {
      for (const [strand, footprint] of seen) {
        if (areIndependent(footprint, last.footprint)) sleepers.set(strand, footprint)
      }
    }
    return sleepers
  }

  /** Moves to the next run; false when that was the last. */
  advance(): boolean {
    for (let length = this.#depth; length > 0; length--) {
      const node = this.#nodes[length - 1]
      if (node === undefined || !moveOn(node)) continue
      this.#fixed = length
      return true
    }
    return false
  }
}

/** Takes the next choice of a decision; false when there is none. */
const moveOn = (node: Decision | Value): boolean => {
  if (node.kind === "value") {
    node.chosen += 1
    return node.chosen < node.count
  }
  const { chosen, footprint, strands, tried, wanted } = node
  const strand = strands[chosen]
  // A step that ended the run before it was seen whole has to be taken for one that touches everything.
  if (strand !== undefined) tried.set(strand, footprint ?? { process: undefined, touched: undefined })
  node.chosen = strands.findIndex((other) => wanted.has(other) && !tried.has(other))
  node.footprint = undefined
  return node.chosen !== -1
}

const chooserOf = (path: Path): Chooser => ({
  asksAlways: true,
  asksForStates: true,
  repeats: () => path.repeats,
  pick: (options, _step, _continues, state) => path.pick(options, state),
  value: (_label, count) => path.value(count),
  took: (footprint) => path.took(footprint)
})

export const everyOrder = (): Strategy => {
  const path = new Path()
  let left = true
  return {
    name: "every order that makes a difference",
    next: () => {
      if (!left) return undefined
      path.begin()
      return { chooser: chooserOf(path) }
    },
    done: () => {
      left = path.advance()
    }
  }
}
