/** Collections of a datastore in a bucket beside other hosts, with clocks that differ, and servers that fail. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as Gc from "../../src/gc/Gc.ts"
import type { GcRules } from "../../src/gc/GcRules.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import type * as Snapshot from "../../src/model/Snapshot.ts"
import type { ListRequest, ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import {
  backUp,
  begin,
  collect,
  digestOfText,
  forget,
  graceOver,
  indexKeyOf,
  insert,
  keyOf,
  nowSeconds,
  play,
  Scene,
  startSeconds
} from "./bucketScene.ts"

const other = BackupGroup.make("host", "b")

/** An index as another program would write it. */
const indexOf = (...texts: ReadonlyArray<string>): Uint8Array =>
  DynamicIndex.encode({
    uuid: Buffer.alloc(16, 2),
    ctime: startSeconds,
    entries: texts.map((text, number) => ({ end: number + 1, digest: digestOfText(text) }))
  }).bytes

describe("indexes of other hosts", () => {
  const foreignSnapshot = (rules: Partial<GcRules>) =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["ours", "theirs"])
        yield* backUp(["ours"]).pipe(scene.on(scene.host))
        yield* backUp(["theirs"], other).pipe(scene.on(scene.other))
        yield* graceOver
        scene.takeRequests()
        const { status } = yield* collect().pipe(scene.on(scene.host, { rules }))
        const reads = scene.takeRequests().filter((request) => request.startsWith("get store/.cnt/"))
        return { stored: scene.stored("ours", "theirs"), indexes: status.indexFileCount, reads: reads.length }
      })
    )

  it("are read from the bucket, and what they need stays", () => {
    assert.deepStrictEqual(foreignSnapshot({}), { stored: [true, true], indexes: 2, reads: 1 })
    assert.deepStrictEqual(foreignSnapshot({ marksForeignIndexes: false }).stored, [true, false])
  })

  it("an index that was replaced in the bucket is read again, though it has the same size", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["ours", "theirs"])
        const snapshot = yield* backUp(["ours"]).pipe(scene.on(scene.host))
        yield* insert("theirs").pipe(scene.on(scene.host))
        yield* Effect.sleep("1 minute")
        scene.bucket.put(indexKeyOf(snapshot), indexOf("theirs"), (yield* nowSeconds) * 1000)
        yield* graceOver
        yield* collect().pipe(scene.on(scene.host))
        assert.deepStrictEqual(scene.stored("ours", "theirs"), [true, true])
      })
    ))

  it("one that is moved while it is listed, to a place that has been listed, is found", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["moved"])
        const { bucket } = scene
        yield* insert("moved").pipe(scene.on(scene.host))
        yield* graceOver
        const millis = (yield* nowSeconds) * 1000
        const place = (name: string) => `store/.cnt/host/${name}/2026-01-01T00:00:00Z`
        const put = (name: string) => {
          bucket.put(`${place(name)}/a.pxar.didx`, indexOf("moved"), millis)
          bucket.put(`${place(name)}/index.json.blob`, Buffer.from("x"), millis)
        }
        put("z")
        bucket.put("store/.cnt/host/m/owner", Buffer.from("x"), millis)
        let isMoved = false
        const move = (request: ListRequest) => {
          if (isMoved || request.after?.includes("host/m/") !== true) return
          isMoved = true
          put("b")
          bucket.delete(`${place("z")}/index.json.blob`, millis)
          bucket.delete(`${place("z")}/a.pxar.didx`, millis)
        }
        const decorate = (objects: ObjectStore["Service"]): ObjectStore["Service"] => ({
          ...objects,
          list: (request) =>
            Effect.andThen(
              Effect.sync(() => move(request)),
              objects.list(request)
            )
        })
        yield* collect().pipe(scene.on(scene.host, { decorate, pageSizeMax: 1 }))
        assert.isTrue(isMoved)
        assert.deepStrictEqual(scene.stored("moved"), [true])
      })
    ))

  it("a damaged one forbids to remove anything, unless its backup was never finished", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["loose"])
        const { bucket, host } = scene
        yield* insert("loose").pipe(scene.on(host))
        yield* graceOver
        const place = "store/.cnt/host/z/2026-01-01T00:00:00Z"
        bucket.put(`${place}/a.pxar.didx`, Buffer.from("torn"), 0)
        bucket.put(`${place}/index.json.blob`, Buffer.from("x"), 0)
        const error = yield* Effect.flip(collect()).pipe(scene.on(host))
        assert.strictEqual(error.reason, "Damaged")
        assert.include(error.message, place)
        assert.deepStrictEqual(scene.stored("loose"), [true])
        bucket.delete(`${place}/index.json.blob`, 0)
        const { warnings } = yield* collect().pipe(scene.on(host))
        assert.isTrue(warnings.some((line) => line.includes("never finished")))
        assert.deepStrictEqual(scene.stored("loose"), [false])
      })
    ))

  it("what only other hosts' snapshots miss is told, and where; snapshots that they removed miss nothing", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["theirs", "removed"])
        const { bucket, host } = scene
        const theirs = yield* backUp(["theirs"], other).pipe(scene.on(scene.other))
        const removed = yield* backUp(["removed"]).pipe(scene.on(host))
        for (const key of bucket.keys()) if (key.includes("/host/a/")) bucket.delete(key, 0)
        for (const text of ["theirs", "removed"]) bucket.delete(keyOf(text), 0)
        for (const text of ["theirs", "removed"]) if (host.has(text)) host.remove(text)
        const { plan, warnings } = yield* collect().pipe(scene.on(host))
        const places = new Map(plan.missing.chunks.map(({ digest, places: found }) => [digest, found]))
        assert.deepStrictEqual(
          places.get(digestOfText("theirs"))?.map(({ snapshot }) => snapshot),
          [theirs]
        )
        assert.isFalse(places.has(digestOfText("removed")))
        assert.strictEqual(plan.missing.count, 1)
        assert.isTrue(warnings.some((line) => line.includes("s3-refresh")))
        assert.isUndefined(bucket.find(indexKeyOf(removed).replace("a.pxar.didx", "index.json.blob")))
      })
    ))
})

