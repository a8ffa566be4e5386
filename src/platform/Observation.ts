/**
 * Observation: how the parts of the library tell what they do, in the metrics of `Metrics` and in spans.
 *
 * Invariants: what is observed does what it did before, and fails as it did. A task that has begun is counted as under
 * way until it has ended, however that comes, and then once by how it ended.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Metrics from "./Metrics.ts"

export type TaskName = "backup" | "garbage_collection" | "sync" | "verification" | "refresh"

export type TaskOutcome = "success" | "failure" | "interrupted" | "defect"

export type Labels = Readonly<Record<string, string>>

/** A metric for each set of labels, made once: what is asked for often is found by its values. */
export const labelled = <Input, State>(
  metric: Metric.Metric<Input, State>
): ((labels: Labels) => Metric.Metric<Input, State>) => {
  const made = new Map<string, Metric.Metric<Input, State>>()
  return (labels) => {
    const key = Object.values(labels).join("\n")
    const found = made.get(key)
    if (found !== undefined) return found
    const one = Metric.withAttributes(metric, labels)
    made.set(key, one)
    return one
  }
}

/** Adds to a counter for one label; nothing is no event, and makes no series. */
export const add = (
  counter: Metric.Counter<number>,
  amount: number,
  labels: Labels = {}
): Effect.Effect<void> =>
  amount === 0 ? Effect.void : Metric.update(Metric.withAttributes(counter, labels), amount)

export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): TaskOutcome => {
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.hasFails(exit.cause)) return "failure"
  return Cause.hasInterrupts(exit.cause) ? "interrupted" : "defect"
}

const nanosPerSecond = 1e9

/** Seconds since a reading of the monotonic clock. */
export const secondsSince = (beginNanos: bigint): Effect.Effect<number> =>
  Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos - beginNanos) / nanosPerSecond)

/** A task that is under way until the scope closes. `outcome` may know more than how the scope was closed. */
export const taskScoped = (
  task: TaskName,
  outcome: (exit: Exit.Exit<unknown, unknown>) => TaskOutcome = outcomeOf
): Effect.Effect<void, never, Scope.Scope> => {
  const running = Metric.withAttributes(Metrics.runningTasks, { task })
  const begin = Effect.andThen(Metric.modify(running, 1), Clock.monotonicTimeNanos)
  return Effect.asVoid(
    Effect.acquireRelease(begin, (beginNanos, exit) =>
      Effect.gen(function* () {
        yield* Metric.modify(running, -1)
        const seconds = yield* secondsSince(beginNanos)
        yield* Metric.update(Metric.withAttributes(Metrics.taskSeconds, { task }), seconds)
        yield* add(Metrics.tasks, 1, { task, outcome: outcome(exit) })
      })
    )
  )
}

/** `effect` as a task, in a span of its own: `granary.TASK`. */
export const task =
  (name: TaskName, attributes: Readonly<Record<string, unknown>> = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    span(
      `granary.${name}`,
      attributes
    )(Effect.scopedWith((scope) => Effect.andThen(Scope.provide(taskScoped(name), scope), effect)))

/**
 * A span around `effect`. A fault in `effect` is not told with the place at which the span was made: finding that place
 * out costs more than all the rest, and it is always the same.
 */
export const span =
  (name: string, attributes: Readonly<Record<string, unknown>> = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.useSpan(name, { attributes }, (made) =>
      Effect.provideService(effect, Tracer.ParentSpan, made)
    ) as Effect.Effect<A, E, R>

/** Whether anybody looks at spans: what Effect has without a tracer keeps none. For what takes microseconds. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.getRef(Tracer.Tracer) !== Tracer.nativeTracer
