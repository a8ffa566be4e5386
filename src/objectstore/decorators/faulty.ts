/**
 * Makes requests fail by plan, around any store, a real server included. For tests.
 *
 * Invariant: what is made up keeps the port's promises, so that a caller who trips over it would trip over a real
 * server. A failure before says nothing of what the store thinks and changes nothing; a failure after has an unknown
 * outcome; a body that is cut short is told as `Truncated`.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ObjectStore } from "../ObjectStore.ts"
import { ObjectStoreError, type ObjectStoreOperation, type ObjectStoreReason } from "../ObjectStoreError.ts"
import { around, type ObjectRequest } from "./ObjectRequest.ts"

export interface Fault {
  /** Before anything else happens. */
  readonly delayMillis?: number
  /** The request does not reach the store. */
  readonly before?: ObjectStoreReason
  readonly retryAfterSeconds?: number
  /** The request is carried out, and its answer is lost. */
  readonly after?: "Disconnected" | "Unavailable"
  /** The body of a get or getRange ends too early; other operations are left alone. */
  readonly truncated?: boolean
}

/** The fault that befalls a request, if one does; `number` counts all requests to the store from 1. */
export type Plan = (request: ObjectRequest, number: number) => Fault | undefined

export interface Rule extends Fault {
  /** Which operations; all when left out. */
  readonly operations?: ReadonlyArray<ObjectStoreOperation>
  /** Which keys; a batch of deletions has the empty key. */
  readonly key?: RegExp
  /** The first one that it happens to, among the requests that match. Default 1. */
  readonly from?: number
  /** How many it happens to. Default 1. */
  readonly times?: number
}

const matches = ({ operations, key }: Rule, request: ObjectRequest): boolean =>
  (operations === undefined || operations.includes(request.operation)) &&
  (key === undefined || request.key.search(key) !== -1)

/** Each request suffers the first rule that is due; every rule counts all requests that match it. */
export const rules = (all: ReadonlyArray<Rule>): Plan => {
  const seen = all.map(() => 0)
  return (request) => {
    let due: Rule | undefined
    for (const [index, rule] of all.entries()) {
      if (!matches(rule, request)) continue
      const number = (seen[index] ?? 0) + 1
      seen[index] = number
      const { from = 1, times = 1 } = rule
      if (number >= from && number < from + times) due ??= rule
    }
    return due
  }
}

const suffer = <A>(
  request: ObjectRequest,
  fault: Fault,
  run: Effect.Effect<A, ObjectStoreError>
): Effect.Effect<A, ObjectStoreError> => {
  const { delayMillis = 0, before, after, truncated = false, retryAfterSeconds } = fault
  const fail = (reason: ObjectStoreReason) =>
    Effect.fail(
      new ObjectStoreError({
        operation: request.operation,
        key: request.key,
        reason,
        detail: "made up by a fault plan",
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds })
      })
    )
  const isRead = request.operation === "get" || request.operation === "getRange"
  const lost = after ?? (truncated && isRead ? "Truncated" : undefined)
  const answered =
    before !== undefined ? fail(before) : lost === undefined ? run : Effect.andThen(run, fail(lost))
  return delayMillis === 0 ? answered : Effect.andThen(Effect.sleep(Duration.millis(delayMillis)), answered)
}

export const faulty = (store: ObjectStore["Service"], plan: Plan): Effect.Effect<ObjectStore["Service"]> =>
  Effect.sync(() => {
    let number = 0
    return around(store, (request, run) =>
      Effect.suspend(() => {
        number += 1
        const fault = plan(request, number)
        return fault === undefined ? run : suffer(request, fault, run)
      })
    )
  })

export const layer = (plan: Plan): Layer.Layer<ObjectStore, never, ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.flatMap(ObjectStore, (store) => faulty(store, plan))
  )