describe("writers of other hosts", () => {
  it("keep a collection out, and are kept out by one", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["one"])
        const { host, other: there } = scene
        const meanwhile = Effect.flip(collect()).pipe(scene.on(host))
        const error = yield* Effect.andThen(begin(["one"]), meanwhile).pipe(scene.on(there))
        assert.strictEqual(error.reason, "Busy")
        assert.include(error.message, "there")
        const writing = Effect.flip(backUp(["one"])).pipe(scene.on(there))
        const refused = yield* Effect.andThen(Gc.plan({ checksTimes: false }), writing).pipe(scene.on(host))
        assert.strictEqual(refused._tag === "StoreError" ? refused.reason : "none", "Busy")
        yield* collect().pipe(scene.on(host))
        yield* backUp(["one"]).pipe(scene.on(there))
      })
    ))

  const reusedElsewhere = (rules: Partial<GcRules>) =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["again"])
        const { host, other: there } = scene
        yield* insert("again").pipe(scene.on(there))
        yield* graceOver
        const amid = Effect.exit(collect()).pipe(scene.on(host, { rules }))
        yield* Effect.gen(function* () {
          const session = yield* begin(["again"], other, amid)
          yield* session.finish
        }).pipe(scene.on(there))
        return scene.stored("again")
      })
    )

  it("otherwise what they found in their folder would go", () => {
    assert.deepStrictEqual(reusedElsewhere({}), [true])
    assert.deepStrictEqual(reusedElsewhere({ excludesForeignWriters: false }), [false])
  })

  const usedAfterwards = (rules: Partial<GcRules>) =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["again"])
        const { host, other: there } = scene
        yield* backUp(["again"]).pipe(
          Effect.flatMap((snapshot: Snapshot.Snapshot) => forget(snapshot)),
          scene.on(there)
        )
        yield* graceOver
        yield* collect().pipe(scene.on(host, { rules }))
        assert.deepStrictEqual([...scene.stored("again"), there.has("again")], [false, true])
        yield* backUp(["again"]).pipe(scene.on(there))
        return scene.stored("again")
      })
    )

  it("learn from the generation that their markers are not true any more", () => {
    assert.deepStrictEqual(usedAfterwards({}), [true])
    assert.deepStrictEqual(usedAfterwards({ replacesGeneration: false }), [false])
  })
})

describe("clocks", () => {
  const behind = (rules: Partial<GcRules>) =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["lately"])
        // 30 s ago, by a clock that is 200 s behind.
        scene.put("lately", startSeconds - 230)
        const options = { clockSkewSeconds: -200, rules }
        yield* collect({ cutoffMinutes: 2 }).pipe(scene.on(scene.host, options))
        return scene.stored("lately")
      })
    )

  it("a server that is behind makes nothing old", () => {
    assert.deepStrictEqual(behind({}), [true])
    assert.deepStrictEqual(behind({ correctsSkew: false }), [false])
  })

  it("a server that is far ahead or behind forbids to remove anything, in one line", () => {
    for (const clockSkewSeconds of [-301, 301]) {
      play(
        Effect.gen(function* () {
          const scene = new Scene(["loose"])
          yield* insert("loose").pipe(scene.on(scene.host))
          yield* graceOver
          const error = yield* Effect.flip(collect()).pipe(scene.on(scene.host, { clockSkewSeconds }))
          assert.strictEqual(error.reason, "Refused")
          assert.notInclude(error.message, "\n")
          assert.deepStrictEqual(scene.stored("loose"), [true])
        })
      )
    }
  })
})
