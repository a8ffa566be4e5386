/** StoreScenarios: over a sound backend nothing is found; over one with a fault each scenario finds what it is for. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Files } from "../../src/platform/Files.ts"
import {
  type Backend,
  Explore,
  loseAll,
  type MakeBackend,
  MemoryDisk,
  MemoryFileLocks,
  MemoryFiles,
  StoreScenarios
} from "../../src/testing.ts"

type Change = (files: Files["Service"]) => Files["Service"]

/** A disk whose files are changed for all processes; the power takes everything that was not flushed. */
const backend =
  (
    change: Change = (files) => files,
    more: (disk: MemoryDisk) => Partial<Backend> = () => ({})
  ): MakeBackend =>
  () => {
    const disk = new MemoryDisk()
    const plain = MemoryFiles.layer(disk)
    const files = Layer.effect(Files, Effect.map(Files, change)).pipe(Layer.provide(plain))
    return {
      files: () => files,
      onCrash: (crash) => void (crash.kind === "world" && disk.losePower(loseAll)),
      ...more(disk)
    }
  }

/** Every process for itself: two may hold the same lock. */
const privateLocks = backend(undefined, (disk) => ({
  locks: (process) => MemoryFileLocks.layer(new MemoryFileLocks.MemoryLockTable(disk), { process })
}))

const onePreemption = { preemptions: 1 }
const killed = { kinds: ["kill", "crash"] as const, schedules: { preemptions: 0 } }

describe("StoreScenarios", () => {
  it("over a sound backend nothing is found", () => {
    for (const scenario of [StoreScenarios.forgottenBase, StoreScenarios.reusedChunk]) {
      const report = Explore.exhaustive(scenario(backend()), { preemptions: 1, maxRuns: 300 })
      Explore.assertHolds(report)
      assert.isAbove(report.runs, 20)
    }
    const report = Explore.crashes(StoreScenarios.killedWriter(backend()), killed)
    Explore.assertHolds(report)
    assert.isTrue(report.complete)
  })

  it("finds locks that do not exclude other processes", () => {
    const report = Explore.exhaustive(StoreScenarios.reusedChunk(privateLocks), { preemptions: 2 })
    assert.match(report.failure?.message ?? "", /chunk [0-9a-f]{64} is missing/)
  })

  it("finds files that keep no access times", () => {
    const forgetful = backend((files) => ({ ...files, touch: () => Effect.succeed(true) }))
    const report = Explore.exhaustive(StoreScenarios.reusedChunk(forgetful), onePreemption)
    assert.isDefined(report.failure)
  })

  it("finds files that are not flushed when they are replaced", () => {
    const lazy = backend((files) => ({
      ...files,
      replaceFile: (target, parts) => files.replaceFile(target, parts)
    }))
    const report = Explore.crashes(StoreScenarios.killedWriter(lazy), killed)
    assert.match(report.failure?.message ?? "", /its backup was done, and it is not there/)
  })
})
