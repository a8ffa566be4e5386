/** What the parts of the library tell of themselves: tasks under way and ended, spans, and the list of metrics. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import * as Metrics from "../../src/platform/Metrics.ts"
import * as Observation from "../../src/platform/Observation.ts"
import { freshMetrics, metricOf, recorded } from "./telemetry.ts"

describe("a task", () => {
  it.effect("is under way until it ends, and counts once by how it ended", () =>
    Effect.gen(function* () {
      const task = Observation.task("sync")
      const [begun, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const waiting = Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(mayEnd))
      const fiber = yield* Effect.forkChild(task(waiting))
      yield* Deferred.await(begun)
      assert.deepStrictEqual(yield* metricOf("granary_tasks_running"), { sync: 1 })
      assert.deepStrictEqual(yield* metricOf("granary_tasks_total"), {})
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Fiber.join(fiber)
      yield* Effect.exit(task(Effect.fail("no")))
      yield* Effect.exit(task(Effect.die("no")))
      const stuck = yield* Effect.forkChild(task(Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(stuck)
      assert.deepStrictEqual(yield* metricOf("granary_tasks_running"), { sync: 0 })
      assert.deepStrictEqual(yield* metricOf("granary_tasks_total"), {
        "success sync": 1,
        "failure sync": 1,
        "defect sync": 1,
        "interrupted sync": 1
      })
      assert.deepStrictEqual(yield* metricOf("granary_task_seconds"), { sync: 4 })
    }).pipe(freshMetrics)
  )

  it.effect("has a span with all that happens in it, and fails as it did", () =>
    Effect.gen(function* () {
      const inner = Observation.span("granary.gc.plan")(Effect.fail("as it did"))
      const outer = Observation.task("garbage_collection", { a: 1 })(inner)
      const { spans, value } = yield* recorded(Effect.flip(outer))
      assert.strictEqual(value, "as it did")
      assert.deepStrictEqual(
        spans.map(({ name, parent }) => [name, parent]),
        [
          ["granary.garbage_collection", undefined],
          ["granary.gc.plan", "granary.garbage_collection"]
        ]
      )
      assert.deepStrictEqual(spans[0]?.attributes, { a: 1 })
    }).pipe(freshMetrics)
  )
})

describe("the metrics", () => {
  it("are those of the documentation, with their types", () => {
    const text = readFileSync(path.join(import.meta.dirname, "../../docs/observability.md"), "utf8")
    const rows = [...text.matchAll(/^\| `(granary_\w+)` \| (\w+) \|/gm)]
    const documented = rows.map(([, name, type]) => `${name} ${type}`)
    const made = Object.values(Metrics).map(({ id, type }) => `${id} ${type.toLowerCase()}`)
    assert.deepStrictEqual(documented.toSorted(), made.toSorted())
    assert.isTrue(Object.values(Metrics).every((metric) => Metric.isMetric(metric)))
  })
})
