/**
 * The probe over good servers, and over each kind of bad one: every verdict is seen to fail, and nothing is left behind.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as CapabilityProbe from "../../src/objectstore/CapabilityProbe.ts"
import * as ClockSkew from "../../src/objectstore/ClockSkew.ts"
import * as DirectoryObjectStore from "../../src/objectstore/DirectoryObjectStore.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import { listing, scratchFolder } from "../platform/scratch.ts"

const prefix = ObjectKey.parsePrefix("store/")

const allChecks = [
  "read after write",
  "conditional put",
  "list after write",
  "batch delete",
  "range read",
  "clock skew",
  "clean up"
]

const probeServer = (
  options: MemoryObjectStore.MemoryObjectStoreOptions,
  probeOptions?: CapabilityProbe.ProbeOptions
) =>
  Effect.gen(function* () {
    const bucket = new MemoryBucket()
    const report = yield* CapabilityProbe.probe(prefix, probeOptions).pipe(
      Effect.provide(MemoryObjectStore.layer(bucket, options))
    )
    assert.deepStrictEqual(
      report.verdicts.map(({ check }) => check),
      allChecks
    )
    const bad = report.verdicts.filter(({ ok }) => !ok)
    return {
      report,
      bad: bad.map(({ check }) => check),
      details: bad.map(({ detail }) => detail).join("; "),
      left: bucket.keys()
    }
  })

describe("CapabilityProbe", () => {
  it.effect("finds nothing wrong with a good server, and leaves nothing", () =>
    Effect.gen(function* () {
      const { report, bad, left } = yield* probeServer({})
      assert.deepStrictEqual([bad, left], [[], []])
      assert.deepInclude(report, {
        readAfterWrite: "honoured",
        conditionalPut: "honoured",
        listAfterWrite: "honoured",
        batchDelete: "honoured",
        rangeRead: "honoured",
        clockSkew: { minSeconds: 0, maxSeconds: 1 }
      })
    })
  )

  it.effect("goes through small pages", () =>
    Effect.map(probeServer({ pageSizeMax: 1 }), ({ bad, left }) =>
      assert.deepStrictEqual([bad, left], [[], []])
    )
  )

  it.live("finds nothing wrong with a folder, and leaves nothing", () =>
    Effect.gen(function* () {
      const folder = `${yield* scratchFolder}/bucket`
      yield* DirectoryObjectStore.create(folder)
      const report = yield* Effect.provide(
        CapabilityProbe.probe(prefix),
        DirectoryObjectStore.layer(folder, { sync: false })
      )
      assert.deepStrictEqual(
        report.verdicts.filter(({ ok }) => !ok),
        []
      )
      assert.deepStrictEqual(listing(folder), ["objects/", "temporary/"])
    }).pipe(Effect.provide(NodeFiles.layer))
  )

  it.effect("a condition that is ignored is broken", () =>
    Effect.gen(function* () {
      const { report, bad, details, left } = yield* probeServer({ conditionalPut: "ignored" })
      assert.deepStrictEqual([bad, report.conditionalPut, left], [["conditional put"], "broken", []])
      assert.include(details, "overwrites")
    })
  )

  it.effect("a condition that the server does not know is unsupported", () =>
    Effect.gen(function* () {
      const { report, bad, left } = yield* probeServer({ conditionalPut: "unsupported" })
      assert.deepStrictEqual([bad, report.conditionalPut, left], [["conditional put"], "unsupported", []])
    })
  )

  it.effect("a conflict that never ends is unknown, not unsupported", () =>
    Effect.gen(function* () {
      const { report, bad } = yield* probeServer({ faults: ["conflict"] })
      assert.deepStrictEqual([bad, report.conditionalPut], [["conditional put"], "unknown"])
    })
  )

  it.effect("listings that miss new objects are told", () =>
    Effect.gen(function* () {
      const isNew = new Set<string>()
      const { report, bad, details } = yield* probeServer({
        listing: "weak",
        // Late once for each key: so deletions are seen at once.
        decide: (_, key) => !isNew.has(key) && isNew.add(key).has(key) && key.includes("listed-3")
      })
      assert.deepStrictEqual([bad, report.listAfterWrite], [["list after write"], "broken"])
      assert.include(details, "1 of 5 new objects were missing, 0 of 5 deleted ones still there")
    })
  )

  it.effect("listings that keep deleted objects are told, and the objects are gone all the same", () =>
    Effect.gen(function* () {
      const asked = new Map<string, number>()
      const { bad, details, left } = yield* probeServer({
        listing: "weak",
        decide: (_, key) => {
          asked.set(key, (asked.get(key) ?? 0) + 1)
          return key.includes("listed-0") && (asked.get(key) ?? 0) > 1
        }
      })
      assert.deepStrictEqual([bad, left], [["list after write"], []])
      assert.include(details, "0 of 5 new objects were missing, 1 of 5 deleted ones still there")
    })
  )

  it.effect("without batches the probe still cleans up, one by one", () =>
    Effect.gen(function* () {
      const { report, bad, left } = yield* probeServer({ batchDelete: "unsupported" })
      assert.deepStrictEqual([bad, report.batchDelete, left], [["batch delete"], "unsupported", []])
    })
  )

  it.effect("what cannot be deleted is told", () =>
    Effect.gen(function* () {
      const { bad, details, left } = yield* probeServer({
        faults: ["failed deletion"],
        decide: (_, key) => key.endsWith("batch-1")
      })
      assert.deepStrictEqual(bad, ["batch delete", "clean up"])
      assert.lengthOf(left, 1)
      assert.include(details, "1 objects may be left below store/.granary-probe/")
    })
  )

  it.effect("ranges that are ignored are broken", () =>
    Effect.gen(function* () {
      const { report, bad } = yield* probeServer({ rangeReads: "ignored" })
      assert.deepStrictEqual([bad, report.rangeRead], [["range read"], "broken"])
    })
  )

  it.effect("a clock that is off too far is told with its bounds, in both directions", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1000000 seconds")
      const behind = yield* probeServer({ clockSkewSeconds: -400 })
      assert.deepStrictEqual(behind.bad, ["clock skew"])
      assert.include(behind.details, "-400.0 s to -399.0 s")
      assert.deepStrictEqual((yield* probeServer({ clockSkewSeconds: 400 })).bad, ["clock skew"])
      assert.deepStrictEqual((yield* probeServer({ clockSkewSeconds: 200 })).bad, [])
      const strict = yield* probeServer({ clockSkewSeconds: 200 }, { clockSkewMaxSeconds: 100 })
      assert.deepStrictEqual(strict.bad, ["clock skew"])
    })
  )

  it.effect("a server that cannot be reached fails every check, and says why", () =>
    Effect.gen(function* () {
      const { report, bad } = yield* probeServer({ faults: ["lost request"] })
      assert.deepStrictEqual(bad, allChecks)
      assert.strictEqual(report.readAfterWrite, "unknown")
      assert.isUndefined(report.clockSkew)
      assert.isTrue(report.verdicts.every(({ detail }) => detail.includes("the connection broke")))
    })
  )

  it.effect("a body that comes back wrong is broken", () =>
    Effect.gen(function* () {
      const store = MemoryObjectStore.make(new MemoryBucket())
      const stale = ObjectStore.of({ ...store, get: () => Effect.succeed(Buffer.from("old")) })
      const report = yield* Effect.provideService(CapabilityProbe.probe(prefix), ObjectStore, stale)
      assert.strictEqual(report.readAfterWrite, "broken")
    })
  )

  it.effect("a lost answer of its own first write is no verdict", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const lossy = MemoryObjectStore.make(bucket, {
        faults: ["lost answer"],
        decide: MemoryObjectStore.times(1)
      })
      const patient = ObjectStore.of({
        ...MemoryObjectStore.make(bucket),
        putIfAbsent: (key, body) => Effect.retry(lossy.putIfAbsent(key, body), { times: 3 })
      })
      const report = yield* Effect.provideService(CapabilityProbe.probe(prefix), ObjectStore, patient)
      assert.strictEqual(report.conditionalPut, "honoured")
    })
  )

  it.effect("removes its objects when it is interrupted", () =>
    Effect.gen(function* () {
      const bucket = new MemoryBucket()
      const store = MemoryObjectStore.make(bucket)
      const slow = ObjectStore.of({
        ...store,
        list: (request) => Effect.andThen(Effect.sleep("1 hour"), store.list(request))
      })
      const probing = yield* Effect.forkChild(
        Effect.provideService(CapabilityProbe.probe(prefix), ObjectStore, slow)
      )
      yield* TestClock.adjust("1 minute")
      assert.isNotEmpty(bucket.keys())
      yield* Fiber.interrupt(probing)
      assert.deepStrictEqual(bucket.keys(), [])
    })
  )
})

describe("ClockSkew", () => {
  const sample = (beginMillis: number, endMillis: number, storeSeconds: number) => ({
    beginMillis,
    endMillis,
    storeSeconds
  })

  it("lies within what each sample allows", () => {
    assert.deepStrictEqual(ClockSkew.measure([sample(10_000, 12_000, 20)]), { minSeconds: 8, maxSeconds: 11 })
    assert.deepStrictEqual(ClockSkew.measure([sample(10_000, 12_000, 20), sample(20_500, 21_000, 30)]), {
      minSeconds: 9,
      maxSeconds: 10.5
    })
  })

  it("is unknown without samples, and when a clock was set between them", () => {
    assert.isUndefined(ClockSkew.measure([]))
    assert.isUndefined(ClockSkew.measure([sample(1000, 1100, 1), sample(2000, 2100, 60)]))
  })

  it("holds the true difference, whatever it is and however slow the requests are", () => {
    for (let trial = 0; trial < 500; trial++) {
      const skewMillis = (trial * 7919) % 20_000
      const samples = Array.from({ length: 4 }, (_, index) => {
        const written = 100_000 + index * 1234 + (trial % 999)
        const storeSeconds = Math.floor((written + skewMillis) / 1000)
        return sample(written - ((trial * 13) % 700), written + ((trial * 31) % 900), storeSeconds)
      })
      const skew = ClockSkew.measure(samples)
      assert.isDefined(skew)
      assert.isAtMost(skew?.minSeconds ?? Infinity, skewMillis / 1000 + 1e-9)
      assert.isAtLeast(skew?.maxSeconds ?? -Infinity, skewMillis / 1000 - 1e-9)
    }
  })

  it("knows its worst case", () => {
    assert.strictEqual(ClockSkew.worstSeconds({ minSeconds: -3, maxSeconds: 2 }), 3)
    assert.strictEqual(ClockSkew.worstSeconds({ minSeconds: 1, maxSeconds: 2 }), 2)
  })
})
