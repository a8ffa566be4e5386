/**
 * A token bucket: tokens come in at a steady rate, up to a burst, and whoever takes more than there are goes into debt
 * that the next one waits off. Plain arithmetic; the caller tells the time and does the waiting.
 *
 * Invariant: over any span of time no more is taken than the burst, what came in meanwhile, and one cost that is
 * larger than the burst. Time is monotonic, so a clock that is set neither stops nor floods anybody.
 *
 * Effect's own `RateLimiter` counts a token in whole nanoseconds, takes it from waiters that were interrupted as well,
 * and gives nothing back: rates of bytes come out wrong, and a cancelled restore would slow down the next one.
 */

export interface Rate {
  readonly perSecond: number
  /** How much may go at once after a pause. Default: what comes in within a second. */
  readonly burst?: number
}

/** Levels are sums of fractions: so little missing is nothing missing. */
const tolerance = 1e-6

const nanosPerSecond = 1e9

export class TokenBucket {
  readonly #perSecond: number
  readonly #burst: number
  #level: number
  #updatedNanos: bigint

  constructor({ perSecond, burst = perSecond }: Rate, nowNanos: bigint) {
    if (!(perSecond > 0 && burst > 0)) {
      throw new RangeError(`a rate and its burst are above 0, not ${perSecond} per second and ${burst}`)
    }
    this.#perSecond = perSecond
    this.#burst = Math.max(1, burst)
    this.#level = this.#burst
    this.#updatedNanos = nowNanos
  }

  /** How long until `cost` can be taken; what is larger than the burst waits for a full bucket. */
  waitMillis(cost: number, nowNanos: bigint): number {
    this.#refill(nowNanos)
    const missing = Math.min(cost, this.#burst) - this.#level
    return missing <= tolerance ? 0 : Math.ceil((missing / this.#perSecond) * 1000)
  }

  take(cost: number, nowNanos: bigint): void {
    this.#refill(nowNanos)
    this.#level -= cost
  }

  /** Gives back what was taken and not used; less than nothing takes what was used beyond that. */
  give(tokens: number, nowNanos: bigint): void {
    this.#refill(nowNanos)
    this.#level = Math.min(this.#burst, this.#level + tokens)
  }

  #refill(nowNanos: bigint): void {
    if (nowNanos <= this.#updatedNanos) return
    const seconds = Number(nowNanos - this.#updatedNanos) / nanosPerSecond
    this.#level = Math.min(this.#burst, this.#level + seconds * this.#perSecond)
    this.#updatedNanos = nowNanos
  }
}
