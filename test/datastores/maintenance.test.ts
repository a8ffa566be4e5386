/** Maintenance modes of configured datastores, and who is waited for: in this process and in others. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as DatastoreConfig from "../../src/config/DatastoreConfig.ts"
import { types } from "../../src/config/Maintenance.ts"
import { type Machine, openService, refusal, type Scene, type Service, staged } from "./scene.ts"

const reads = (service: Service, name: string) => Effect.scoped(service.lookup(name, "read"))
const writes = (service: Service, name: string) => Effect.scoped(service.lookup(name, "write"))

const fileOf = ({ folder }: Scene, name: string) => path.join(folder, ".active-operations", name)

const entriesIn = (scene: Scene, name: string): Array<Record<string, unknown>> =>
  JSON.parse(readFileSync(fileOf(scene, name), "utf8")) as Array<Record<string, unknown>>

describe("maintenance modes", () => {
  staged("keep out who they say, and tell why", ["one"], ({ service }) =>
    Effect.gen(function* () {
      const told: Array<string> = []
      for (const type of types.filter((each) => each !== "delete")) {
        yield* service.setMaintenance("one", { type, message: "back at 10" })
        const asked = {
          read: reads(service, "one"),
          write: writes(service, "one"),
          lookup: service.entry("one")
        }
        for (const [operation, ask] of Object.entries(asked)) {
          const exit = yield* Effect.exit(Effect.asVoid<unknown, { readonly message: string }, Machine>(ask))
          told.push(`${type} ${operation} ${Exit.isSuccess(exit) ? "yes" : "no"}`)
        }
        assert.match(yield* refusal(writes(service, "one")), /^one: .*: back at 10 \(/)
      }
      assert.deepStrictEqual(told, [
        "read-only read yes",
        "read-only write no",
        "read-only lookup yes",
        "offline read no",
        "offline write no",
        "offline lookup yes",
        "unmount read no",
        "unmount write no",
        "unmount lookup yes",
        "s3-refresh read no",
        "s3-refresh write no",
        "s3-refresh lookup yes"
      ])
      yield* service.setMaintenance("one", { type: "delete", message: undefined })
      assert.match(yield* refusal(service.entry("one")), /one: it is being deleted \(/)
    })
  )

  staged("do not count who is kept out", ["one"], ({ service }) =>
    Effect.gen(function* () {
      yield* reads(service, "one")
      yield* service.setMaintenance("one", { type: "offline", message: undefined })
      yield* Effect.flip(reads(service, "one"))
      yield* Effect.flip(writes(service, "one"))
      assert.deepStrictEqual(yield* service.activeOperations("one"), { read: 0, write: 0 })
    })
  )
})

describe("active operations", () => {
  staged("are counted over processes, without those that are gone", ["one"], (stage) =>
    Effect.gen(function* () {
      const { folder, service } = stage
      const other = yield* openService({ folder })
      yield* service.lookup("one", "read")
      yield* service.lookup("one", "read")
      yield* other.lookup("one", "write")
      yield* service.tick
      assert.deepStrictEqual(yield* service.activeOperations("one"), { read: 2, write: 1 })
      const [own] = entriesIn(stage, "one")
      assert.isDefined(own)
      const counts = { active_operations: { read: 5, write: 5 } }
      const gone = [
        { ...own, ...counts, service: "x", starttime: 1 },
        { ...own, ...counts, service: "y", pid: 2 ** 22 + 1 },
        { ...own, ...counts, service: "z", boot: "another" },
        { nonsense: true }
      ]
      writeFileSync(fileOf(stage, "one"), JSON.stringify([...entriesIn(stage, "one"), ...gone]))
      assert.deepStrictEqual(yield* other.activeOperations("one"), { read: 2, write: 1 })
      yield* Effect.scoped(other.lookup("one", "read"))
      assert.strictEqual(entriesIn(stage, "one").length, 2)
    })
  )

  staged("are written before the first and not at every one", ["one"], (stage) =>
    Effect.gen(function* () {
      const { service } = stage
      yield* reads(service, "one")
      const written = readFileSync(fileOf(stage, "one"), "utf8")
      assert.include(written, '"read":1')
      for (let count = 0; count < 10; count++) yield* reads(service, "one")
      assert.strictEqual(readFileSync(fileOf(stage, "one"), "utf8"), written)
      yield* service.tick
      assert.deepStrictEqual(entriesIn(stage, "one"), [])
    })
  )
})

describe("being alone", () => {
  staged("waits for others, keeps newcomers out and gives the store back", ["one"], (stage) =>
    Effect.gen(function* () {
      const { folder, service } = stage
      const other = yield* openService({ folder, tickSeconds: 0.05 })
      const held = yield* Scope.make()
      yield* Scope.provide(other.lookup("one", "write"), held)
      yield* service.setMaintenance("one", { type: "read-only", message: "for now" })
      const seen: Array<string> = []
      const work = service.alone("one", { type: "s3-refresh", message: undefined }, ({ bucket, entry }) =>
        Effect.gen(function* () {
          seen.push("alone")
          assert.isUndefined(bucket)
          assert.strictEqual(entry.id, "one")
          assert.deepStrictEqual(yield* service.activeOperations("one"), { read: 0, write: 0 })
          assert.match(yield* refusal(reads(other, "one")), /fetched from the bucket/)
        })
      )
      const fiber = yield* Effect.forkChild(work)
      const mode = Effect.map(service.entry("one"), (entry) => DatastoreConfig.maintenanceOf(entry)?.type)
      while ((yield* mode) !== "s3-refresh") yield* Effect.sleep(10)
      // The file may be seen a moment before the change counts as done; from then on nobody gets in any more.
      while (Exit.isSuccess(yield* Effect.exit(reads(other, "one")))) yield* Effect.sleep(10)
      assert.match(yield* refusal(reads(other, "one")), /fetched from the bucket/)
      seen.push("others end")
      yield* Scope.close(held, Exit.void)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, ["others end", "alone"])
      assert.deepStrictEqual(DatastoreConfig.maintenanceOf(yield* service.entry("one")), {
        type: "read-only",
        message: "for now"
      })
    })
  )

  staged("gives up when others do not end, and leaves the mode as it was", ["one"], ({ service }) =>
    Effect.gen(function* () {
      yield* service.lookup("one", "read")
      const work = service.alone(
        "one",
        { type: "s3-refresh", message: undefined },
        () => Effect.die("others are at work"),
        { waitSeconds: 0 }
      )
      assert.match(yield* refusal(work), /one: others are still at work in it \(1 reading, 0 writing\)/)
      assert.isUndefined(DatastoreConfig.maintenanceOf(yield* service.entry("one")))
    })
  )

  staged("takes up what a process that died has left in the mode", ["one"], ({ service }) =>
    Effect.gen(function* () {
      const mode = { type: "s3-refresh", message: undefined } as const
      yield* service.setMaintenance("one", mode)
      yield* service.alone("one", mode, () => Effect.void)
      assert.strictEqual((yield* writes(service, "one")).name, "one")
    })
  )
})

describe("removal", () => {
  staged("waits for who is at work, and then nobody finds the store", ["one"], (stage) =>
    Effect.gen(function* () {
      const { folder, guards, service, storeFolder } = stage
      const held = yield* Scope.make()
      const { store } = yield* Scope.provide(service.lookup("one", "write"), held)
      assert.match(
        yield* refusal(service.remove("one", { waitSeconds: 0 })),
        /still at work .*repeat the removal/
      )
      assert.match(yield* refusal(reads(service, "one")), /being deleted/)
      const removal = yield* Effect.forkChild(service.remove("one"))
      yield* Effect.sleep(50)
      assert.isTrue(existsSync(store.layout.chunks))
      yield* Scope.close(held, Exit.void)
      yield* Fiber.join(removal)
      assert.match(yield* refusal(reads(service, "one")), /no such datastore/)
      assert.isFalse(guards.isOpen(storeFolder("one")))
      assert.isFalse(existsSync(fileOf(stage, "one")))
      assert.isTrue(existsSync(store.layout.chunks))
      yield* DatastoreConfig.create(folder, "one", { path: storeFolder("one") })
      assert.strictEqual((yield* reads(service, "one")).name, "one")
    })
  )

  staged("destroys a store's data and nothing else", ["one", "two"], ({ service, storeFolder }) =>
    Effect.gen(function* () {
      for (const name of ["one", "two"]) {
        mkdirSync(path.join(storeFolder(name), "ns/a/host/laptop/2026-01-01T00:00:00Z"), { recursive: true })
        mkdirSync(path.join(storeFolder(name), ".chunks/0000"))
        writeFileSync(path.join(storeFolder(name), ".gc-status"), "{}")
      }
      writeFileSync(path.join(storeFolder("two"), "mine.txt"), "")
      yield* service.remove("one", { destroyData: true })
      assert.isFalse(existsSync(storeFolder("one")))
      yield* service.remove("two", { destroyData: true })
      assert.isTrue(existsSync(path.join(storeFolder("two"), "mine.txt")))
      for (const gone of ["ns", ".chunks", ".gc-status", ".lock"]) {
        assert.isFalse(existsSync(path.join(storeFolder("two"), gone)), gone)
      }
      assert.deepStrictEqual(yield* service.list, [])
    })
  )
})
