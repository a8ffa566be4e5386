/** How much is under way, how fast, and what is told of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import { syncError } from "../../src/sync/SyncError.ts"
import type { SyncEvent } from "../../src/sync/SyncEvent.ts"
import * as SyncJob from "../../src/sync/SyncJob.ts"
import * as TransferRates from "../../src/sync/TransferRates.ts"
import * as TransferWindow from "../../src/sync/TransferWindow.ts"
import { hooked } from "./hooked.ts"
import { owner, play, Scene } from "./scene.ts"

const texts = (from: number, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, number) => `chunk ${from + number}`)

const secondsFor = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    yield* effect
    return ((yield* Clock.currentTimeMillis) - start) / 1000
  })

/** Every chunk takes a second to come. */
const slowly = (onStart: () => void = () => undefined, onEnd: () => void = () => undefined) =>
  hooked({
    chunk: () =>
      Effect.andThen(
        Effect.sync(onStart),
        Effect.tap(Effect.sleep("1 second"), () => Effect.sync(onEnd))
      )
  })

describe("chunks", () => {
  const groups = 4
  const each = 16

  /** Different chunks in every group. */
  const prepared = Effect.gen(function* () {
    const scene = new Scene()
    for (let group = 0; group < groups; group++) {
      yield* scene.backUp(scene.source, { group: `vm/${group}`, day: 0, texts: texts(group * each, each) })
    }
    return scene
  })

  const cases: ReadonlyArray<readonly [pipelining: "on" | "off", parallelGroups: number, seconds: number]> = [
    ["off", 1, groups * each],
    ["off", 4, each],
    ["on", 1, groups],
    ["on", 4, 1]
  ]
  for (const [pipelining, parallelGroups, seconds] of cases) {
    it(`with pipelining ${pipelining} and ${parallelGroups} groups at a time`, () => {
      play(
        Effect.gen(function* () {
          const scene = yield* prepared
          const took = yield* secondsFor(scene.sync({ pipelining, parallelGroups }, slowly()))
          assert.closeTo(took, seconds, 0.5)
        })
      )
    })
  }

  it("of all groups share one window", () => {
    play(
      Effect.gen(function* () {
        const scene = yield* prepared
        let [now, most] = [0, 0]
        const watched = slowly(
          () => void (most = Math.max(most, ++now)),
          () => void (now -= 1)
        )
        const took = yield* secondsFor(scene.sync({ parallelGroups: 4, transfersMax: 8 }, watched))
        assert.strictEqual(most, 8)
        assert.closeTo(took, (groups * each) / 8, 0.5)
      })
    )
  })

  it("keep to the rates", () => {
    play(
      Effect.gen(function* () {
        const bytes = (scene: Scene) =>
          Effect.map(scene.sync(), ({ counts }) => counts.chunkBytes + counts.fileBytes)
        const total = yield* Effect.flatMap(prepared, bytes)
        for (const way of ["rateIn", "rateOut"]) {
          const rate = { bytesPerSecond: total / 20, burstBytes: 1 }
          const scene = yield* prepared
          const took = yield* secondsFor(scene.sync({ parallelGroups: 4, [way]: rate }))
          assert.closeTo(took, 20, 2, way)
        }
      })
    )
  })
})

describe("the window", () => {
  it("narrows when a store asks for fewer requests, once a second, and widens again", () => {
    play(
      Effect.gen(function* () {
        const window = yield* TransferWindow.make({ transfersMax: 16, bytesMax: 1000 })
        const throttled = Effect.ignore(window.within(1)(Effect.fail(syncError("Throttled", "slow down"))))
        yield* throttled
        yield* throttled
        assert.strictEqual(window.limit(), 8)
        yield* Effect.sleep("2 seconds")
        yield* throttled
        assert.strictEqual(window.limit(), 4)
        yield* Effect.ignore(window.within(1)(Effect.fail(syncError("Unavailable", "broken"))))
        assert.strictEqual(window.limit(), 4)
        let [now, most] = [0, 0]
        const one = window.within(1)(
          Effect.gen(function* () {
            most = Math.max(most, ++now)
            yield* Effect.sleep("1 second")
            now -= 1
          })
        )
        yield* Effect.forEach(texts(0, 4), () => one, { concurrency: "unbounded" })
        assert.strictEqual(most, 4)
        for (let count = 0; count < 200; count++) yield* window.within(1)(Effect.void)
        assert.strictEqual(window.limit(), 16)
      })
    )
  })

  it("bounds the memory, and lets one through that is larger", () => {
    play(
      Effect.gen(function* () {
        const window = yield* TransferWindow.make({ transfersMax: 16, bytesMax: 100 })
        const run = (sizeBytes: number, count: number) =>
          secondsFor(
            Effect.forEach(texts(0, count), () => window.within(sizeBytes)(Effect.sleep("1 second")), {
              concurrency: "unbounded"
            })
          )
        assert.strictEqual(yield* run(50, 4), 2)
        assert.strictEqual(yield* run(5000, 3), 3)
        assert.strictEqual(yield* run(1, 16), 1)
      })
    )
  })
})

