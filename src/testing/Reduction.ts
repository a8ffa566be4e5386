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
 * Invariant: the path holds the decisions of the run before, and for each those that were tried, with what they
 * touched.
 */
import type { Chooser } from "./Choosers.ts"
import { areIndependent, type Footprint, union } from "./Footprint.ts"
import type { Parked } from "./Simulation.ts"
import type { Strategy } from "./Strategies.ts"

interface Pick {
  readonly kind: "pick"
  readonly strands: ReadonlyArray<number>
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

class Path {
  readonly #nodes: Array<Pick | Value> = []
  /** So many decisions are those of the run before, the last one of them with its next choice. */
  #fixed = 0
  #depth = 0
  /** The pick whose step is under way. */
  #current: Pick | undefined

  begin(): void {
    this.#depth = 0
    this.#current = undefined
  }

  took(footprint: Footprint): void {
    if (this.#current !== undefined) this.#current.footprint = union(this.#current.footprint, footprint)
  }

  /** Whether the run has decided nothing yet that the one before it did not. */
  get repeats(): boolean {
    return this.#depth < this.#fixed
  }

  /** -1 when everybody sleeps. */
  pick(options: ReadonlyArray<Parked>): number {
    const known = this.#depth < this.#fixed ? this.#nodes[this.#depth] : undefined
    if (known !== undefined) {
      if (known.kind !== "pick" || !sameStrands(known.strands, options)) throw notDeterministic()
      this.#current = known
      this.#depth += 1
      return known.chosen
    }
    const asleep = this.#sleepers()
    const strands = options.map(({ strand }) => strand)
    const chosen = strands.findIndex((strand) => !asleep.has(strand))
    if (chosen === -1) return -1
    const node: Pick = { kind: "pick", strands, asleep, tried: new Map(), chosen, footprint: undefined }
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
const moveOn = (node: Pick | Value): boolean => {
  if (node.kind === "value") {
    node.chosen += 1
    return node.chosen < node.count
  }
  const { asleep, chosen, footprint, strands, tried } = node
  const strand = strands[chosen]
  // A step that ended the run before it was seen whole has to be taken for one that touches everything.
  if (strand !== undefined) tried.set(strand, footprint ?? { process: undefined, touched: undefined })
  node.chosen = strands.findIndex((other) => !asleep.has(other) && !tried.has(other))
  node.footprint = undefined
  return node.chosen !== -1
}

const chooserOf = (path: Path): Chooser => ({
  asksAlways: true,
  repeats: () => path.repeats,
  pick: (options) => path.pick(options),
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
