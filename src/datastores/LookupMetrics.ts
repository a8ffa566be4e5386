/**
 * LookupMetrics: what lookups tell the metrics, and their spans.
 *
 * A lookup of an open store takes microseconds, and there are many: it costs one count. A span for it is made only
 * where a tracer takes it.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as Metrics from "../platform/Metrics.ts"
import * as Observation from "../platform/Observation.ts"
import type { CountedOperation } from "./ActiveOperations.ts"

export interface Request {
  readonly name: string
  readonly operation: CountedOperation
}

type Counts = Readonly<Record<CountedOperation, Effect.Effect<void>>>

const lookups = Observation.labelled(Metrics.lookups)

const countsOf = (outcome: string): Counts => ({
  read: Metric.update(lookups({ operation: "read", outcome }), 1),
  write: Metric.update(lookups({ operation: "write", outcome }), 1)
})

/** The store was open. */
export const countOpen = countsOf("open")

/** The store was opened for it, or by somebody else meanwhile. */
export const countOpened = countsOf("opened")

/** A service's error has a reason of a short list; others say what they are. */
const outcomeOf = (cause: Cause.Cause<unknown>): string => {
  const found = Cause.findError(cause)
  if (Result.isFailure(found)) return Cause.hasInterrupts(cause) ? "interrupted" : "defect"
  const error = found.success
  if (typeof error !== "object" || error === null) return "failure"
  if ("reason" in error && typeof error.reason === "string") return error.reason
  return "_tag" in error && typeof error._tag === "string" ? error._tag : "failure"
}

/** Counts the lookup if it fails, and makes its span. */
export const observed = <A, E, R>(
  { name, operation }: Request,
  lookup: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const counted = Effect.tapCause(lookup, (cause) =>
    Metric.update(lookups({ operation, outcome: outcomeOf(cause) }), 1)
  )
  return Effect.withFiber((fiber) =>
    Observation.isTraced(fiber)
      ? Observation.span("granary.lookup", {
          "granary.datastore": name,
          "granary.operation": operation
        })(counted)
      : counted
  )
}

/** Tells how long the opening took. */
export const observedOpening = <A, E, R>(
  name: string,
  open: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.monotonicTimeNanos, (beginNanos) =>
    Effect.tap(open, () =>
      Effect.flatMap(Observation.secondsSince(beginNanos), (seconds) =>
        Metric.update(Metrics.openSeconds, seconds)
      )
    )
  ).pipe(Observation.span("granary.datastore.open", { "granary.datastore": name }))
