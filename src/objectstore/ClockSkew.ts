/**
 * How far the clock of a store is ahead of ours, as bounds: what a garbage collector must reckon with when it compares
 * the store's times with its own. Positive when the store is ahead.
 *
 * Invariant: the true difference lies between the bounds, as long as both clocks go evenly. A slow request makes them
 * wide, never wrong.
 */

export interface ClockSkew {
  readonly minSeconds: number
  readonly maxSeconds: number
}

/** One write: between which moments of our clock it happened, and which whole second the store wrote down for it. */
export interface ClockSample {
  readonly beginMillis: number
  readonly endMillis: number
  readonly storeSeconds: number
}

/** The store's clock showed something from `storeSeconds` up to a second more, at some moment between begin and end. */
const boundsOf = ({ beginMillis, endMillis, storeSeconds }: ClockSample): ClockSkew => ({
  minSeconds: storeSeconds - endMillis / 1000,
  maxSeconds: storeSeconds + 1 - beginMillis / 1000
})

/** What all samples allow; undefined without any, or when they contradict each other because a clock was set. */
export const measure = (samples: ReadonlyArray<ClockSample>): ClockSkew | undefined => {
  const bounds = samples.map(boundsOf)
  const minSeconds = Math.max(...bounds.map((bound) => bound.minSeconds))
  const maxSeconds = Math.min(...bounds.map((bound) => bound.maxSeconds))
  return samples.length > 0 && minSeconds <= maxSeconds ? { minSeconds, maxSeconds } : undefined
}

/** The largest difference that the bounds allow, in either direction. */
export const worstSeconds = ({ minSeconds, maxSeconds }: ClockSkew): number =>
  Math.max(Math.abs(minSeconds), Math.abs(maxSeconds))

const signed = (seconds: number): string => `${seconds < 0 ? "" : "+"}${seconds.toFixed(1)} s`

export const format = ({ minSeconds, maxSeconds }: ClockSkew): string =>
  `${signed(minSeconds)} to ${signed(maxSeconds)}`
