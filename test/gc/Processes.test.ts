/** Garbage collection and other processes: a crashed writer, a second collector, Proxmox Backup Server. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync } from "node:fs"
import * as Gc from "../../src/gc/Gc.ts"
import { hasForeign, startForeign, startOurs } from "../platform/LockProcess.ts"
import { platform } from "../store/stores.ts"
import { age, assertGone, assertStored, collect, inStore, insertLoose, scene } from "./scene.ts"

describe("other processes", () => {
  it.live("the lease of a killed writer is dead, and its file is removed", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* insertLoose(layout, "loose")
        const child = yield* startOurs(layout.base)
        assert.strictEqual(yield* child.ask("lease", "1000"), "yes")
        age(layout)
        const { plan } = yield* collect()
        assert.strictEqual(plan.writers.length, 1)
        assert.strictEqual(plan.cutoffSeconds, 700)
        assertStored(layout, "loose")
        yield* child.kill
        assert.strictEqual(readdirSync(layout.writers).length, 1)
        assert.strictEqual((yield* Gc.dryRun()).plan.writers.length, 0)
        assert.strictEqual(readdirSync(layout.writers).length, 1)
        yield* collect()
        assertGone(layout, "loose")
        assert.strictEqual(readdirSync(layout.writers).length, 0)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("the second collector says who the first one is; a crash of the first lets it go on", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const child = yield* startOurs(layout.base)
        const answer = yield* child.ask("collect")
        assert.match(answer, /^pid \d+$/)
        const error = yield* Effect.flip(collect())
        assert.strictEqual(error.reason, "Busy")
        assert.include(error.message, `process ${answer.slice(4)} on `)
        assert.include(error.message, "UPID:")
        assert.isFalse(existsSync(layout.gcStatus))
        yield* child.kill
        yield* collect()
        assert.isTrue(existsSync(layout.gcStatus))
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("two collectors of one process exclude each other as well", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Gc.plan({ checksTimes: false })
          assert.strictEqual((yield* Effect.flip(collect())).reason, "Busy")
        })
      ).pipe(inStore(layout))
      yield* collect().pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )
})

describe.skipIf(!hasForeign)("a program that locks the whole of .lock", () => {
  it.live("keeps the collection out, whichever way it locks, and is kept out by it", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const foreign = yield* startForeign
        for (const mode of ["shared", "exclusive"] as const) {
          assert.strictEqual(yield* foreign.ask(mode, layout.processLock), "yes")
          const error = yield* Effect.flip(collect())
          assert.strictEqual(error.reason, "Busy")
          assert.include(error.message, "Proxmox Backup Server")
          assert.strictEqual(yield* foreign.ask("free", layout.processLock), "yes")
        }
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Gc.plan({ checksTimes: false })
            assert.strictEqual(yield* foreign.ask("shared", layout.processLock), "no")
            yield* insertLoose(layout, "meanwhile")
          })
        )
        assert.strictEqual(yield* foreign.ask("exclusive", layout.processLock), "yes")
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )
})
