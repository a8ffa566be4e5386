/** Collections of a datastore in a bucket beside other hosts, with clocks that differ, and servers that fail. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Datastore from "../../src/datastore/Datastore.ts"
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
        assert.deepStrictEqual(places.get(digestOfText("removed")), [])
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
        assert.strictEqual(refused.reason, "Busy")
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
          const session = yield* begin(["again"])
          yield* amid
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

describe("between the listing and the deletion", () => {
  const usedMeanwhile = (rules: Partial<GcRules>) =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["again", "loose"])
        const { host } = scene
        yield* Effect.andThen(insert("again"), insert("loose")).pipe(scene.on(host))
        yield* graceOver
        const summary = yield* Effect.gen(function* () {
          const plan = yield* Gc.plan({ checksTimes: false })
          yield* backUp(["again"]).pipe(scene.on(host, { process: "backup" }))
          return yield* Gc.execute(plan)
        }).pipe(scene.on(host, { rules }))
        assert.deepStrictEqual(scene.stored("loose"), [false])
        return [...scene.stored("again"), summary.sweep?.renewed.chunks === 1]
      })
    )

  it("what is used again stays", () => {
    assert.deepStrictEqual(usedMeanwhile({}), [true, true])
    assert.deepStrictEqual(usedMeanwhile({ rechecksUnderGuard: false }), [false, false])
  })

  it("a chunk that somebody works on is passed over, without waiting", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["held", "loose"])
        const { host } = scene
        yield* Effect.andThen(insert("held"), insert("loose")).pipe(scene.on(host))
        yield* graceOver
        const holding = Effect.flatMap(Datastore.Datastore, ({ guards }) =>
          guards.guard(digestOfText("held"))(Effect.sleep("2 hours"))
        ).pipe(scene.on(host, { process: "holder" }))
        const fiber = yield* Effect.forkChild(holding, { startImmediately: true })
        const start = yield* Clock.currentTimeMillis
        const { sweep } = yield* collect().pipe(scene.on(host))
        assert.isBelow((yield* Clock.currentTimeMillis) - start, 1000)
        assert.strictEqual(sweep?.renewed.chunks, 1)
        assert.deepStrictEqual(scene.stored("held", "loose"), [true, false])
        yield* Fiber.join(fiber)
      })
    ))
})

describe("servers that fail", () => {
  const texts = ["one", "two", "three", "four", "five", "six"]

  const sceneWithGarbage = Effect.gen(function* () {
    const scene = new Scene(texts)
    yield* Effect.forEach(texts, insert).pipe(scene.on(scene.host))
    yield* graceOver
    return scene
  })

  const marked = (scene: Scene) => texts.filter((text) => scene.host.has(text))

  it("a key that cannot be deleted is counted, nothing is known of it, and the next collection takes it", () =>
    play(
      Effect.gen(function* () {
        const scene = yield* sceneWithGarbage
        const { host } = scene
        const decide = (_fault: string, key: string) => key === keyOf("two")
        const { errors, status } = yield* collect().pipe(
          scene.on(host, { faults: ["failed deletion"], decide })
        )
        assert.strictEqual(errors.length, 1)
        assert.include(errors[0], keyOf("two"))
        assert.deepStrictEqual([status.removedChunks, status.pendingChunks], [5, 1])
        assert.deepStrictEqual(scene.stored("one", "two"), [false, true])
        assert.deepStrictEqual(marked(scene), [])
        yield* collect().pipe(scene.on(host))
        assert.deepStrictEqual(scene.stored("two"), [false])
      })
    ))

  it("a lost answer leaves nothing that says that the chunks exist", () =>
    play(
      Effect.gen(function* () {
        for (const fault of ["lost answer", "lost request"] as const) {
          const scene = yield* sceneWithGarbage
          const { host } = scene
          const decide = (_fault: string, key: string) => key === ""
          const { errors, status } = yield* collect().pipe(scene.on(host, { faults: [fault], decide }))
          assert.strictEqual(errors.length, 1)
          assert.strictEqual(status.removedChunks, 0)
          assert.deepStrictEqual(scene.stored("one", "six"), Array(2).fill(fault === "lost request"))
          assert.deepStrictEqual(marked(scene), [])
          yield* backUp(["one"]).pipe(scene.on(host))
          assert.deepStrictEqual(scene.stored("one"), [true])
        }
      })
    ))

  it("who needs a chunk whose deletion may still come waits until that is over", () =>
    play(
      Effect.gen(function* () {
        const scene = yield* sceneWithGarbage
        const { host } = scene
        /** The server carries the request out half a minute after it has cut the line. */
        const decorate = (objects: ObjectStore["Service"]): ObjectStore["Service"] => ({
          ...objects,
          deleteMany: (keys) =>
            keys.includes(keyOf("one") as (typeof keys)[number])
              ? Effect.andThen(
                  Effect.forkDetach(Effect.andThen(Effect.sleep("30 seconds"), objects.deleteMany(keys))),
                  objects.get("none" as (typeof keys)[number], 0).pipe(
                    Effect.mapError((error) => Object.assign(error, { mayHaveHappened: true })),
                    Effect.andThen(Effect.die("there is no such object"))
                  )
                )
              : objects.deleteMany(keys)
        })
        const collecting = yield* Effect.forkChild(collect().pipe(scene.on(host, { decorate })), {
          startImmediately: true
        })
        yield* Effect.sleep("1 second")
        yield* backUp(["one"]).pipe(scene.on(host, { process: "backup" }))
        yield* Fiber.join(collecting)
        assert.deepStrictEqual(scene.stored("one"), [true])
      })
    ))

  it("a server that fails again and again is left alone, and everything is counted", () =>
    play(
      Effect.gen(function* () {
        const scene = yield* sceneWithGarbage
        const decide = (_fault: string, key: string) => key === ""
        scene.takeRequests()
        const { errors, status } = yield* collect().pipe(
          scene.on(scene.host, { faults: ["throttled"], decide, deleteBatchSize: 1 })
        )
        assert.strictEqual(status.pendingChunks, 6)
        assert.strictEqual(errors.length, 4)
        // Three of its own, and its mark for other hosts.
        assert.strictEqual(scene.takeRequests().filter((request) => request === "deleteMany").length, 4)
        assert.strictEqual(marked(scene).length, 3)
      })
    ))

  it("when its lease is lost it stops before it removes anything more", () =>
    play(
      Effect.gen(function* () {
        const scene = yield* sceneWithGarbage
        const { host } = scene
        const error = yield* Effect.gen(function* () {
          const plan = yield* Gc.plan({ checksTimes: false })
          yield* Effect.sleep("1 hour")
          return yield* Effect.flip(Gc.execute(plan))
        }).pipe(
          scene.on(host, {
            faults: ["lost request"],
            decide: (() => {
              let puts = 0
              return (_fault: string, key: string) => key.includes("/collectors/") && ++puts > 1
            })()
          })
        )
        assert.strictEqual(error.reason, "LeaseLost")
        assert.strictEqual(scene.stored(...texts).filter(Boolean).length, 6)
        assert.strictEqual(marked(scene).length, 6)
      })
    ))
})
