/**
 * ObjectStore over a `MemoryBucket`, as a good server or as a bad one.
 *
 * Fault model. Every operation is one atomic step of the bucket, and takes no time. What the server is like all the
 * time is said by `ServerTraits`; what happens now and then are `Fault`s: for each one in `faults`, and each request
 * it could befall, `decide` is asked. There is no other source of chance, so the same answers make the same run. In a
 * simulation the run's own choices answer: `decide: (fault, key) => simulation.choose(`${fault} ${key}`, 2) === 1`.
 *
 * | fault | what happens |
 * |---|---|
 * | `lost request` | `Disconnected`; the bucket never heard of it |
 * | `lost answer` | the operation happens, then `Disconnected` |
 * | `throttled` | `Throttled` with `retryAfterSeconds`; nothing happens |
 * | `unavailable` | `Unavailable`; nothing happens |
 * | `late failure` | the operation happens, then `Unavailable` |
 * | `conflict` | a `putIfAbsent` is told that another write is under way (409); nothing happens |
 * | `truncated` | the body of `get` or `getRange` ends too early |
 * | `failed deletion` | one key of a batch is not deleted, the others are |
 *
 * With `listing: "weak"` `decide` is also asked (`stale listing`) for each key that changed within `listingLagSeconds`,
 * whether the listing shows what was there before: a new object is missing, a deleted one is still there.
 *
 * What cannot happen: a body that is torn or wrong, an acknowledged write that is lost, a get that shows the past.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ObjectKey from "../objectstore/ObjectKey.ts"
import {
  batchSizeMax,
  type ByteRange,
  type DeleteReport,
  type ListPage,
  type ListRequest,
  ObjectStore,
  type ObjectInfo,
  pageSizeMax,
  present,
  type PutOutcome
} from "../objectstore/ObjectStore.ts"
import {
  ObjectStoreError,
  type ObjectStoreOperation,
  type ObjectStoreReason
} from "../objectstore/ObjectStoreError.ts"
import type { MemoryBucket, StoredObject } from "./MemoryBucket.ts"

export type Fault =
  | "lost request"
  | "lost answer"
  | "throttled"
  | "unavailable"
  | "late failure"
  | "conflict"
  | "truncated"
  | "failed deletion"

/** Whether the fault happens to this request (of this key, or of the prefix of a listing). */
export type Decide = (fault: Fault | "stale listing", key: string) => boolean

export type ConditionalPut = "honoured" | "ignored" | "unsupported"

export interface ServerTraits {
  /**
   * `ignored` overwrites silently and says `created`; `unsupported` is 501. Default `honoured`. A function says it of
   * each key, as where several gateways of different age stand before one store.
   */
  readonly conditionalPut?: ConditionalPut | ((key: string) => ConditionalPut)
  /** Default `strong`. */
  readonly listing?: "strong" | "weak"
  /** How long a weak listing may lag behind. Default 60. */
  readonly listingLagSeconds?: number
  /** `unsupported` is 501 for a batch of more than one key. Default `honoured`. */
  readonly batchDelete?: "honoured" | "unsupported"
  /** `ignored` answers the whole body to a range. Default `honoured`. */
  readonly rangeReads?: "honoured" | "ignored"
  /** How far the server's clock is ahead of ours. Default 0. */
  readonly clockSkewSeconds?: number
  /** Keys in a page at most, when that is fewer than were asked for. */
  readonly pageSizeMax?: number
  /** What `throttled` asks for. Default 1. */
  readonly retryAfterSeconds?: number
}

export interface MemoryObjectStoreOptions extends ServerTraits {
  /** Which faults can happen at all. Default none. */
  readonly faults?: ReadonlyArray<Fault>
  /** Default: everything that can happen happens. */
  readonly decide?: Decide
}

/** Says yes to the first `count` questions about each fault and key, then no. */
export const times = (count: number): Decide => {
  const asked = new Map<string, number>()
  return (fault, key) => {
    const subject = `${fault} ${key}`
    const before = asked.get(subject) ?? 0
    asked.set(subject, before + 1)
    return before < count
  }
}

const statuses: Partial<Record<ObjectStoreReason, number>> = {
  NotFound: 404,
  Conflict: 409,
  InvalidRange: 416,
  NotImplemented: 501,
  Throttled: 503,
  Unavailable: 500,
  Rejected: 400
}

