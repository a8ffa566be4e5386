/** forgetGroup: a whole group goes, or says what of it stays. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { StoreError } from "../../src/store/StoreError.ts"
import { forgetGroup } from "../../src/prune/ForgetGroup.ts"
import { platform } from "../store/stores.ts"
import { add, storeWith } from "./scenes.ts"

const root = Namespace.root
const group = BackupGroup.parse("host/a")
const [first, second, third] = [1, 2, 3].map((day) => `host/a/2026-01-0${day}T00:00:00Z`) as [
  string,
  string,
  string
]

const forget = (store: Datastore.Datastore["Service"], ns = root) =>
  forgetGroup(ns, group).pipe(Effect.provideService(Datastore.Datastore, store))

const namesOf = (snapshots: ReadonlyArray<Snapshot.Snapshot>) => snapshots.map(Snapshot.format)

const reasonOf = (error: unknown): string => (error instanceof StoreError ? error.reason : String(error))

describe("forgetGroup", () => {
  it.live("removes everything of the group, the unfinished too, and nothing else", () =>
    Effect.gen(function* () {
      const { path, store, has } = yield* storeWith(
        second,
        `u${third}`,
        first,
        "host/ab/2026-01-01T00:00:00Z"
      )
      const team = Namespace.parse("team")
      yield* add(store, first, team)
      fs.writeFileSync(join(path, "host/a/notes"), "about this group")
      const result = yield* forget(store)
      assert.deepStrictEqual(namesOf(result.removed), [first, second, third])
      assert.deepStrictEqual([result.kept, result.isGroupRemoved], [[], true])
      assert.isFalse(has("host/a"))
      assert.isTrue(has("host/ab/2026-01-01T00:00:00Z/index.json.blob"))
      assert.isTrue(has(`ns/team/${first}/index.json.blob`))
      assert.strictEqual(reasonOf(yield* Effect.flip(forget(store))), "NoSuchGroup")
      assert.isTrue((yield* forget(store, team)).isGroupRemoved)
    }).pipe(Effect.provide(platform))
  )

  it.live("a group without snapshots goes as well", () =>
    Effect.gen(function* () {
      const { path, store, has } = yield* storeWith(first)
      fs.rmSync(join(path, first), { recursive: true })
      assert.deepStrictEqual(yield* forget(store), { removed: [], kept: [], isGroupRemoved: true })
      assert.isFalse(has("host/a"))
    }).pipe(Effect.provide(platform))
  )

  it.live("keeps what is protected or in use, and the group and its owner with it", () =>
    Effect.gen(function* () {
      const { path, store } = yield* storeWith(first, `p${second}`, third)
      const reading = Datastore.snapshotLockName(root, Snapshot.parse(first))
      const result = yield* Effect.scoped(Effect.andThen(store.locks.hold(reading, "shared"), forget(store)))
      assert.deepStrictEqual(namesOf(result.removed), [third])
      assert.deepStrictEqual(
        result.kept.map(({ snapshot, error }) => [Snapshot.format(snapshot), reasonOf(error)]),
        [
          [first, "Busy"],
          [second, "Protected"]
        ]
      )
      assert.isFalse(result.isGroupRemoved)
      assert.deepStrictEqual(fs.readdirSync(join(path, "host/a")).toSorted(), [
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
        "owner"
      ])
    }).pipe(Effect.provide(platform))
  )

  it.live("removes nothing while a backup runs in the group", () =>
    Effect.gen(function* () {
      const { store, has } = yield* storeWith(first, second)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* store.locks.hold(Datastore.groupLockName(root, group), "exclusive")
          assert.strictEqual(reasonOf(yield* Effect.flip(forget(store))), "Busy")
        })
      )
      assert.isTrue(has(first) && has(second))
    }).pipe(Effect.provide(platform))
  )
})
