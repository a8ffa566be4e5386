/** The costs of a collection as its plan tells them, beside what a server counts when it is carried out. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as CollectionCosts from "../../src/gc/bucket/CollectionCosts.ts"
import * as Gc from "../../src/gc/Gc.ts"
import { Meter, metered } from "../../src/objectstore/decorators/metered.ts"
import * as RequestCosts from "../../src/objectstore/RequestCosts.ts"
import {
  backUp,
  blobOf,
  collect,
  type Connection,
  daySeconds,
  forget,
  graceOver,
  type Host,
  insert,
  keyOf,
  play,
  Scene,
  startSeconds
} from "./bucketScene.ts"

const old = startSeconds - 3 * daySeconds

/** Everything that the server is asked for. */
const counting = (options: Connection = {}) => {
  const meter = new Meter()
  const decorate: Connection["decorate"] = (objects) => Effect.runSync(metered(objects, { meter }))
  return {
    connection: { ...options, decorate },
    costs: Effect.map(meter.usage, RequestCosts.ofUsage)
  }
}

const dryRun = Effect.gen(function* () {
  const summary = yield* Gc.dryRun({ checksTimes: false })
  const { bucket } = summary.plan
  assert.isDefined(bucket)
  if (bucket === undefined) throw new Error("unreachable")
  return { summary, ...(yield* CollectionCosts.estimate(summary.plan, bucket)) }
})

/** What the plan says of the whole collection, and what that came to. */
const compare = (scene: Scene, host: Host, options: Connection = {}) =>
  Effect.gen(function* () {
    const before = scene.bucket.keys().map((key) => [key, scene.bucket.find(key)?.etag])
    const planning = counting(options)
    const { expected, lookups } = yield* dryRun.pipe(scene.on(host, planning.connection))
    assert.deepStrictEqual(
      scene.bucket.keys().map((key) => [key, scene.bucket.find(key)?.etag]),
      before
    )
    const planned = RequestCosts.without(yield* planning.costs, lookups)
    const collecting = counting(options)
    const summary = yield* collect().pipe(scene.on(host, collecting.connection))
    const used = yield* collecting.costs
    assert.strictEqual(
      RequestCosts.requestsOf(used),
      Object.values(summary.requests ?? {}).reduce((total, count) => total + count, 0)
    )
    return { expected: RequestCosts.after(planned, expected), used, summary }
  })

describe("what a collection is expected to cost", () => {
  it("is what it costs, when there is nothing to do", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["kept"])
        yield* backUp(["kept"]).pipe(scene.on(scene.host))
        yield* graceOver
        const { expected, used } = yield* compare(scene, scene.host)
        assert.deepStrictEqual(used, expected.costs)
        assert.strictEqual(expected.storedBytes, 0)
        assert.deepInclude(used, { delete: 1, put: 2 })
      })
    ))

  it("is what it costs to remove, to mend, and to tell what is missing", () =>
    play(
      Effect.gen(function* () {
        const texts = ["kept", "mended", "missing", "loose"]
        const scene = new Scene(texts)
        const { bucket, host } = scene
        yield* backUp(["kept", "mended"]).pipe(scene.on(host))
        yield* backUp(["kept", "missing"]).pipe(scene.on(host))
        yield* insert("loose").pipe(scene.on(host))
        scene.putNumbers(2500, old)
        yield* graceOver
        bucket.delete(keyOf("mended"), 0)
        bucket.delete(keyOf("missing"), 0)
        host.remove("missing")
        const { expected, summary, used } = yield* compare(scene, host)
        assert.deepInclude(summary.sweep, { mended: { chunks: 1, bytes: blobOf("mended").length } })
        assert.strictEqual(summary.plan.missing.count, 1)
        assert.strictEqual(summary.status.removedChunks, 2501)
        // Three batches, and its own mark.
        assert.strictEqual(used.delete, 4)
        const { sentBytes: expectedBytes, ...requests } = expected.costs
        const { sentBytes, ...counted } = used
        assert.deepStrictEqual(counted, requests)
        // The manifest that is marked as failed is compressed, and names a task with another id.
        assert.approximately(sentBytes, expectedBytes, 16)
        assert.strictEqual(
          expected.storedBytes,
          blobOf("mended").length - blobOf("loose").length - 2500 * Buffer.byteLength("x")
        )
      })
    ))

  it("counts the batches that the server takes", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["kept"])
        yield* backUp(["kept"]).pipe(scene.on(scene.host))
        scene.putNumbers(1001, old)
        const { expected, used } = yield* compare(scene, scene.host, { deleteBatchSize: 100 })
        assert.deepStrictEqual(used, expected.costs)
        assert.strictEqual(used.delete, 12)
      })
    ))

  it("is what it costs after another host has collected, and left a mark behind", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["one", "two", "three"])
        const { bucket, host, other } = scene
        const first = yield* backUp(["one"]).pipe(scene.on(host))
        yield* backUp(["one", "two"]).pipe(scene.on(host))
        yield* insert("three").pipe(scene.on(other))
        yield* forget(first).pipe(scene.on(host))
        yield* graceOver
        yield* collect().pipe(scene.on(other))
        bucket.put("store/.granary/writers/dead", Buffer.from("not a mark"), old * 1000)
        scene.putNumbers(3, old)
        const { expected, used } = yield* compare(scene, host)
        assert.deepStrictEqual(used, expected.costs)
        assert.notInclude(bucket.keys().join(" "), "writers/dead")
      })
    ))
})
