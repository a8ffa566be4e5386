/** Real services in the laboratory: digest guards of two processes over the memory doubles, killed at any step. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import * as Digest from "../../src/model/Digest.ts"
import * as DigestGuards from "../../src/store/DigestGuards.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import {
  type Crash,
  Explore,
  inProcess,
  MemoryDisk,
  MemoryFileLocks,
  MemoryLockTable,
  point,
  type Scenario,
  Simulation
} from "../../src/testing.ts"
import { both } from "./scenarios.ts"

const digest = Digest.parse("ab".repeat(32))

/** Two processes that work on one chunk under its guard; `guarded` says whether they really take it. */
const guards = (guarded: boolean, releases: boolean) => (): Scenario => {
  const table = new MemoryLockTable(new MemoryDisk())
  let inside = new Set<string>()
  const finished: Array<boolean> = []
  const work = (name: string) =>
    Effect.gen(function* () {
      const { point: park } = yield* Simulation
      const locks = MemoryFileLocks.layer(table, { process: name, point: park })
      const layer = DigestGuards.layer(layoutOf("/")).pipe(Layer.provide(locks))
      const change = Effect.gen(function* () {
        inside.add(name)
        yield* point("changes the chunk")
        inside.delete(name)
      })
      const whole = DigestGuards.DigestGuards.use(({ guard }) => (guarded ? guard(digest)(change) : change))
      return yield* Effect.provide(whole, layer)
    }).pipe(
      inProcess(name),
      Effect.tap((end) => Effect.sync(() => void finished.push(Option.isSome(end))))
    )
  return {
    program: both(work("backup"), work("gc")),
    onCrash: (crash: Crash) => {
      if (crash.kind !== "process") return
      inside = new Set([...inside].filter((name) => name !== crash.process))
      if (releases) table.releaseProcess(crash.process)
    },
    invariant: () => inside.size < 2 || "two processes change one chunk",
    check: () => finished.filter(Boolean).length >= 1
  }
}

describe("digest guards of two processes", () => {
  it("exclude each other in every schedule of two preemptions, whoever is killed wherever", () => {
    const options = { preemptions: 2, faults: { kinds: ["kill"] as const }, maxSteps: 200 }
    const report = Explore.assertHolds(Explore.exhaustive(guards(true, true), options))
    assert.isTrue(report.complete)
    assert.isAbove(report.runs, 200)
  })

  it("are needed", () => {
    assert.strictEqual(Explore.exhaustive(guards(false, true)).failure?.kind, "Violated")
  })

  it("hang when a killed process keeps its locks", () => {
    const kinds = ["kill"] as const
    const { failure } = Explore.crashes(guards(true, false), { kinds, maxSteps: 200 })
    assert.strictEqual(failure?.kind, "StepLimit")
    assert.strictEqual(failure?.schedule.faults[0]?.fault, "kill")
  })
})
