/**
 * Random: chance that can be repeated. The same seed gives the same numbers, in the same order, on every machine.
 */

export interface Random {
  /** At least 0, less than 1. */
  readonly fraction: () => number
  /** A whole number from `from` up to, and without, `end`. */
  readonly between: (from: number, end: number) => number
  readonly chance: (probability: number) => boolean
  /** Undefined for an empty list. */
  readonly pick: <A>(list: ReadonlyArray<A>) => A | undefined
}

/** Each round has chance of its own, so that how one went changes nothing in the plan of the next. */
export const make = (seed: number, round: number): Random => {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca6b)) >>> 0
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (from: number, end: number): number => from + Math.floor(fraction() * (end - from))
  return {
    fraction,
    between,
    chance: (probability) => fraction() < probability,
    pick: (list) => list[between(0, list.length)]
  }
}
