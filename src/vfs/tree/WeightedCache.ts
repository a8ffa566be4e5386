/**
 * WeightedCache: what was used last, up to a total weight. The few things that were used last stay, whatever they
 * weigh.
 *
 * Everything in here is synchronous.
 */
interface Kept<V> {
  readonly value: V
  readonly weight: number
}

export class WeightedCache<K, V> {
  readonly #weightMax: number
  readonly #stayCount: number
  /** Least recently used first. */
  readonly #kept = new Map<K, Kept<V>>()
  #weight = 0

  /** `stayCount` things stay in any case. */
  constructor(weightMax: number, stayCount = 1) {
    this.#weightMax = weightMax
    this.#stayCount = stayCount
  }

  get(key: K): V | undefined {
    const found = this.#kept.get(key)
    if (found === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, found)
    return found.value
  }

  set(key: K, value: V, weight: number): void {
    this.delete(key)
    this.#kept.set(key, { value, weight })
    this.#weight += weight
    for (const oldest of this.#kept.keys()) {
      if (this.#weight <= this.#weightMax || this.#kept.size <= this.#stayCount) return
      this.delete(oldest)
    }
  }

  delete(key: K): void {
    this.#weight -= this.#kept.get(key)?.weight ?? 0
    this.#kept.delete(key)
  }
}