describe("a rate", () => {
  it("counts what came, not what could have come", () => {
    play(
      Effect.gen(function* () {
        const rate = yield* TransferRates.make({ bytesPerSecond: 100, burstBytes: 100 })
        const one = rate.incoming(100)(Effect.succeed(new Uint8Array(10)))
        const took = yield* secondsFor(Effect.forEach(texts(0, 110), () => one))
        assert.closeTo(took, 10, 1)
      })
    )
  })

  it("takes nothing from who left the line", () => {
    play(
      Effect.gen(function* () {
        const rate = yield* TransferRates.make({ bytesPerSecond: 10, burstBytes: 10 })
        yield* rate.outgoing(10)
        const waiting = yield* Effect.forkChild(rate.outgoing(1000))
        yield* Effect.sleep("500 millis")
        yield* Fiber.interrupt(waiting)
        assert.closeTo(yield* secondsFor(rate.outgoing(10)), 0.5, 0.1)
      })
    )
  })
})

const eventsOf = (scene: Scene, parallelGroups = 1) =>
  scene.ends(({ source, target }) =>
    Stream.runCollect(
      SyncJob.make(hooked({ chunk: () => Effect.sleep("400 millis") })(source), target).events({
        direction: "pull",
        owner,
        parallelGroups
      })
    )
  )

const nameOf = (event: SyncEvent): string | undefined => {
  switch (event.type) {
    case "group-started":
      return `+${BackupGroup.format(event.place.group)} of ${event.plan.snapshots.length}`
    case "snapshot":
      return event.state === "done" ? `${event.action} ${event.snapshot.time % 86_400}` : undefined
    case "group-ended":
      return `-${BackupGroup.format(event.place.group)} ${event.report.state}`
    default:
      return event.type === "namespace" || event.type === "summary" ? event.type : undefined
  }
}

describe("events", () => {
  it("tell a run from the first namespace to the summary", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/1", [["a"], ["b"]])
        yield* scene.backUpDays(scene.source, "vm/2", [["c"]])
        const events = yield* eventsOf(scene)
        assert.deepStrictEqual(
          events.map(nameOf).filter((name) => name !== undefined),
          [
            "namespace",
            "+vm/1 of 2",
            "copy 0",
            "copy 0",
            "-vm/1 done",
            "+vm/2 of 1",
            "copy 0",
            "-vm/2 done",
            "summary"
          ]
        )
        const shares = events.flatMap((event) => (event.type === "progress" ? [event.share] : []))
        assert.deepStrictEqual(
          shares,
          shares.toSorted((left, right) => left - right)
        )
        assert.strictEqual(shares.at(-1), 1)
        assert.include(shares, 0.25)
      })
    )
  })

  it("keep the lines of a group together while several are at work", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        for (const group of ["vm/1", "vm/2"]) {
          yield* scene.backUpDays(
            scene.source,
            group,
            [["a"], ["b"], ["c"]].map(([text]) => [`${group}${text}`])
          )
        }
        const blocks = (events: ReadonlyArray<SyncEvent>) =>
          events.flatMap((event) => (event.type === "log" ? [event.lines] : []))
        const together = blocks(yield* eventsOf(scene, 2))
        for (const lines of together) {
          const names = new Set(lines.map(({ place }) => place.group && BackupGroup.format(place.group)))
          assert.strictEqual(names.size, 1)
        }
        assert.strictEqual(together.flat().length, 6)
        assert.isBelow(together.length, 6)
        const single = blocks(yield* eventsOf(scene))
        assert.strictEqual(single.length, single.flat().length)
      })
    )
  })
})

describe("a plan", () => {
  it("says what a run does, and changes nothing", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/1", [
          ["a", "bb"],
          ["a", "ccc"]
        ])
        yield* scene.backUp(scene.target, { group: "host/x", day: 0, texts: ["a"] })
        const planned = yield* scene.plan({ removeVanished: true })
        assert.deepStrictEqual(planned.totals, {
          groups: 1,
          failingGroups: 0,
          snapshots: 2,
          skippedSnapshots: 0,
          removedSnapshots: 1,
          estimate: { chunks: 3, bytes: 6, missingChunks: 2, missingBytes: 5 }
        })
        assert.strictEqual((yield* scene.plan({ removeVanished: true })).totals.snapshots, 2)
        const { counts, removed } = yield* scene.sync({ removeVanished: true })
        assert.strictEqual(counts.copiedSnapshots, 2)
        assert.strictEqual(counts.chunks, 2)
        assert.strictEqual(removed.snapshots, 1)
      })
    )
  })
})
