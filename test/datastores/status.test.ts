/** How configured datastores are: what is told without opening them, and when they will be full. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { existsSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as Status from "../../src/datastores/Status.ts"
import * as UsageHistory from "../../src/datastores/UsageHistory.ts"
import * as GcStatus from "../../src/gc/GcStatus.ts"
import { openService, refusal, staged } from "./scene.ts"

const gcStatus = JSON.stringify(
  GcStatus.toJson({ ...GcStatus.empty, indexDataBytes: 3000, diskBytes: 1000, diskChunks: 7 })
)

describe("status", () => {
  staged("tells space, the last collection and who is at work, without opening the store", ["one"], (stage) =>
    Effect.gen(function* () {
      const { folder, guards, service, storeFolder } = stage
      const before = yield* service.status("one")
      assert.isUndefined(before.lastGc)
      assert.strictEqual(before.deduplicationFactor, 1)
      writeFileSync(path.join(storeFolder("one"), ".gc-status"), gcStatus)
      const status = yield* service.status("one")
      assert.isFalse(guards.isOpen(storeFolder("one")))
      assert.strictEqual(status.lastGc?.diskChunks, 7)
      assert.strictEqual(status.deduplicationFactor, 3)
      const system = statfsSync(storeFolder("one"))
      assert.isDefined(status.space)
      assert.strictEqual(status.space.totalBytes, system.blocks * system.bsize)
      assert.strictEqual(status.space.usedBytes + status.space.availableBytes, status.space.totalBytes)
      assert.isUndefined(status.estimatedFullSeconds)
      assert.isFalse(existsSync(UsageHistory.pathOf(folder, "one")))
      yield* service.tick
      assert.strictEqual(
        (JSON.parse(readFileSync(UsageHistory.pathOf(folder, "one"), "utf8")) as []).length,
        1
      )
      const json = Status.toJson(status)
      assert.include(json, {
        store: "one",
        "backend-type": "filesystem",
        "deduplication-factor": 3,
        error: null
      })
      assert.deepStrictEqual(json["active-operations"], { read: 0, write: 0 })
    })
  )

  staged("is told of a store in maintenance, and of one whose folder is gone", ["one", "two"], (stage) =>
    Effect.gen(function* () {
      const { service, storeFolder } = stage
      yield* service.setMaintenance("one", { type: "offline", message: "moving" })
      assert.deepStrictEqual(Status.toJson(yield* service.status("one"))["maintenance-mode"], {
        type: "offline",
        message: "moving"
      })
      rmSync(storeFolder("two"), { recursive: true })
      const { problem, space } = yield* service.status("two")
      assert.match(problem ?? "", /no such file or directory/)
      assert.isUndefined(space)
      assert.match(yield* refusal(service.status("six")), /no such datastore/)
    })
  )

  staged("forgets the history of a store that was removed", ["one"], ({ folder, service }) =>
    Effect.gen(function* () {
      const other = yield* openService({ folder })
      yield* service.status("one")
      yield* other.status("one")
      yield* service.tick
      assert.isTrue(existsSync(UsageHistory.pathOf(folder, "one")))
      yield* service.remove("one")
      yield* other.tick
      assert.isFalse(existsSync(UsageHistory.pathOf(folder, "one")))
    })
  )

  staged("keeps the history when the service ends, and adds to what others wrote", ["one"], ({ folder }) =>
    Effect.gen(function* () {
      const history = Effect.map(UsageHistory.read(folder, "one"), (samples) => samples.length)
      yield* Effect.scoped(Effect.flatMap(openService({ folder }), ({ status }) => status("one")))
      assert.strictEqual(yield* history, 1)
      const other = yield* openService({ folder })
      rmSync(UsageHistory.pathOf(folder, "one"))
      yield* other.status("one")
      const hoursAgo = [3, 2].map((hours) => ({
        timeSeconds: Math.floor(Date.now() / 1000) - hours * 3600,
        usedBytes: 1,
        totalBytes: 2
      }))
      yield* UsageHistory.write(folder, "one", hoursAgo)
      yield* other.tick
      assert.strictEqual(yield* history, 3)
      yield* other.tick
      assert.strictEqual(yield* history, 3)
    })
  )
})

const day = 86_400
const sample = (timeSeconds: number, usedBytes: number): UsageHistory.Sample => ({
  timeSeconds,
  usedBytes,
  totalBytes: 1000
})

describe("usage history", () => {
  it("estimates when a store is full that gets fuller steadily", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 3, max: 9 }), (perDay, days) => {
        const samples = Array.from({ length: days }, (_, index) => sample(index * day, perDay * index))
        const full = UsageHistory.estimatedFullSeconds(samples)
        assert.approximately(full ?? 0, Math.max((1000 / perDay) * day, (days - 1) * day), 2)
      })
    )
  })

  it("says nothing where nothing can be said", () => {
    const say = (...samples: ReadonlyArray<UsageHistory.Sample>) => UsageHistory.estimatedFullSeconds(samples)
    assert.isUndefined(say())
    assert.isUndefined(say(sample(0, 1), sample(day, 2)))
    assert.isUndefined(say(sample(0, 1), sample(60, 2), sample(120, 3)))
    assert.isUndefined(say(sample(0, 5), sample(day, 5), sample(2 * day, 5)))
    assert.isUndefined(say(sample(0, 5), sample(day, 4), sample(2 * day, 3)))
  })

  it("keeps one sample an hour for thirty days, also when the clock goes back", () => {
    let samples: ReadonlyArray<UsageHistory.Sample> = []
    for (let minute = 0; minute < 40 * 24 * 60; minute += 30) {
      samples = UsageHistory.withSample(samples, sample(minute * 60, minute))
    }
    assert.strictEqual(samples.length, 30 * 24 + 1)
    assert.strictEqual(UsageHistory.withSample(samples, sample(40 * day - 1700, 1)), samples)
    const back = UsageHistory.withSample(samples, sample(20 * day, 1))
    assert.strictEqual(back.at(-1)?.timeSeconds, 20 * day)
    assert.isTrue(back.every(({ timeSeconds }) => timeSeconds <= 20 * day))
  })
})
