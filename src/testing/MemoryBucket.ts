/**
 * A bucket in memory: what a server keeps, outside of any program, like a disk. Programs reach it through
 * `MemoryObjectStore.layer`; several programs may share one bucket, and a killed one leaves it as it was.
 *
 * Invariant: every method is one atomic step, and depends on nothing but the bucket, its arguments and the time it is
 * told. Bodies are copied on their way in and never changed, so that `clone` is cheap.
 */
import * as ObjectKey from "../objectstore/ObjectKey.ts"

export interface StoredObject {
  readonly body: Uint8Array
  readonly etag: string
  /** By the clock of the server. */
  readonly lastModifiedMillis: number
}

interface Change {
  /** What was under the key before the change. */
  readonly before: StoredObject | undefined
  readonly atMillis: number
}

export interface ListedEntry {
  readonly key: string
  readonly object: StoredObject
}

export class MemoryBucket {
  readonly #objects = new Map<string, StoredObject>()
  /** The last change of each key that ever was, for listings that lag behind. */
  readonly #changes = new Map<string, Change>()
  /** The keys of `#changes` in the order of their bytes, but for those that came since a listing; never changed. */
  #sorted: ReadonlyArray<string> = []
  #unsorted: Array<string> = []
  #versions = 0

  /** A second bucket with the same objects; neither sees what happens to the other. */
  clone(): MemoryBucket {
    const copy = new MemoryBucket()
    for (const [key, object] of this.#objects) copy.#objects.set(key, object)
    for (const [key, change] of this.#changes) copy.#changes.set(key, change)
    copy.#sorted = this.#sorted
    copy.#unsorted = [...this.#unsorted]
    copy.#versions = this.#versions
    return copy
  }

  /** All keys in the order of their bytes, also such that break the rules of `ObjectKey`. */
  keys(): ReadonlyArray<string> {
    return this.#inOrder().filter((key) => this.#objects.has(key))
  }

  find(key: string): StoredObject | undefined {
    return this.#objects.get(key)
  }

  /** Puts an object in place; any key will do, for other programs write into buckets too. */
  put(key: string, body: Uint8Array, nowMillis: number): StoredObject {
    this.#versions += 1
    const object = {
      body: Uint8Array.from(body),
      etag: `"${this.#versions}"`,
      lastModifiedMillis: nowMillis
    }
    if (!this.#changes.has(key)) this.#unsorted.push(key)
    this.#changes.set(key, { before: this.#objects.get(key), atMillis: nowMillis })
    this.#objects.set(key, object)
    return object
  }

  delete(key: string, nowMillis: number): void {
    const before = this.#objects.get(key)
    if (before === undefined) return
    this.#changes.set(key, { before, atMillis: nowMillis })
    this.#objects.delete(key)
  }

  /** Lets so much time go by for everything that is there: objects become older, and stay what they are. */
  age(millis: number): void {
    for (const [key, object] of this.#objects) {
      this.#objects.set(key, { ...object, lastModifiedMillis: object.lastModifiedMillis - millis })
    }
    for (const [key, { atMillis, before }] of this.#changes) {
      this.#changes.set(key, { before, atMillis: atMillis - millis })
    }
  }

  /** Everything that is there was last put at this moment: objects get another time, and stay what they are. */
  date(millis: number): void {
    for (const [key, object] of this.#objects)
      this.#objects.set(key, { ...object, lastModifiedMillis: millis })
    for (const [key, { before }] of this.#changes) this.#changes.set(key, { before, atMillis: millis })
  }

  /**
   * At most `limit` entries of a listing, in order. `isStale` is asked for each of them that has changed since
   * `sinceMillis`: when it says so, the listing shows what was there before.
   */
  list({ prefix, after, limit, sinceMillis, isStale }: Listing): ReadonlyArray<ListedEntry> {
    const entries: Array<ListedEntry> = []
    const keys = this.#inOrder()
    const begin = after === undefined ? firstFrom(keys, prefix) : firstBehind(keys, after)
    for (let place = begin; place < keys.length && entries.length < limit; place++) {
      const key = keys[place] ?? ""
      if (!key.startsWith(prefix)) {
        if (ObjectKey.compare(key, prefix) < 0) continue
        break
      }
      const change = this.#changes.get(key)
      const mayLag = change !== undefined && change.atMillis > sinceMillis
      const object = mayLag && isStale(key) ? change.before : this.#objects.get(key)
      if (object !== undefined) entries.push({ key, object })
    }
    return entries
  }

  /** All keys that ever were. Costs as much as has changed, so that a listing of many pages is sorted once. */
  #inOrder(): ReadonlyArray<string> {
    if (this.#unsorted.length > 0) {
      this.#sorted = merge(this.#sorted, this.#unsorted.sort(ObjectKey.compare))
      this.#unsorted = []
    }
    return this.#sorted
  }
}

export interface Listing {
  readonly prefix: string
  readonly after: string | undefined
  readonly limit: number
  readonly sinceMillis: number
  readonly isStale: (key: string) => boolean
}

/** The place of the first key for which the order says yes; it says no to all before. */
const firstWhere = (keys: ReadonlyArray<string>, isReached: (key: string) => boolean): number => {
  let [low, high] = [0, keys.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isReached(keys[middle] ?? "")) high = middle
    else low = middle + 1
  }
  return low
}

const firstFrom = (keys: ReadonlyArray<string>, text: string): number =>
  firstWhere(keys, (key) => ObjectKey.compare(key, text) >= 0)

const firstBehind = (keys: ReadonlyArray<string>, text: string): number =>
  firstWhere(keys, (key) => ObjectKey.compare(key, text) > 0)

/** Two lists in order, without common keys, as one. */
const merge = (left: ReadonlyArray<string>, right: ReadonlyArray<string>): ReadonlyArray<string> => {
  const merged: Array<string> = []
  let place = 0
  for (const key of right) {
    for (; place < left.length && ObjectKey.compare(left[place] ?? "", key) < 0; place++) {
      merged.push(left[place] ?? "")
    }
    merged.push(key)
  }
  for (; place < left.length; place++) merged.push(left[place] ?? "")
  return merged
}
