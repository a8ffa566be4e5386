/**
 * KeyScan: looks for many keys in a bucket by listing it. Keys and listings are both in the order of bytes, so that the
 * two are gone through side by side, and what lies between two wanted keys is skipped: a page is only asked for when it
 * begins right before a wanted key. So there are never more requests than keys, nor than a listing of everything takes.
 */
import * as Effect from "effect/Effect"
import * as ObjectKey from "../objectstore/ObjectKey.ts"
import type { ListedObject, ObjectStore } from "../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../objectstore/ObjectStoreError.ts"

export interface WantedKeys {
  readonly count: number
  /** Ascending by bytes. */
  readonly keyAt: (number: number) => ObjectKey.ObjectKey
}

/** Told of every wanted key in its turn: the object, or undefined when the listing has none. */
export type OnKey = (number: number, object: ListedObject | undefined) => void

export interface ScanCounts {
  requests: number
  /** Objects in the pages. */
  objects: number
}

/** A text right before the key: no other key of its kind lies between the two. */
const before = (key: string): string => [...key].slice(0, -1).join("")

/** Goes on behind the page before, or further ahead when the next wanted key is not near. */
const startOf = (key: ObjectKey.ObjectKey, next: string | undefined): string => {
  const start = before(key)
  return next !== undefined && ObjectKey.compare(next, start) > 0 ? next : start
}

/** The wanted keys, one after the other. */
class Cursor {
  readonly #wanted: WantedKeys
  readonly #onKey: OnKey
  #number = 0
  #key: ObjectKey.ObjectKey | undefined

  constructor(wanted: WantedKeys, onKey: OnKey) {
    this.#wanted = wanted
    this.#onKey = onKey
    this.#key = wanted.count > 0 ? wanted.keyAt(0) : undefined
  }

  get key(): ObjectKey.ObjectKey | undefined {
    return this.#key
  }

  /** Tells of an object, and of the keys before it, which are not there. */
  meet(object: ListedObject): void {
    while (this.#key !== undefined && ObjectKey.compare(this.#key, object.key) < 0) this.#tell(undefined)
    if (this.#key === object.key) this.#tell(object)
  }

  /** Tells of the keys that a page up to here would have held. */
  pass(end: string | undefined): void {
    const isHeld = (key: string): boolean => end === undefined || ObjectKey.compare(key, end) <= 0
    while (this.#key !== undefined && isHeld(this.#key)) this.#tell(undefined)
  }

  #tell(object: ListedObject | undefined): void {
    this.#onKey(this.#number, object)
    this.#number += 1
    this.#key = this.#number < this.#wanted.count ? this.#wanted.keyAt(this.#number) : undefined
  }
}

/** `counts` is kept up to date, also when a page cannot be had: then the keys from there on were not told of. */
export const scan = (
  objects: ObjectStore["Service"],
  prefix: ObjectKey.KeyPrefix,
  wanted: WantedKeys,
  onKey: OnKey,
  counts: ScanCounts
): Effect.Effect<void, ObjectStoreError> =>
  Effect.gen(function* () {
    const cursor = new Cursor(wanted, onKey)
    let next: string | undefined
    while (cursor.key !== undefined) {
      const page = yield* objects.list({ prefix, after: startOf(cursor.key, next) })
      counts.requests += 1
      counts.objects += page.objects.length
      for (const object of page.objects) cursor.meet(object)
      next = page.next
      cursor.pass(next)
    }
  })
