/** Two hosts on one bucket in every order of their requests: a writer and a collection, two collections, and the killed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Digest from "../../../src/model/Digest.ts"
import { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import { StoreError } from "../../../src/store/StoreError.ts"
import { chunkPath } from "../../../src/store/StoreLayout.ts"
import {
  actor,
  Explore,
  inProcess,
  instrument,
  point,
  type Scenario,
  type Simulation
} from "../../../src/testing.ts"
import type { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import * as Scenes from "./hostScene.ts"

const chunk = Scenes.digestNumber(0)
const keyOf = (digest: Digest.Digest) => `store/.chunks/${digest.slice(0, 4)}/${digest}`

/** Objects and markers as they are when a race begins, on both hosts: the chunk is there, and all know it. */
const prepare = (bucket: MemoryBucket, name: string) =>
  Effect.gen(function* () {
    const disk = Scenes.newDisk(chunk)
    Scenes.putChunk(bucket, chunk)
    const host = yield* Scenes.hostOn({ name, disk }, Scenes.connection(bucket))
    yield* Scenes.mark(host, chunk)
    yield* Effect.scoped(host.hosts.writing("before"))
    return disk
  }).pipe(Effect.scoped)

type Work = Effect.Effect<void, unknown, Simulation>

const reasonOf = (error: unknown): string =>
  error instanceof StoreError || error instanceof ObjectStoreError ? error.reason : String(error)

const prepared = () => {
  const bucket = Scenes.newBucket()
  return { bucket, a: Effect.runSync(prepare(bucket, "a")), b: Effect.runSync(prepare(bucket, "b")) }
}

const beginning = prepared()

class Race {
  readonly bucket = beginning.bucket.clone()
  readonly disks = { a: beginning.a.fork(), b: beginning.b.fork() }
  /** Who counts on being undisturbed at this moment. */
  readonly busy = new Set<string>()
  readonly outcomes: Array<string> = []
  isReferenced = false

  /** A host of which every request can be overtaken. */
  host(name: "a" | "b") {
    return Effect.flatMap(
      instrument(Scenes.connection(this.bucket), { label: (operation) => operation }),
      (objects) => Scenes.hostOn({ name, seed: `${name} in the race`, disk: this.disks[name] }, objects)
    )
  }

  during<A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.busy.add(what)),
      () => effect,
      () => Effect.sync(() => this.busy.delete(what))
    )
  }

  /** Relies on the marker if it is there, else stores the chunk, and publishes what names it. */
  readonly writer = Effect.gen({ self: this }, function* () {
    const host = yield* this.host("b")
    const lease = yield* host.hosts.writing("lease")
    const work = Effect.gen({ self: this }, function* () {
      yield* point("work")
      if (!host.has(chunk)) Scenes.putChunk(this.bucket, chunk)
      yield* point("publish")
      yield* lease.check
      this.isReferenced = true
    })
    yield* this.during("writer", work)
  })

  readonly collector = (name: "a" | "b", process: string) =>
    Effect.gen({ self: this }, function* () {
      const host = yield* this.host(name)
      const collecting = yield* host.hosts.collecting
      const work = Effect.gen({ self: this }, function* () {
        yield* point("mark")
        if (this.isReferenced) return
        yield* collecting.beginsRemoving
        yield* collecting.check
        yield* Effect.ignore(host.files.unlink(chunkPath(Scenes.layout, chunk)))
        yield* point("sweep")
        this.bucket.delete(keyOf(chunk), 0)
      })
      yield* this.during(process, work)
    })

  run(name: string, work: Work): Effect.Effect<void, never, Simulation> {
    const told = Effect.match(work, { onSuccess: () => "done", onFailure: reasonOf })
    return Effect.map(inProcess(name)(told).pipe(actor(name)), (outcome) => {
      this.outcomes.push(Option.getOrElse(outcome, () => "killed"))
    })
  }

  /** `fine`: how the parts may end, in alphabetical order. */
  scenario(fine: ReadonlyArray<string>, ...parts: ReadonlyArray<readonly [string, Work]>): Scenario {
    return {
      program: Effect.forEach(parts, ([name, work]) => this.run(name, work), {
        concurrency: "unbounded",
        discard: true
      }),
      invariant: () => this.invariant(),
      onCrash: (crash) => {
        if (crash.kind === "process") this.busy.delete(crash.process)
      },
      check: () => fine.includes(this.outcomes.toSorted().join()) || this.outcomes.join()
    }
  }

  invariant(): string | undefined {
    if (this.busy.size > 1) return `at once: ${[...this.busy].join(", ")}`
    return this.isReferenced && this.bucket.find(keyOf(chunk)) === undefined
      ? "a needed chunk is gone"
      : undefined
  }
}

const writerAndCollector = () => {
  const race = new Race()
  return race.scenario(
    ["done,done", "Busy,done"],
    ["writer", Effect.scoped(race.writer)],
    ["collector", Effect.scoped(race.collector("a", "collector"))]
  )
}

const twoCollectors = () => {
  const race = new Race()
  return race.scenario(
    ["done,done", "Busy,done"],
    ["one", Effect.scoped(race.collector("a", "one"))],
    ["two", Effect.scoped(race.collector("b", "two"))]
  )
}

/** Somebody is killed, and somebody else comes when the dead one counts as dead. */
const later = () => {
  const race = new Race()
  return race.scenario(
    ["done,done", "done,killed"],
    ["collector", Effect.scoped(race.collector("a", "collector"))],
    ["writer", Effect.andThen(Effect.sleep("31 minutes"), Effect.scoped(race.writer))]
  )
}

describe("hosts in every order", () => {
  it("a writer and a collection never work at once, and what the writer publishes is there", () => {
    const report = Explore.assertHolds(
      Explore.exhaustive(writerAndCollector, { preemptions: 3, maxRuns: 40_000 })
    )
    assert.isTrue(report.complete)
    assert.isAbove(report.runs, 300)
  })

  it("of two collections one goes on, and never both", () => {
    const report = Explore.assertHolds(Explore.exhaustive(twoCollectors, { preemptions: 3, maxRuns: 40_000 }))
    assert.isTrue(report.complete)
    assert.isAbove(report.runs, 300)
  })

  it("whoever is killed at whichever step, what was published is there", () => {
    const options = { kinds: ["kill"], schedules: { preemptions: 1 }, maxRuns: 20_000 } as const
    const report = Explore.assertHolds(Explore.crashes(later, options))
    assert.isTrue(report.complete)
    const atOnce = Explore.crashes(() => ({ ...writerAndCollector(), check: () => true }), options)
    assert.isTrue(Explore.assertHolds(atOnce).complete)
  })
})
