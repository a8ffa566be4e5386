/** Writers on a server that does not honour conditional writes, or does not say clearly whether it does. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { retrying } from "../../../src/objectstore/decorators/retrying.ts"
import * as Scenes from "./hostScene.ts"

describe("conditional writes", () => {
  it.effect("a server that does not honour conditional writes is refused by writers, and keeps nothing", () =>
    Effect.gen(function* () {
      for (const conditionalPut of ["ignored", "unsupported"] as const) {
        const bucket = Scenes.newBucket()
        const chunk = Scenes.digestNumber(1)
        const host = yield* Scenes.hostOn(
          { name: "a", disk: Scenes.newDisk() },
          Scenes.connection(bucket, { conditionalPut })
        )
        const error = yield* Effect.flip(Effect.scoped(host.hosts.writing("one-0")))
        assert.strictEqual(error.reason, "Unsuitable", conditionalPut)
        assert.include(error.message, "cannot keep a datastore safely")
        assert.deepStrictEqual(bucket.keys(), [])
        // A collection relies on no condition, and other hosts are kept out by it all the same.
        Scenes.putChunk(bucket, chunk)
        yield* Effect.scoped(host.hosts.collecting)
      }
    })
  )

  it.effect("a lost answer to that question is no verdict on the server", () =>
    Effect.gen(function* () {
      for (const conditionalPut of ["honoured", "ignored"] as const) {
        const bucket = Scenes.newBucket()
        let losses = 1
        const lossy = Scenes.connection(bucket, {
          conditionalPut,
          faults: ["lost answer"],
          // The first writing of the mark goes well.
          decide: (_, key) => key.includes("writers") && bucket.keys().length > 0 && losses-- > 0
        })
        const patient = yield* retrying(lossy)
        const host = yield* Scenes.hostOn({ name: "a", disk: Scenes.newDisk() }, patient)
        const running = yield* Effect.forkChild(Effect.result(Effect.scoped(host.hosts.writing("one-0"))))
        yield* TestClock.adjust("1 minute")
        const { _tag } = yield* Fiber.join(running)
        assert.strictEqual(_tag, conditionalPut === "honoured" ? "Success" : "Failure")
        assert.isBelow(losses, 1)
      }
    })
  )
})