type Outcome<A> = A | ObjectStoreError

/** What one request runs on; `now` is the server's time. */
interface Request {
  readonly operation: ObjectStoreOperation
  readonly key: string
  readonly nowMillis: number
}

class Server {
  readonly #bucket: MemoryBucket
  readonly #options: MemoryObjectStoreOptions
  readonly #faults: ReadonlySet<Fault>
  readonly #decide: Decide

  constructor(bucket: MemoryBucket, options: MemoryObjectStoreOptions) {
    this.#bucket = bucket
    this.#options = options
    this.#faults = new Set(options.faults)
    this.#decide = options.decide ?? (() => true)
  }

  /** Runs a request as one step, with the faults that may befall any request around it. */
  run<A>(
    operation: ObjectStoreOperation,
    key: string,
    step: (request: Request) => Outcome<A>
  ): Effect.Effect<A, ObjectStoreError> {
    return Effect.flatMap(Clock.currentTimeMillis, (ownMillis) => {
      const nowMillis = ownMillis + (this.#options.clockSkewSeconds ?? 0) * 1000
      const request = { operation, key, nowMillis }
      const outcome = this.#before(request) ?? this.#after(request, step(request))
      return outcome instanceof ObjectStoreError ? Effect.fail(outcome) : Effect.succeed(outcome)
    })
  }

  #before(request: Request): ObjectStoreError | undefined {
    if (this.#happens("lost request", request)) return fail(request, "Disconnected")
    if (this.#happens("throttled", request)) {
      const retryAfterSeconds = this.#options.retryAfterSeconds ?? 1
      return fail(request, "Throttled", { retryAfterSeconds })
    }
    return this.#happens("unavailable", request) ? fail(request, "Unavailable") : undefined
  }

  #after<A>(request: Request, outcome: Outcome<A>): Outcome<A> {
    if (this.#happens("lost answer", request)) return fail(request, "Disconnected")
    return this.#happens("late failure", request) ? fail(request, "Unavailable") : outcome
  }

  #happens(fault: Fault, { key }: { readonly key: string }): boolean {
    return this.#faults.has(fault) && this.#decide(fault, key)
  }

