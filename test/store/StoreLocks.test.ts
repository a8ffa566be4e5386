/** StoreLocks: named locks and the writers' mark, between holders, processes, and foreign programs. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { writeFileSync } from "node:fs"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import * as StoreLocks from "../../src/store/StoreLocks.ts"
import { hasForeign, startForeign, startOurs } from "../platform/LockProcess.ts"
import { scratchFolder } from "../platform/scratch.ts"

const setUp = Effect.gen(function* () {
  const layout = layoutOf(yield* scratchFolder)
  writeFileSync(layout.processLock, "")
  return { layout, locks: yield* StoreLocks.make(layout) }
})

const isFree = (locks: StoreLocks.StoreLocks["Service"], name: string, mode: "shared" | "exclusive") =>
  Effect.scoped(locks.tryHold(name, mode))

const canWrite = (locks: StoreLocks.StoreLocks["Service"]) =>
  Effect.scoped(Effect.match(locks.holdAsWriter, { onFailure: () => false, onSuccess: () => true }))

describe("StoreLocks", () => {
  it.live("a held name is busy for others, other names are not", () =>
    Effect.gen(function* () {
      const { locks } = yield* setUp
      yield* locks.hold("group vm/100", "exclusive")
      const error = yield* Effect.flip(locks.hold("group vm/100", "shared"))
      assert.isTrue(error._tag === "StoreError" && error.reason === "Busy")
      yield* locks.hold("group vm/101", "exclusive")
      yield* locks.hold("snapshot vm/100/2024-01-01T00:00:00Z", "shared")
      yield* locks.hold("snapshot vm/100/2024-01-01T00:00:00Z", "shared")
      assert.isFalse(yield* isFree(locks, "snapshot vm/100/2024-01-01T00:00:00Z", "exclusive"))
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("names are never taken for digest guards", () =>
    Effect.sync(() => assert.isAtLeast(StoreLocks.namedOffsetStart, 2 ** 52))
  )

  it.live("a thousand names are held at once without a collision", () =>
    Effect.gen(function* () {
      const { locks } = yield* setUp
      for (let number = 0; number < 1000; number++) yield* locks.hold(`group vm/${number}`, "exclusive")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.effect("holdSoon waits, and gives up after about five seconds", () =>
    Effect.gen(function* () {
      const { locks } = yield* setUp
      const waitWhileHeld = (waitMillis: number) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.scoped(
            Effect.gen(function* () {
              yield* locks.hold("manifest", "exclusive")
              const waiting = yield* Effect.forkDetach(
                Effect.scoped(Effect.result(locks.holdSoon("manifest", "exclusive"))),
                { startImmediately: true }
              )
              yield* TestClock.adjust(waitMillis)
              return waiting
            })
          )
          yield* TestClock.adjust(100)
          return (yield* Fiber.join(fiber))._tag
        })
      assert.strictEqual(yield* waitWhileHeld(4500), "Success")
      assert.strictEqual(yield* waitWhileHeld(6000), "Failure")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("who is interrupted while waiting holds nothing", () =>
    Effect.gen(function* () {
      const { locks } = yield* setUp
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* locks.hold("manifest", "exclusive")
          const waiting = yield* Effect.forkChild(Effect.scoped(locks.holdSoon("manifest", "exclusive")))
          yield* Effect.sleep(30)
          yield* Fiber.interrupt(waiting)
        })
      )
      assert.isTrue(yield* isFree(locks, "manifest", "exclusive"))
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )
})

describe("StoreLocks across processes", () => {
  it.live("groups, snapshots and writers of a killed process are free again", () =>
    Effect.gen(function* () {
      const { layout, locks } = yield* setUp
      const child = yield* startOurs(layout.base)
      assert.strictEqual(yield* child.ask("hold", "group vm/100", "exclusive"), "yes")
      assert.strictEqual(yield* child.ask("hold", "snapshot vm/100/x", "shared"), "yes")
      assert.strictEqual(yield* child.ask("writer"), "yes")
      assert.isFalse(yield* isFree(locks, "group vm/100", "shared"))
      assert.isTrue(yield* isFree(locks, "snapshot vm/100/x", "shared"))
      assert.isFalse(yield* isFree(locks, "snapshot vm/100/x", "exclusive"))
      assert.isTrue(yield* canWrite(locks))
      yield* child.kill
      assert.isTrue(yield* isFree(locks, "group vm/100", "exclusive"))
      assert.isTrue(yield* isFree(locks, "snapshot vm/100/x", "exclusive"))
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("what another process lets go is free", () =>
    Effect.gen(function* () {
      const { layout, locks } = yield* setUp
      const child = yield* startOurs(layout.base)
      yield* locks.hold("group vm/100", "exclusive")
      assert.strictEqual(yield* child.ask("hold", "group vm/100", "shared"), "no")
      assert.strictEqual(yield* child.ask("hold", "group vm/101", "exclusive"), "yes")
      assert.isFalse(yield* isFree(locks, "group vm/101", "shared"))
      assert.strictEqual(yield* child.ask("free"), "yes")
      assert.isTrue(yield* isFree(locks, "group vm/101", "exclusive"))
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )
})

describe.skipIf(!hasForeign)("StoreLocks and a program that locks the whole of .lock", () => {
  it.live("its collector keeps our writers out, its writers do not", () =>
    Effect.gen(function* () {
      const { layout, locks } = yield* setUp
      const foreign = yield* startForeign
      assert.strictEqual(yield* foreign.ask("exclusive", layout.processLock), "yes")
      const error = yield* Effect.flip(Effect.scoped(locks.holdAsWriter))
      assert.include(error.message, "locked the whole datastore")
      assert.strictEqual(yield* foreign.ask("free", layout.processLock), "yes")
      assert.strictEqual(yield* foreign.ask("shared", layout.processLock), "yes")
      assert.isTrue(yield* canWrite(locks))
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("our writers keep its collector out, not its writers; our collector would keep both out", () =>
    Effect.gen(function* () {
      const { layout, locks } = yield* setUp
      const foreign = yield* startForeign
      const child = yield* startOurs(layout.base)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* locks.holdAsWriter
          assert.strictEqual(yield* foreign.ask("exclusive", layout.processLock), "no")
          assert.strictEqual(yield* foreign.ask("shared", layout.processLock), "yes")
          assert.strictEqual(yield* foreign.ask("free", layout.processLock), "yes")
        })
      )
      assert.strictEqual(yield* child.ask("range", "0", "exclusive"), "yes")
      assert.isTrue(yield* canWrite(locks))
      assert.strictEqual(yield* foreign.ask("shared", layout.processLock), "no")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )
})
