import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Gc from "../../src/gc/Gc.ts"
import { Datastore } from "../../src/datastore/Datastore.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { syncError } from "../../src/sync/SyncError.ts"
import { counting, hooked } from "./hooked.ts"
import { assertSame, digestOfText, inStore, play, Scene, snapshotsOf } from "./scene.ts"

const many = (from: number, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, number) => `chunk ${from + number}`)

describe("chunks that the target has", () => {
  it("are not fetched, whoever stored them", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.target, { group: "host/other", day: 9, texts: ["a", "b"] })
        yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: ["a", "b", "c", "c"] })
        const { around, read } = counting()
        const { counts } = yield* scene.sync({}, around)
        assert.deepStrictEqual(read, [digestOfText("c")])
        assert.strictEqual(counts.chunks, 1)
        assert.strictEqual(counts.presentChunks, 2)
      })
    )
  })

  it("but empty are fetched", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: ["a"] })
        const digest = digestOfText("a")
        scene.target.disk.create(`/target/.chunks/${digest.slice(0, 4)}/${digest}`, 0o644, 0)
        yield* scene.sync()
        yield* assertSame(scene)
      })
    )
  })

  it("that several groups want at once are fetched once", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        for (const group of ["vm/1", "vm/2", "vm/3", "vm/4"]) {
          yield* scene.backUp(scene.source, { group, day: 0, texts: many(0, 20) })
        }
        const read: Array<string> = []
        const slow = hooked({
          chunk: (digest) =>
            Effect.andThen(
              Effect.sync(() => void read.push(digest)),
              Effect.sleep("1 second")
            )
        })
        const { counts } = yield* scene.sync({ parallelGroups: 4 }, slow)
        assert.strictEqual(read.length, 20)
        assert.strictEqual(counts.chunks, 20)
        yield* assertSame(scene)
      })
    )
  })
})

describe("a sync that is stopped", () => {
  for (const [name, stop] of [
    ["interrupted", "interrupt"],
    ["cut off by a failing chunk", "fail"]
  ] as const) {
    it(`${name} leaves nothing half done, and goes on where it was`, () => {
      const scene = new Scene()
      play(
        Effect.gen(function* () {
          yield* scene.backUpDays(scene.source, "vm/100", [many(0, 10), many(0, 100)])
          const first = counting()
          let number = 0
          const stopping = hooked({
            chunk: () =>
              Effect.suspend(() => {
                number += 1
                if (number < 60) return Effect.void
                return stop === "interrupt" ? Effect.never : Effect.fail(syncError("Failed", "no more"))
              })
          })
          const options = { transfersMax: 8 }
          const running = yield* Effect.forkChild(
            scene.sync(options, (source) => first.around(stopping(source)))
          )
          yield* Effect.sleep("1 minute")
          if (stop === "interrupt") yield* Fiber.interrupt(running)
          else assert.strictEqual((yield* Fiber.join(running)).failedGroups, 1)
          assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0"])
          const second = counting()
          const { counts } = yield* scene.sync(options, second.around)
          assert.strictEqual(counts.copiedSnapshots, 1)
          // 59 came, and none of them is fetched again.
          assert.isAtLeast(counts.presentChunks, 59)
          assert.strictEqual(second.read.length, 100 - 59)
          yield* assertSame(scene)
        })
      )
    })
  }

  it("by a crash leaves an unfinished snapshot that the next run completes", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: many(0, 5) })
        // What a killed process leaves: the folder, an index, and some of the chunks.
        yield* scene.sync()
        yield* inStore(scene.target, ({ layout }) =>
          Effect.sync(() => {
            const folder = `${layout.base}/vm/100/2026-01-01T00:00:00Z`
            scene.target.disk.unlink(`${folder}/index.json.blob`, 0)
            scene.target.disk.unlink(`${folder}/a.conf.blob`, 0)
            scene.target.disk.create(`${folder}/old.img.fidx`, 0o644, 0)
            const digest = digestOfText("chunk 3")
            scene.target.disk.unlink(`${layout.chunks}/${digest.slice(0, 4)}/${digest}`, 0)
          })
        )
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0 u"])
        const { around, read } = counting()
        yield* scene.sync({}, around)
        assert.deepStrictEqual(read, [digestOfText("chunk 3")])
        yield* assertSame(scene)
      })
    )
  })
})

describe("a group of the target without an owner", () => {
  const ownerOf = (scene: Scene) =>
    inStore(scene.target, ({ hierarchy }) => hierarchy.owner(Namespace.root, BackupGroup.parse("vm/100")))

  it("is what a death left of a new one, and is taken", () => {
    for (const content of [undefined, ""]) {
      const scene = new Scene()
      play(
        Effect.gen(function* () {
          yield* scene.backUpDays(scene.source, "vm/100", [["a"]])
          scene.target.disk.makeDirectory("/target/vm", 0o755, 0)
          scene.target.disk.makeDirectory("/target/vm/100", 0o755, 0)
          if (content !== undefined) scene.target.disk.create("/target/vm/100/owner", 0o644, 0)
          assert.strictEqual((yield* scene.sync()).failedGroups, 0)
          assert.strictEqual(yield* ownerOf(scene), "backup@pbs")
          yield* assertSame(scene)
        })
      )
    }
  })

  it("belongs to nobody when it has snapshots, and fails", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/100", [["a"], ["b"]])
        yield* scene.backUpDays(scene.target, "vm/100", [["a"]])
        scene.target.disk.unlink("/target/vm/100/owner", 0)
        const { failedGroups, groups } = yield* scene.sync()
        assert.strictEqual(failedGroups, 1)
        assert.match(groups[0]?.error?.message ?? "", /^target: vm\/100: this backup group has no owner/)
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0"])
        assert.isFalse(scene.target.disk.list("/target/vm/100", 0).some(([name]) => name === "owner"))
      })
    )
  })
})

describe("garbage collection beside a sync", () => {
  it("leaves the chunks alone that no snapshot names yet, however long it takes", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.target, { group: "host/other", day: 0, texts: ["old"] })
        yield* inStore(scene.target, (store) =>
          Effect.flatMap(
            store.hierarchy.snapshots(Namespace.root, BackupGroup.parse("host/other")),
            ([entry]) => (entry === undefined ? Effect.void : store.forget(Namespace.root, entry.snapshot))
          )
        )
        yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: ["old", ...many(0, 5), "last"] })
        yield* Effect.sleep("10 days")
        const read: Array<string> = []
        const waiting = hooked({
          chunk: (digest) => {
            read.push(digest)
            return digest === digestOfText("last") ? Effect.sleep("10 days") : Effect.void
          }
        })
        const running = yield* Effect.forkChild(scene.sync({}, waiting))
        yield* Effect.sleep("5 days")
        yield* inStore(scene.target, (store) =>
          Gc.collect({ checksTimes: false }).pipe(
            Effect.provideService(Datastore, store),
            Effect.provide(scene.target.machine("gc"))
          )
        )
        yield* Fiber.join(running)
        yield* assertSame(scene)
        // Claimed, and not brought again after a collection had taken it.
        assert.notInclude(read, digestOfText("old"))
        assert.strictEqual(read.length, 6)
      })
    )
  })
})
