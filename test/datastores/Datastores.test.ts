/** The configured datastores of a host: lookups, changes by others, and what is kept open. */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { rmSync } from "node:fs"
import * as DatastoreConfig from "../../src/config/DatastoreConfig.ts"
import { makeStore, openService, refusal, sectionOf, type Service, staged } from "./scene.ts"

const reads = (service: Service, name: string) => Effect.scoped(service.lookup(name, "read"))

describe("Datastores", () => {
  staged("opens a store once for all who look it up, and keeps it open", ["one", "two"], (stage) =>
    Effect.gen(function* () {
      const { guards, service, storeFolder } = stage
      const handles = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => service.lookup("one", "write"),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(handles.map(({ store }) => store)).size, 1)
      const { store } = yield* reads(service, "one")
      assert.strictEqual(store, handles[0]?.store)
      assert.strictEqual(store.layout.base, storeFolder("one"))
      assert.notStrictEqual((yield* reads(service, "two")).store, store)
      assert.strictEqual((yield* reads(service, "one")).store, store)
      assert.isTrue(guards.isOpen(storeFolder("two")))
    })
  )

  staged("says which name was meant, and what is wrong with a store", ["backups"], (stage) =>
    Effect.gen(function* () {
      const { edit, service, storeFolder } = stage
      assert.match(
        yield* refusal(reads(service, "bakcups")),
        /bakcups: there is no such datastore .*did you mean backups\?/
      )
      assert.match(yield* refusal(service.lookup("../../etc", "read")), /there is no such datastore/)
      edit((text) => `${text}\n${sectionOf("gone", storeFolder("gone"))}\n${sectionOf("bad", "relative")}`)
      assert.match(yield* refusal(reads(service, "gone")), /gone: this is not a datastore/)
      assert.match(
        yield* refusal(reads(service, "bad")),
        /section "datastore: bad": expected an absolute path/
      )
      makeStore(storeFolder("gone"))
      assert.strictEqual((yield* reads(service, "gone")).name, "gone")
      edit((text) => `${text}nonsense\n`)
      assert.match(yield* refusal(reads(service, "backups")), /datastore\.cfg: .*\(line \d+, section/)
    })
  )

  staged("names the line and the section of one that is there twice", ["one", "two"], (stage) =>
    Effect.gen(function* () {
      const { edit, service, storeFolder } = stage
      edit((text) => `${text}\n${sectionOf("one", storeFolder("two"))}`)
      const told = yield* refusal(reads(service, "two"))
      assert.match(told, /datastore\.cfg: .*every id once.*\(line 7, section "datastore: one"\)/)
      assert.notInclude(told, "\n")
    })
  )

  staged(
    "sees what another process changes at the next lookup",
    ["one"],
    (stage) =>
      Effect.gen(function* () {
        const { folder, service, storeFolder } = stage
        const comment = Effect.map(reads(service, "one"), ({ entry }) => entry.values.comment)
        assert.isUndefined(yield* comment)
        // Texts of one length, one right after the other: nothing but the generation tells them apart.
        for (const text of ["aa", "bb", "cc", "dd"]) {
          yield* DatastoreConfig.update(folder, "one", { comment: text })
          assert.strictEqual(yield* comment, text)
        }
        yield* Effect.sync(() => makeStore(storeFolder("new")))
        yield* DatastoreConfig.create(folder, "new", { path: storeFolder("new") })
        assert.strictEqual((yield* reads(service, "new")).name, "new")
        yield* DatastoreConfig.remove(folder, "new")
        assert.match(yield* refusal(reads(service, "new")), /no such datastore/)
      }),
    { editLookMillis: 60_000 }
  )

  staged("sees an edit by hand where a stamp shows it", ["one"], (stage) =>
    Effect.gen(function* () {
      const { edit, service } = stage
      yield* reads(service, "one")
      edit((text) => text.replace("\tpath", "\tcomment by hand\n\tpath"))
      assert.strictEqual((yield* reads(service, "one")).entry.values.comment, "by hand")
    })
  )

  staged(
    "sees an edit by hand when the time to live is over",
    ["one"],
    (stage) =>
      Effect.gen(function* () {
        const { edit, service } = stage
        yield* reads(service, "one")
        edit((text) => text.replace("\tpath", "\tcomment by hand\n\tpath"))
        assert.isUndefined((yield* reads(service, "one")).entry.values.comment)
        yield* Effect.sleep(250)
        assert.strictEqual((yield* reads(service, "one")).entry.values.comment, "by hand")
      }),
    { editLookMillis: 60_000, ttlSeconds: 0.2 }
  )

  staged(
    "opens a store anew when what it depends on has changed, and not for anything else",
    ["one"],
    (stage) =>
      Effect.gen(function* () {
        const { folder, service } = stage
        const { store } = yield* reads(service, "one")
        yield* DatastoreConfig.update(folder, "one", { comment: "c", "keep-last": "3" })
        assert.strictEqual((yield* reads(service, "one")).store, store)
        const inUse = yield* service.lookup("one", "read")
        yield* DatastoreConfig.update(folder, "one", { tuning: "sync-level=file" })
        const other = yield* reads(service, "one")
        assert.notStrictEqual(other.store, store)
        assert.strictEqual(other.store.guards, inUse.store.guards)
        assert.strictEqual(other.store.locks, inUse.store.locks)
        assert.strictEqual(DatastoreConfig.tuningOf(other.entry).syncLevel, "file")
        yield* DatastoreConfig.update(folder, "one", { tuning: "" })
        assert.notStrictEqual((yield* reads(service, "one")).store, other.store)
      })
  )

  staged("closes what was offline, deleted or gone behind the last handle", ["one", "two", "six"], (stage) =>
    Effect.gen(function* () {
      const { folder, guards, service, storeFolder } = stage
      const held = yield* Scope.make()
      for (const name of ["one", "two", "six"]) {
        yield* Scope.provide(service.lookup(name, "read"), held)
        yield* reads(service, name)
      }
      yield* service.setMaintenance("one", { type: "offline", message: undefined })
      yield* DatastoreConfig.remove(folder, "two")
      yield* service.setMaintenance("six", { type: "read-only", message: undefined })
      assert.isTrue(guards.isOpen(storeFolder("one")))
      assert.isTrue(guards.isOpen(storeFolder("two")))
      yield* Scope.close(held, Exit.void)
      assert.isFalse(guards.isOpen(storeFolder("one")))
      assert.isFalse(guards.isOpen(storeFolder("two")))
      assert.isTrue(guards.isOpen(storeFolder("six")))
    })
  )

  staged("closes an idle store that another process puts offline", ["one", "two"], (stage) =>
    Effect.gen(function* () {
      const { folder, guards, service, storeFolder } = stage
      yield* reads(service, "one")
      yield* reads(service, "two")
      yield* DatastoreConfig.setMaintenance(folder, "one", { type: "unmount", message: undefined })
      yield* service.tick
      assert.isFalse(guards.isOpen(storeFolder("one")))
      assert.isTrue(guards.isOpen(storeFolder("two")))
    })
  )

  staged("follows a store to another path, and closes it at the old one", ["one", "two"], (stage) =>
    Effect.gen(function* () {
      const { edit, guards, service, storeFolder } = stage
      const held = yield* Scope.make()
      const before = yield* Scope.provide(service.lookup("one", "read"), held)
      yield* Effect.sync(() => makeStore(storeFolder("moved")))
      edit((text) => text.replace(storeFolder("one"), storeFolder("moved")))
      assert.strictEqual((yield* reads(service, "one")).store.layout.base, storeFolder("moved"))
      assert.strictEqual(before.store.layout.base, storeFolder("one"))
      yield* Scope.close(held, Exit.void)
      assert.isFalse(guards.isOpen(storeFolder("one")))
    })
  )

  staged("closes everything at its own end, and takes back what it said", ["one"], (stage) =>
    Effect.gen(function* () {
      const { folder, guards, service, storeFolder } = stage
      const scope = yield* Scope.make()
      const other = yield* Scope.provide(openService({ folder }, guards), scope)
      yield* reads(other, "one")
      assert.isTrue(guards.isOpen(storeFolder("one")))
      assert.deepStrictEqual(yield* service.activeOperations("one"), { read: 1, write: 0 })
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(guards.isOpen(storeFolder("one")))
      assert.deepStrictEqual(yield* service.activeOperations("one"), { read: 0, write: 0 })
    })
  )

  staged("goes on after a store could not be opened", ["one"], (stage) =>
    Effect.gen(function* () {
      const { guards, service, storeFolder } = stage
      rmSync(storeFolder("one"), { recursive: true })
      yield* Effect.flip(reads(service, "one"))
      assert.isFalse(guards.isOpen(storeFolder("one")))
      assert.deepStrictEqual(yield* service.activeOperations("one"), { read: 0, write: 0 })
      yield* Effect.sync(() => makeStore(storeFolder("one")))
      assert.strictEqual((yield* reads(service, "one")).name, "one")
    })
  )
})
