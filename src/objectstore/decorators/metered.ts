/**
 * Counts what a store is asked for: requests by operation and outcome, and bytes of bodies in both directions. Meant
 * for the bill and for tuning, so each attempt counts: put it inside of the retries.
 *
 * A `Meter` is made first and handed to the store, so that whoever has the meter reads it, and several stores may
 * share one. The same numbers go to the metrics `granary_s3_requests_total` and `granary_s3_bytes_total`
 * (`platform/Metrics`), with the time each request took. Each is a span of its own, `granary.s3.OPERATION`.
 *
 * Invariant: a request counts with its body when it begins and its outcome when it ends, however it ends.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as Metrics from "../../platform/Metrics.ts"
import * as Observation from "../../platform/Observation.ts"
import { ObjectStore } from "../ObjectStore.ts"
import type { ObjectStoreError, ObjectStoreOperation, ObjectStoreReason } from "../ObjectStoreError.ts"
import { around, type ObjectRequest } from "./ObjectRequest.ts"

export type Outcome = "success" | "interrupted" | "defect" | ObjectStoreReason

/** How a request ended, in one word. */
export const outcomeOf = <A>(exit: Exit.Exit<A, ObjectStoreError>): Outcome => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Exit.findError(exit)
  if (Result.isSuccess(error)) return error.success.reason
  return Cause.hasInterrupts(exit.cause) ? "interrupted" : "defect"
}

export interface OperationUsage {
  /** Begun, whether they have ended or not. */
  readonly requests: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Ended; an outcome that never was is absent. */
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>
}

export interface Usage {
  readonly requests: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly operations: Readonly<Record<ObjectStoreOperation, OperationUsage>>
}

interface Count {
  requests: number
  bytesIn: number
  bytesOut: number
  readonly outcomes: Partial<Record<Outcome, number>>
}

const noCount = (): Count => ({ requests: 0, bytesIn: 0, bytesOut: 0, outcomes: {} })

export class Meter {
  readonly #operations: Record<ObjectStoreOperation, Count> = {
    put: noCount(),
    putIfAbsent: noCount(),
    get: noCount(),
    getRange: noCount(),
    head: noCount(),
    list: noCount(),
    deleteMany: noCount(),
    copy: noCount()
  }

  /** What was counted up to now. */
  readonly usage: Effect.Effect<Usage> = Effect.sync(() => this.#read())

  begin(operation: ObjectStoreOperation, bytesOut: number): void {
    const count = this.#operations[operation]
    count.requests += 1
    count.bytesOut += bytesOut
  }

  end(operation: ObjectStoreOperation, outcome: Outcome, bytesIn: number): void {
    const count = this.#operations[operation]
    count.bytesIn += bytesIn
    count.outcomes[outcome] = (count.outcomes[outcome] ?? 0) + 1
  }

  #read(): Usage {
    const operations = structuredClone(this.#operations)
    const sum = (name: "requests" | "bytesIn" | "bytesOut"): number =>
      Object.values(operations).reduce((total, count) => total + count[name], 0)
    return { requests: sum("requests"), bytesIn: sum("bytesIn"), bytesOut: sum("bytesOut"), operations }
  }
}

export const makeMeter: Effect.Effect<Meter> = Effect.sync(() => new Meter())

const requestsTotal = Observation.labelled(Metrics.s3Requests)
const bytesTotal = Observation.labelled(Metrics.s3Bytes)
const requestSeconds = Observation.labelled(Metrics.s3Seconds)

const countBytes = (
  operation: ObjectStoreOperation,
  direction: "in" | "out",
  bytes: number
): Effect.Effect<void> =>
  bytes === 0 ? Effect.void : Metric.update(bytesTotal({ operation, direction }), bytes)

/** What a span says of its request. Of a batch the keys are too many to name. */
const spanOf = ({ bytesOut, key, keysCount, operation }: ObjectRequest): Readonly<Record<string, unknown>> =>
  operation === "deleteMany"
    ? { "granary.keys": keysCount }
    : { "granary.key": key, "granary.bytes_out": bytesOut }

export interface MeterOptions {
  /** Where to count; without one only the metrics do. */
  readonly meter?: Meter
}

export const metered = (
  store: ObjectStore["Service"],
  { meter = new Meter() }: MeterOptions = {}
): Effect.Effect<ObjectStore["Service"]> =>
  Effect.succeed(
    around(store, (request, run, bytesIn) =>
      Effect.uninterruptibleMask((restore) => {
        const { bytesOut, operation } = request
        const spanned = Observation.span(`granary.s3.${operation}`, spanOf(request))(run)
        meter.begin(operation, bytesOut)
        const counted = Effect.flatMap(Clock.monotonicTimeNanos, (beginNanos) =>
          Effect.onExit(restore(spanned), (exit) => {
            const outcome = outcomeOf(exit)
            const received = Exit.isSuccess(exit) ? bytesIn(exit.value) : 0
            meter.end(operation, outcome, received)
            return Effect.gen(function* () {
              const seconds = yield* Observation.secondsSince(beginNanos)
              yield* Metric.update(requestSeconds({ operation }), seconds)
              yield* Metric.update(requestsTotal({ operation, outcome }), 1)
              yield* countBytes(operation, "in", received)
            })
          })
        )
        return Effect.andThen(countBytes(operation, "out", bytesOut), counted)
      })
    )
  )

export const layer = (options?: MeterOptions): Layer.Layer<ObjectStore, never, ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.flatMap(ObjectStore, (store) => metered(store, options))
  )
