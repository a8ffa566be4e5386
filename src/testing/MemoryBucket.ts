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
  /** The last change of each key, for listings that lag behind. */
  readonly #changes = new Map<string, Change>()
  #versions = 0

  /** A second bucket with the same objects; neither sees what happens to the other. */
  clone(): MemoryBucket {
    const copy = new MemoryBucket()
    for (const [key, object] of this.#objects) copy.#objects.set(key, object)
    for (const [key, change] of this.#changes) copy.#changes.set(key, change)
    copy.#versions = this.#versions
    return copy
  }

  /** All keys in the order of their bytes, also such that break the rules of `ObjectKey`. */
  keys(): ReadonlyArray<string> {
    return [...this.#objects.keys()].sort(ObjectKey.compare)
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

  /**
   * The entries of a listing, in order. `isStale` is asked for each key that has changed since `sinceMillis`: when it
   * says so, the listing shows what was there before.
   */
  list(
    prefix: string,
    after: string | undefined,
    sinceMillis: number,
    isStale: (key: string) => boolean
  ): ReadonlyArray<ListedEntry> {
    const entries: Array<ListedEntry> = []
    for (const key of this.#keysSeen(sinceMillis)) {
      if (!key.startsWith(prefix)) continue
      if (after !== undefined && ObjectKey.compare(key, after) <= 0) continue
      const change = this.#changes.get(key)
      const mayLag = change !== undefined && change.atMillis > sinceMillis
      const object = mayLag && isStale(key) ? change.before : this.#objects.get(key)
      if (object !== undefined) entries.push({ key, object })
    }
    return entries
  }

  /** The keys of the bucket, and those deleted so lately that a listing may still show them. */
  #keysSeen(sinceMillis: number): ReadonlyArray<string> {
    const keys = new Set(this.#objects.keys())
    for (const [key, { atMillis }] of this.#changes) if (atMillis > sinceMillis) keys.add(key)
    return [...keys].sort(ObjectKey.compare)
  }
}