  put(request: Request, body: Uint8Array): { readonly etag: string } {
    return { etag: this.#bucket.put(request.key, body, request.nowMillis).etag }
  }

  putIfAbsent(request: Request, body: Uint8Array): Outcome<PutOutcome> {
    const { conditionalPut: trait } = this.#options
    const conditionalPut = typeof trait === "function" ? trait(request.key) : trait
    if (conditionalPut === "unsupported") return fail(request, "NotImplemented")
    if (this.#happens("conflict", request)) return fail(request, "Conflict")
    if (conditionalPut !== "ignored" && this.#bucket.find(request.key) !== undefined) return present
    return { outcome: "created", ...this.put(request, body) }
  }

  get(request: Request, maxSizeBytes: number): Outcome<Uint8Array> {
    const object = this.#bucket.find(request.key)
    if (object === undefined) return fail(request, "NotFound")
    if (object.body.length > maxSizeBytes) {
      return fail(request, "TooLarge", {
        detail: `${object.body.length} bytes, at most ${maxSizeBytes} are wanted`
      })
    }
    return this.#send(request, object.body)
  }

  getRange(request: Request, { offset, lengthBytes }: ByteRange): Outcome<Uint8Array> {
    const object = this.#bucket.find(request.key)
    if (object === undefined) return fail(request, "NotFound")
    if (!(offset >= 0 && lengthBytes > 0 && offset < object.body.length)) return fail(request, "InvalidRange")
    const isIgnored = this.#options.rangeReads === "ignored"
    return this.#send(request, isIgnored ? object.body : object.body.subarray(offset, offset + lengthBytes))
  }

  #send(request: Request, body: Uint8Array): Outcome<Uint8Array> {
    return this.#happens("truncated", request) ? fail(request, "Truncated") : Uint8Array.from(body)
  }

  head(request: Request): Outcome<ObjectInfo> {
    const object = this.#bucket.find(request.key)
    return object === undefined ? fail(request, "NotFound") : describe(object)
  }

  list({ nowMillis }: Request, { prefix, after, pageSize = pageSizeMax }: ListRequest): ListPage {
    const limit = Math.max(1, Math.min(pageSize, pageSizeMax, this.#options.pageSizeMax ?? pageSizeMax))
    const isWeak = this.#options.listing === "weak"
    const sinceMillis = isWeak ? nowMillis - (this.#options.listingLagSeconds ?? 60) * 1000 : Infinity
    const isStale = (key: string): boolean => isWeak && this.#decide("stale listing", key)
    // One more than the page holds, to see whether more follow.
    const entries = this.#bucket.list({ prefix, after, limit: limit + 1, sinceMillis, isStale })
    const page = entries.slice(0, limit)
    const last = page.at(-1)
    return {
      objects: page.flatMap(({ key, object }) =>
        ObjectKey.isObjectKey(key) ? [{ key, ...describe(object) }] : []
      ),
      foreignKeys: page.map(({ key }) => key).filter((key) => !ObjectKey.isObjectKey(key)),
      ...(entries.length > limit && last !== undefined ? { next: last.key } : {})
    }
  }

  deleteMany(request: Request, keys: ReadonlyArray<ObjectKey.ObjectKey>): Outcome<DeleteReport> {
    const different = [...new Set(keys)]
    if (different.length > batchSizeMax) {
      return fail(request, "Rejected", {
        detail: `${different.length} keys in one batch, at most ${batchSizeMax}`
      })
    }
    if (different.length > 1 && this.#options.batchDelete === "unsupported")
      return fail(request, "NotImplemented")
    const deleted: Array<ObjectKey.ObjectKey> = []
    const failed: Array<{ readonly key: ObjectKey.ObjectKey; readonly error: ObjectStoreError }> = []
    for (const key of different) {
      if (this.#happens("failed deletion", { key })) {
        failed.push({ key, error: fail({ ...request, key }, "Unavailable") })
      } else {
        this.#bucket.delete(key, request.nowMillis)
        deleted.push(key)
      }
    }
    return { deleted, failed }
  }

  copy(request: Request, to: ObjectKey.ObjectKey): Outcome<{ readonly etag: string }> {
    const source = this.#bucket.find(request.key)
    if (source === undefined) return fail(request, "NotFound")
    return { etag: this.#bucket.put(to, source.body, request.nowMillis).etag }
  }
}

const fail = (
  { operation, key }: Request,
  reason: ObjectStoreReason,
  more: { readonly detail?: string; readonly retryAfterSeconds?: number } = {}
): ObjectStoreError => {
  const httpStatus = statuses[reason]
  return new ObjectStoreError({
    operation,
    key,
    reason,
    ...(httpStatus === undefined ? {} : { httpStatus }),
    ...more
  })
}

const describe = ({ body, etag, lastModifiedMillis }: StoredObject): ObjectInfo => ({
  sizeBytes: body.length,
  lastModifiedSeconds: Math.floor(lastModifiedMillis / 1000),
  etag
})

/** A connection to the bucket. Each has faults of its own; the bucket may be shared. */
export const make = (
  bucket: MemoryBucket,
  options: MemoryObjectStoreOptions = {}
): ObjectStore["Service"] => {
  const server = new Server(bucket, options)
  return ObjectStore.of({
    put: (key, body) => server.run("put", key, (request) => server.put(request, body)),
    putIfAbsent: (key, body) =>
      server.run("putIfAbsent", key, (request) => server.putIfAbsent(request, body)),
    get: (key, maxSizeBytes) => server.run("get", key, (request) => server.get(request, maxSizeBytes)),
    getRange: (key, range) => server.run("getRange", key, (request) => server.getRange(request, range)),
    head: (key) => server.run("head", key, (request) => server.head(request)),
    list: (listing) => server.run("list", listing.prefix, (request) => server.list(request, listing)),
    deleteMany: (keys) => server.run("deleteMany", "", (request) => server.deleteMany(request, keys)),
    copy: (from, to) => server.run("copy", from, (request) => server.copy(request, to))
  })
}

export const layer = (bucket: MemoryBucket, options?: MemoryObjectStoreOptions): Layer.Layer<ObjectStore> =>
  Layer.succeed(ObjectStore, make(bucket, options))
