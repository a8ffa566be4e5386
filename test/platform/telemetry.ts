/** What a test sees of metrics and spans: a registry of its own, and a tracer that keeps what it gets. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** Counts begin at nothing, and are of this effect alone. */
export const freshMetrics = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

/** The series of a metric by the values of their labels: counts, of a gauge its value. */
export const metricOf = (id: string): Effect.Effect<Readonly<Record<string, number>>> =>
  Effect.map(Metric.snapshot, (all) =>
    Object.fromEntries(
      all
        .filter((one) => one.id === id)
        .map(({ attributes = {}, state }) => [
          Object.values(attributes).toSorted().join(" "),
          Number("count" in state ? state.count : "value" in state ? state.value : Number.NaN)
        ])
    )
  )

export interface RecordedSpan {
  readonly name: string
  readonly parent: string | undefined
  readonly attributes: Readonly<Record<string, unknown>>
}

const read = (span: Tracer.Span): RecordedSpan => ({
  name: span.name,
  parent: Option.match(span.parent, {
    onNone: () => undefined,
    onSome: (parent) => (parent._tag === "Span" ? parent.name : undefined)
  }),
  attributes: Object.fromEntries(span.attributes)
})

/** Runs the effect and answers its spans, in the order of their begins. */
export const recorded = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    return Effect.provideService(effect, Tracer.Tracer, tracer).pipe(
      Effect.map((value) => ({ value, spans: spans.map(read) }))
    )
  })
