/** Moving a group to another namespace: what goes along, what is refused, what hinders it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { backUp, begin, host, inStore, scene } from "../gc/scene.ts"
import { platform } from "../store/stores.ts"

const time = 1_700_000_000
const target = Namespace.parse("team/dev")

const move = (from = Namespace.root, to = target) =>
  Effect.flatMap(Datastore.Datastore, (store) => store.moveGroup(from, host, to))

const reasonOf = (attempt: ReturnType<typeof move>) =>
  Effect.map(Effect.flip(attempt), ({ reason }) => reason)

describe("moveGroup", () => {
  it.live("the group is in the other namespace with all it has, and goes on there", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const store = yield* Datastore.Datastore
        const snapshot = yield* backUp(layout, { time, contents: ["one"] })
        yield* store.hierarchy.createNamespace(target)
        yield* move()
        assert.isFalse(existsSync(join(layout.base, "host/a")))
        assert.strictEqual((yield* store.snapshotFiles.manifest(target, snapshot)).files.length, 1)
        const next = yield* Effect.scoped(
          begin(layout, { time: time + 1, contents: ["one"], namespace: target })
        )
        assert.strictEqual(next.previous?.snapshot.time, time)
        assert.deepStrictEqual(yield* store.moves.peek, ["ns/team/ns/dev/host/a"])
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("is refused where there is no such group or namespace, or one of this name already", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const store = yield* Datastore.Datastore
        assert.strictEqual(yield* reasonOf(move()), "NoSuchGroup")
        yield* backUp(layout, { time, contents: ["one"] })
        assert.strictEqual(yield* reasonOf(move()), "NoSuchNamespace")
        assert.strictEqual(yield* reasonOf(move(Namespace.root, Namespace.root)), "Refused")
        yield* store.hierarchy.createNamespace(target)
        yield* backUp(layout, { time, contents: ["two"], namespace: target })
        assert.strictEqual(yield* reasonOf(move()), "Refused")
        assert.isTrue(existsSync(join(layout.base, "host/a")))
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("waits for nobody: it fails while a backup is made or a snapshot is read", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const store = yield* Datastore.Datastore
        const snapshot = yield* backUp(layout, { time, contents: ["one"] })
        yield* store.hierarchy.createNamespace(target)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* begin(layout, { time: time + 1, contents: ["one"] })
            assert.strictEqual(yield* reasonOf(move()), "Busy")
          })
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* store.locks.hold(Datastore.snapshotLockName(Namespace.root, snapshot), "shared")
            assert.strictEqual(yield* reasonOf(move()), "Busy")
          })
        )
        yield* move()
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )
})
