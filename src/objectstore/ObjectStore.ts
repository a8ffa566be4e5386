/**
 * ObjectStore: the port to one bucket. It holds exactly the operations a datastore needs, so that S3, a folder and a
 * memory double can stand behind it alike.
 *
 * An object is a key and bytes, nothing else. Bodies are whole arrays: a chunk is 16 MiB and a header at most, an index
 * of 1 TiB is 8 MiB (fixed) or some 10 MiB, and servers are known that refuse streamed bodies; whoever needs a part of
 * something larger asks for ranges.
 *
 * Obligations of every implementation:
 * 1. `put` replaces: whoever reads sees the whole old body or the whole new one, also when the writer dies midway.
 * 2. `putIfAbsent` has one winner: of any number of them for one key, at once or one after the other, the first is
 *    `created` (with the etag of what it wrote) and the others are `present` and change nothing. A store that cannot do
 *    this fails with `NotImplemented`. (Servers exist that pretend: `CapabilityProbe` finds them.)
 * 3. What has succeeded is durable, and seen by every get, getRange and head that begins afterwards.
 * 4. A failure whose `outcomeUnknown` is false changed nothing. After another, after an interruption, and when a
 *    retried `putIfAbsent` is `present`, the operation may or may not have happened: look and compare.
 * 5. `NotFound` is what the store said about the key. A missing bucket is `NoBucket`; trouble on the way is never
 *    `NotFound`.
 * 6. `get` answers every byte or fails (`Truncated`), and fails with `TooLarge` before it allocates more than
 *    `maxSizeBytes`.
 * 7. `getRange` answers the bytes from `offset` on, `lengthBytes` of them or as many as there are up to the end. A
 *    range that is empty or begins at or behind the end is `InvalidRange`.
 * 8. `list` goes by bytes of keys, ascending, over the keys that begin with the prefix; `next` is there only when
 *    more may follow, and continues behind the last key. `after` may be any text that begins with the prefix, whether
 *    there is such a key or not: the page begins with the first key behind it. A page holds at most `pageSizeMax` keys,
 *    or fewer when asked.
 *    What is there from the first page to the last is listed exactly once. (Weak servers miss what is young:
 *    `CapabilityProbe` looks for that.) Keys of others that break our rules come separately and never fail a listing.
 * 9. `deleteMany` takes `batchSizeMax` keys at most, more are `Rejected`; it answers for each different key once. A key
 *    without object counts as deleted. A key that cannot be deleted does not keep the others back. A batch of one
 *    key works on servers without batches as well.
 * 10. `copy` gives the target the source's bytes, as `put` would; `NotFound` speaks of the source.
 * 11. `lastModifiedSeconds` comes from the store's clock, in whole seconds, floored: the time of the put or copy
 *    that wrote the body, taken not before it began and not after it ended. That clock may differ from ours.
 * 12. An `etag` is opaque; on one key, equal ones mean equal bytes. What wrote a body, `head` and `list` tell the same
 *    one of it. A listing leaves it out (undefined) where the store would have to read the body to know it.
 * 13. A body given to `put` may lie in any memory, shared as well, and is not read any more when the effect ends; one
 *    that `get` answers belongs to the caller.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { KeyPrefix, ObjectKey } from "./ObjectKey.ts"
import type { ObjectStoreError } from "./ObjectStoreError.ts"

/** Keys in one page of a listing. */
export const pageSizeMax = 1000

/** Keys in one batch of deletions. */
export const batchSizeMax = 1000

export interface Written {
  readonly etag: string
}

export type PutOutcome =
  | { readonly outcome: "created"; readonly etag: string }
  | { readonly outcome: "present" }

export const present: PutOutcome = { outcome: "present" }

export interface ObjectInfo {
  readonly sizeBytes: number
  readonly lastModifiedSeconds: number
  readonly etag: string
}

export interface ListedObject {
  readonly key: ObjectKey
  readonly sizeBytes: number
  readonly lastModifiedSeconds: number
  /** Undefined where only reading the body would tell. */
  readonly etag: string | undefined
}

export interface ListRequest {
  readonly prefix: KeyPrefix
  /** `next` of the page before, or any other place to begin behind. */
  readonly after?: string
  /** At most `pageSizeMax`, which is the default. */
  readonly pageSize?: number
}

export interface ListPage {
  readonly objects: ReadonlyArray<ListedObject>
  /** Keys that break the rules of `ObjectKey`: somebody else's. They can be shown, and nothing else. */
  readonly foreignKeys: ReadonlyArray<string>
  /** Where the next page begins; absent on the last one. */
  readonly next?: string
}

export interface ByteRange {
  readonly offset: number
  readonly lengthBytes: number
}

export interface DeleteReport {
  readonly deleted: ReadonlyArray<ObjectKey>
  readonly failed: ReadonlyArray<{ readonly key: ObjectKey; readonly error: ObjectStoreError }>
}

export class ObjectStore extends Context.Service<
  ObjectStore,
  {
    readonly put: (key: ObjectKey, body: Uint8Array) => Effect.Effect<Written, ObjectStoreError>
    readonly putIfAbsent: (key: ObjectKey, body: Uint8Array) => Effect.Effect<PutOutcome, ObjectStoreError>
    readonly get: (key: ObjectKey, maxSizeBytes: number) => Effect.Effect<Uint8Array, ObjectStoreError>
    readonly getRange: (key: ObjectKey, range: ByteRange) => Effect.Effect<Uint8Array, ObjectStoreError>
    readonly head: (key: ObjectKey) => Effect.Effect<ObjectInfo, ObjectStoreError>
    readonly list: (request: ListRequest) => Effect.Effect<ListPage, ObjectStoreError>
    readonly deleteMany: (keys: ReadonlyArray<ObjectKey>) => Effect.Effect<DeleteReport, ObjectStoreError>
    readonly copy: (from: ObjectKey, to: ObjectKey) => Effect.Effect<Written, ObjectStoreError>
  }
>()("granary/objectstore/ObjectStore") {}

/** All pages of a listing; each is asked for when it is wanted. */
export const pages = (
  store: ObjectStore["Service"],
  prefix: KeyPrefix
): Stream.Stream<ListPage, ObjectStoreError> =>
  Stream.paginate(undefined as string | undefined, (after) =>
    Effect.map(
      store.list({ prefix, ...(after === undefined ? {} : { after }) }),
      (page) => [[page], Option.fromNullishOr(page.next)] as const
    )
  )

/** What one key's deletion came to, for callers that delete one: fails as that key did. */
export const deleteOne = (
  store: ObjectStore["Service"],
  key: ObjectKey
): Effect.Effect<void, ObjectStoreError> =>
  Effect.flatMap(store.deleteMany([key]), ({ failed: [failure] }) =>
    failure === undefined ? Effect.void : Effect.fail(failure.error)
  )
