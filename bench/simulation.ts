/**
 * Prints how many runs a second the laboratory plays of a scenario with three actors, on one core: three writers, each
 * with a layer of its own instrumented service, a semaphore and a virtual timer, made anew for every run.
 *
 * Run: node --conditions=development bench/simulation.ts [runs]
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { actor, Explore, instrumentLayer, type Scenario } from "../src/testing.ts"

const maxRuns = Number(process.argv[2] ?? 20_000)

class Store extends Context.Service<
  Store,
  {
    readonly has: (digest: string) => Effect.Effect<boolean>
    readonly insert: (digest: string) => Effect.Effect<void>
    readonly publish: (name: string, digests: ReadonlyArray<string>) => Effect.Effect<void>
  }
>()("bench/Store") {}

const scenario = (): Scenario => {
  const chunks = new Set<string>()
  const indexes = new Map<string, ReadonlyArray<string>>()
  const memory = Layer.succeed(Store, {
    has: (digest) => Effect.sync(() => chunks.has(digest)),
    insert: (digest) => Effect.sync(() => void chunks.add(digest)),
    publish: (name, digests) => Effect.sync(() => void indexes.set(name, digests))
  })
  const gate = Semaphore.makeUnsafe(2)
  const write = (name: string) =>
    Effect.gen(function* () {
      const store = yield* Store
      if (!(yield* store.has("x"))) yield* store.insert("x")
      yield* Effect.sleep(10)
      yield* store.publish(name, ["x"])
    }).pipe(gate.withPermit, actor(name))
  return {
    program: Effect.forEach(["a", "b", "c"], write, { concurrency: "unbounded" }).pipe(
      Effect.provide(memory.pipe(instrumentLayer(Store)))
    ),
    invariant: () => {
      for (const digests of indexes.values()) for (const each of digests) if (!chunks.has(each)) return false
      return true
    },
    check: ({ _tag }) => _tag === "Crashed" || indexes.size === 3
  }
}

const strategies = {
  seeded: () => Explore.seeded(scenario, { maxRuns }),
  pct: () => Explore.pct(scenario, { maxRuns }),
  exhaustive: () => Explore.exhaustive(scenario, { maxRuns }),
  crashes: () => Explore.crashes(scenario, { maxRuns })
}

Explore.seeded(scenario, { maxRuns: 2000 })
for (const explore of Object.values(strategies)) {
  const before = process.cpuUsage()
  const report = Explore.assertHolds(explore())
  const { user, system } = process.cpuUsage(before)
  const rate = report.runs / ((user + system) / 1e6)
  console.log(`${Explore.render(report)}\n  ${rate.toFixed(0)} runs in a second of processor time`)
}
