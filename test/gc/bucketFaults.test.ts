/** Collections of a datastore in a bucket beside others on the same host, and on servers that fail. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Gc from "../../src/gc/Gc.ts"
import type { GcRules } from "../../src/gc/GcRules.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import {
  backUp,
  backUpNow,
  collect,
  digestOfText,
  graceOver,
  insert,
  keyOf,
  play,
  Scene
} from "./bucketScene.ts"

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

  it("a marker that was not true, and is by now, stays", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["again"])
        const { host } = scene
        const bypass = { cache: "bypass" } as const
        yield* insert("again").pipe(scene.on(host, bypass))
        yield* graceOver
        scene.bucket.delete(keyOf("again"), 0)
        const summary = yield* Effect.gen(function* () {
          const plan = yield* Gc.plan({ checksTimes: false })
          assert.strictEqual(plan.bucket?.untrue.count, 1)
          host.remove("again")
          yield* insert("again").pipe(scene.on(host, { ...bypass, process: "backup" }))
          return yield* Gc.execute(plan)
        }).pipe(scene.on(host))
        assert.strictEqual(summary.sweep?.untrue, 0)
        assert.deepStrictEqual([...scene.stored("again"), ...host.names("again")], [true, "x"])
      })
    ))

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
        yield* backUpNow(["one"]).pipe(scene.on(host, { process: "backup" }))
        yield* Fiber.join(collecting)
        yield* Effect.sleep("5 minutes")
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
