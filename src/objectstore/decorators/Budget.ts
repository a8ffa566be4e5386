/**
 * Budget: hard limits on what a run may ask of a store, and what it has used of them. Plain steps, each atomic; the
 * decorator `budgeted` does the waiting.
 *
 * Invariant: what is used and what is reserved never exceed a limit together, nor does what is used alone when
 * reservations have become real. Used is what may have reached the server: a request counts when it is sent, with the
 * whole body it sends; a body that comes back counts as it was, or in full when it broke off midway.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ObjectStoreOperation } from "../ObjectStoreError.ts"
import type { ObjectRequest } from "./ObjectRequest.ts"

export interface BudgetUse {
  /** put, putIfAbsent and copy, which servers bill alike. */
  readonly putRequests: number
  /** get, getRange and head. */
  readonly getRequests: number
  readonly listRequests: number
  /** One for a batch. */
  readonly deleteRequests: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** What is left out has no limit. */
export type BudgetLimits = Partial<BudgetUse>

type Requests = Exclude<keyof BudgetUse, "bytesIn" | "bytesOut">

const classOf: Record<ObjectStoreOperation, Requests> = {
  put: "putRequests",
  putIfAbsent: "putRequests",
  copy: "putRequests",
  get: "getRequests",
  getRange: "getRequests",
  head: "getRequests",
  list: "listRequests",
  deleteMany: "deleteRequests"
}

const words: Record<keyof BudgetUse, string> = {
  putRequests: "write requests",
  getRequests: "read requests",
  listRequests: "list requests",
  deleteRequests: "delete requests",
  bytesIn: "bytes received",
  bytesOut: "bytes sent"
}

export type Admission =
  /** The request may be sent; so many bytes are reserved for the body that comes back. */
  | { readonly kind: "go"; readonly reservedBytes: number }
  /** Others under way have reserved what is missing, and may leave some of it. */
  | { readonly kind: "wait"; readonly changed: Deferred.Deferred<void> }
  | { readonly kind: "refuse"; readonly detail: string }

export class Budget {
  readonly limits: BudgetLimits
  readonly #used: Record<keyof BudgetUse, number> = {
    putRequests: 0,
    getRequests: 0,
    listRequests: 0,
    deleteRequests: 0,
    bytesIn: 0,
    bytesOut: 0
  }
  #reservedBytes = 0
  #changed = Deferred.makeUnsafe<void>()

  constructor(limits: BudgetLimits) {
    this.limits = limits
  }

  /** What was used up to now. */
  readonly used: Effect.Effect<BudgetUse> = Effect.sync(() => ({ ...this.#used }))

  /**
   * Decides about a request and counts it if it may go. `leastBytesIn` is what must be reserved: the whole body of a
   * range, any rest of the budget for an object, since the store is told not to send more.
   */
  admit({ operation, bytesOut, bytesInMax }: ObjectRequest, leastBytesIn: number): Admission {
    const requests = classOf[operation]
    const detail =
      this.#refusal(requests, 1) ??
      (bytesOut === 0 ? undefined : this.#refusal("bytesOut", bytesOut)) ??
      (leastBytesIn === 0 ? undefined : this.#refusal("bytesIn", leastBytesIn))
    if (detail !== undefined) return { kind: "refuse", detail }
    const left = this.#left("bytesIn")
    if (bytesInMax > left - this.#reservedBytes && this.#reservedBytes > 0 && bytesInMax > 0) {
      return { kind: "wait", changed: this.#changed }
    }
    const reservedBytes = Math.min(bytesInMax, left)
    this.#used[requests] += 1
    this.#used.bytesOut += bytesOut
    if (reservedBytes !== Infinity) this.#reservedBytes += reservedBytes
    return { kind: "go", reservedBytes }
  }

  /** The answer is there, or will never be: some of what was reserved was used, the rest is free again. */
  settle(reservedBytes: number, usedBytes: number): void {
    if (reservedBytes !== Infinity) this.#reservedBytes -= reservedBytes
    this.#used.bytesIn += usedBytes
    const changed = this.#changed
    this.#changed = Deferred.makeUnsafe()
    Deferred.doneUnsafe(changed, Effect.void)
  }

  #left(name: keyof BudgetUse): number {
    return (this.limits[name] ?? Infinity) - this.#used[name]
  }

  #refusal(name: keyof BudgetUse, wanted: number): string | undefined {
    const left = this.#left(name)
    return wanted <= left
      ? undefined
      : `${wanted} ${words[name]} wanted, ${left} left of ${this.limits[name] ?? Infinity}`
  }
}

export const makeBudget = (limits: BudgetLimits): Effect.Effect<Budget> =>
  Effect.sync(() => new Budget(limits))
