/**
 * One request to an object store as decorators see it, and the way to put something around every operation of a store.
 *
 * Invariant: a decorated store answers what the store inside answers. An empty batch of deletions, which no store
 * sends anywhere, goes past the decorators: it is not counted, not limited and not logged.
 */
import type * as Effect from "effect/Effect"
import type { ObjectStore } from "../ObjectStore.ts"
import type { ObjectStoreError, ObjectStoreOperation } from "../ObjectStoreError.ts"

type Store = ObjectStore["Service"]

export interface ObjectRequest {
  readonly operation: ObjectStoreOperation
  /** The key, the source of a copy, the prefix of a listing; empty for a batch of deletions. */
  readonly key: string
  /** Keys to delete; 1 for what works on one object, 0 for a listing. */
  readonly keysCount: number
  /** Size of the body that is sent. */
  readonly bytesOut: number
  /** The largest body that can come back. What a listing says is not counted anywhere. */
  readonly bytesInMax: number
}

/** `bytesIn` tells the size of the body in an answer. */
export type Around = <A>(
  request: ObjectRequest,
  run: Effect.Effect<A, ObjectStoreError>,
  bytesIn: (answer: A) => number
) => Effect.Effect<A, ObjectStoreError>

const describe = (
  operation: ObjectStoreOperation,
  key: string,
  more: Partial<Omit<ObjectRequest, "operation" | "key">> = {}
): ObjectRequest => ({ operation, key, keysCount: 1, bytesOut: 0, bytesInMax: 0, ...more })

const none = (): number => 0

const length = (body: Uint8Array): number => body.length

/** The store with `wrap` around each of its operations. */
export const around = (store: Store, wrap: Around): Store => ({
  put: (key, body) => wrap(describe("put", key, { bytesOut: body.length }), store.put(key, body), none),
  putIfAbsent: (key, body) =>
    wrap(describe("putIfAbsent", key, { bytesOut: body.length }), store.putIfAbsent(key, body), none),
  get: (key, maxSizeBytes) =>
    wrap(
      describe("get", key, { bytesInMax: Math.max(0, maxSizeBytes) }),
      store.get(key, maxSizeBytes),
      length
    ),
  getRange: (key, range) =>
    wrap(
      describe("getRange", key, { bytesInMax: Math.max(0, range.lengthBytes) }),
      store.getRange(key, range),
      length
    ),
  head: (key) => wrap(describe("head", key), store.head(key), none),
  list: (request) => wrap(describe("list", request.prefix, { keysCount: 0 }), store.list(request), none),
  deleteMany: (keys) =>
    keys.length === 0
      ? store.deleteMany(keys)
      : wrap(describe("deleteMany", "", { keysCount: keys.length }), store.deleteMany(keys), none),
  copy: (from, to) => wrap(describe("copy", from), store.copy(from, to), none)
})
