/**
 * RequestCosts: what is asked of an object store and what goes over the line for it, by the classes that servers bill:
 * as it is expected before, and as it was counted afterwards. Both are the same value, so that they can be compared.
 *
 * Invariant: it counts what a `Meter` counts: a batch of deletions and a page of a listing are one request each, and
 * bytes are those of bodies.
 */
import type { ObjectStoreOperation } from "./ObjectStoreError.ts"
import type { Usage } from "./decorators/metered.ts"

export interface RequestCosts {
  /** put, putIfAbsent and copy. */
  readonly put: number
  readonly list: number
  /** get, getRange and head. */
  readonly get: number
  /** One for a batch. */
  readonly delete: number
  /** Bodies that are sent, and that come back. */
  readonly sentBytes: number
  readonly receivedBytes: number
}

export const none: RequestCosts = { put: 0, list: 0, get: 0, delete: 0, sentBytes: 0, receivedBytes: 0 }

export const make = (costs: Partial<RequestCosts>): RequestCosts => ({ ...none, ...costs })

export const sum = (...all: ReadonlyArray<RequestCosts>): RequestCosts =>
  all.reduce(
    (total, each) => ({
      put: total.put + each.put,
      list: total.list + each.list,
      get: total.get + each.get,
      delete: total.delete + each.delete,
      sentBytes: total.sentBytes + each.sentBytes,
      receivedBytes: total.receivedBytes + each.receivedBytes
    }),
    none
  )

/** What is left of a sum without one of its parts. */
export const without = (total: RequestCosts, part: RequestCosts): RequestCosts => ({
  put: total.put - part.put,
  list: total.list - part.list,
  get: total.get - part.get,
  delete: total.delete - part.delete,
  sentBytes: total.sentBytes - part.sentBytes,
  receivedBytes: total.receivedBytes - part.receivedBytes
})

export const requestsOf = ({ put, list, get, delete: deletions }: RequestCosts): number =>
  put + list + get + deletions

/** What was counted. */
export const ofUsage = ({ bytesIn, bytesOut, operations }: Usage): RequestCosts => {
  const of = (...names: ReadonlyArray<ObjectStoreOperation>): number =>
    names.reduce((total, name) => total + operations[name].requests, 0)
  return {
    put: of("put", "putIfAbsent", "copy"),
    list: of("list"),
    get: of("get", "getRange", "head"),
    delete: of("deleteMany"),
    sentBytes: bytesOut,
    receivedBytes: bytesIn
  }
}

/**
 * How sure an expectation is, when nobody else works on the store meanwhile and no request has to be repeated.
 * `about`: it depends on what cannot be known without doing the work, and may come to more or less.
 */
export type Certainty = "exactly" | "at most" | "about"

/** What some work is going to cost. */
export interface Expectation {
  readonly costs: RequestCosts
  readonly requestsAre: Certainty
  readonly bytesAre: Certainty
  /** How much more is stored afterwards; negative when it is less. Of this, too, `bytesAre` says how sure it is. */
  readonly storedBytes: number
}

/** The weaker of two. */
export const weaker = (left: Certainty, right: Certainty): Certainty => {
  if (left === right) return left
  if (left === "exactly") return right
  return right === "exactly" ? left : "about"
}

export const expectation = (costs: RequestCosts, more: Partial<Expectation> = {}): Expectation => ({
  costs,
  requestsAre: "exactly",
  bytesAre: "exactly",
  storedBytes: 0,
  ...more
})

/** The expectation for what is left together with what was used already. */
export const after = (used: RequestCosts, rest: Expectation): Expectation => ({
  ...rest,
  costs: sum(used, rest.costs)
})
