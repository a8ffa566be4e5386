/**
 * A collection of a datastore in a bucket beside a backup on the same host, in every order of what the two ask for, and
 * killed at every step. Each case is played once more without the rule that it needs, and must then lose a chunk.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { GcRules } from "../../src/gc/GcRules.ts"
import { around } from "../../src/objectstore/decorators/ObjectRequest.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import { Explore, inProcess, type MemoryFiles, type Scenario, Simulation } from "../../src/testing.ts"
import {
  backUp,
  backUpNow,
  collect,
  digestOfText,
  forget,
  graceOver,
  keyOf,
  play,
  pathOf,
  Scene,
  type StoreEffect,
  startMillis,
  daySeconds
} from "./bucketScene.ts"

const text = "again"
const laterMillis = startMillis + 4 * daySeconds * 1000

/** A chunk that nobody needs, known to the folder, and old. */
const prepared = play(
  Effect.gen(function* () {
    const scene = new Scene([text])
    yield* Effect.flatMap(backUp([text]), forget).pipe(scene.on(scene.host))
    yield* graceOver
    return scene
  })
)

const chunkCalls = ["stat", "touch", "unlink", "replaceFile", "rename"]

/** Calls that look at the chunk's file or change it, and guards; but not the steps within one call. */
const isPoint = (label: string, step: number): boolean =>
  step === 0 && label.includes(pathOf(text)) && chunkCalls.some((call) => label.startsWith(call))

const isShared = (operation: string, key: string): boolean =>
  operation === "deleteMany" ||
  key === keyOf(text) ||
  key.endsWith("/.chunks/") ||
  key.endsWith("/generation")

/** Every request that matters to both can be overtaken before it is made and before it is heard of. */
const overtakable = (
  objects: ObjectStore["Service"],
  { point }: Simulation["Service"]
): ObjectStore["Service"] =>
  around(objects, ({ key, operation }, request) =>
    isShared(operation, key)
      ? Effect.andThen(
          point(operation),
          Effect.flatMap(Effect.exit(request), (exit) => Effect.andThen(point(`${operation} answered`), exit))
        )
      : request
  )

class Race {
  readonly scene = prepared.fork()
  hasFinished = false

  readonly process = (name: string, rules: Partial<GcRules> = {}) => {
    const on = <A, E>(work: StoreEffect<A, E>) =>
      Effect.gen({ self: this }, function* () {
        const simulation = yield* Simulation
        const point: MemoryFiles.FilesPoint = (label, step) =>
          isPoint(label, step) ? simulation.point(label.replace(pathOf(text), "x")) : Effect.void
        const decorate = (objects: ObjectStore["Service"]) => overtakable(objects, simulation)
        return yield* work.pipe(this.scene.on(this.scene.host, { point, process: name, rules, decorate }))
      })
    return <A, E>(work: StoreEffect<A, E>) => inProcess(name)(on(work))
  }

  readonly collector = (rules: Partial<GcRules>) => this.process("gc", rules)(collect())

  readonly backup = Effect.asVoid(
    this.process("backup")(
      Effect.tap(backUpNow([text]), () => Effect.sync(() => void (this.hasFinished = true)))
    )
  )

  readonly verdict = (): string | boolean =>
    this.hasFinished && this.scene.stored(text)[0] === false
      ? `${digestOfText(text).slice(0, 8)} is needed by a finished snapshot, and is gone`
      : true

  scenario(program: Effect.Effect<unknown, unknown, Simulation>): Scenario {
    return {
      program,
      invariant: this.verdict,
      check: this.verdict,
      onCrash: (crash) => {
        if (crash.kind === "process") this.scene.host.locks.releaseProcess(crash.process)
      }
    }
  }
}

const together = (rules: Partial<GcRules>) => () => {
  const race = new Race()
  const both = Effect.all([race.collector(rules), race.backup], { concurrency: "unbounded", discard: true })
  return {
    ...race.scenario(both),
    check: () => (race.hasFinished ? race.verdict() : "the backup has not finished")
  }
}

/** Whoever is killed, and wherever: the next backup on this host loses nothing. */
const oneAfterTheOther = (rules: Partial<GcRules>) => () => {
  const race = new Race()
  return race.scenario(Effect.andThen(race.collector(rules), race.backup))
}

const options = { startMillis: laterMillis }

describe("a chunk that nobody needed is stored again while it is collected", () => {
  it("nothing is lost, in any order", () => {
    const report = Explore.exhaustive(together({}), { ...options, preemptions: 2 })
    Explore.assertHolds(report)
    assert.isTrue(report.complete)
    assert.isAbove(report.runs, 80)
  })

  it.each(["holdsGuardsWhileDeleting", "rechecksUnderGuard"] as const)("without %s it is", (rule) => {
    const { failure } = Explore.exhaustive(together({ [rule]: false }), {
      ...options,
      preemptions: 2,
      maxShrinkRuns: 0
    })
    assert.include(failure?.message, "is gone")
  })
})

describe("a collection is killed, and a backup follows", () => {
  const kills = { ...options, preemptions: 0, faults: { max: 1, kinds: ["kill"] } } as const

  it("nothing is lost, wherever it was killed", () => {
    const report = Explore.exhaustive(oneAfterTheOther({}), kills)
    Explore.assertHolds(report)
    assert.isTrue(report.complete)
  })

  it("with the marker behind the object it is", () => {
    const { failure } = Explore.exhaustive(oneAfterTheOther({ forgetsBeforeDeleting: false }), {
      ...kills,
      maxShrinkRuns: 0
    })
    assert.include(failure?.message, "is gone")
  })
})
