/** A cache folder's metadata from its bucket: all of it, nothing else, and whole whatever comes in between. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import * as FolderMark from "../../src/store/bucket/FolderMark.ts"
import * as StoreLocks from "../../src/store/StoreLocks.ts"
import * as Writers from "../../src/store/Writers.ts"
import * as MemoryFileLocks from "../../src/testing/MemoryFileLocks.ts"
import {
  expected,
  expectedFolders,
  type Hook,
  isContentGet,
  layout,
  newBucket,
  newDisk,
  objectSeconds,
  put,
  remove,
  Scene,
  times
} from "./scene.ts"

const claimed = (options: ConstructorParameters<typeof Scene>[0] = {}) => {
  const scene = new Scene(options)
  return Effect.as(scene.claim, scene)
}

const cut = new ObjectStoreError({ operation: "get", key: "x", reason: "Unreachable" })

describe("Refresh", () => {
  it.effect("rebuilds everything, empty namespaces included, and touches nothing else", () =>
    Effect.gen(function* () {
      const scene = yield* claimed()
      const others = { ".chunks/0000/marker": "", ".gc-status": "{}", ".granary-generation": "{}", lost: "x" }
      yield* scene.lay({
        ...others,
        "host/a/owner": "old",
        "host/old/owner": "old",
        "ns/gone/ct/1/owner": "old"
      })
      const { fetched, keptObjects, plan } = yield* scene.refresh
      assert.deepStrictEqual(yield* scene.found, expected)
      const { empty, files } = yield* scene.tree
      for (const [path, text] of Object.entries(others)) assert.strictEqual(files[`/store/${path}`], text)
      assert.deepStrictEqual(empty, ["/store/ns/empty", "/store/ns/x/ns/y"])
      for (const folder of expectedFolders)
        yield* scene.on(Effect.sync(() => scene.disk.stat(`/store/${folder}`)))
      assert.notProperty(files, "/store/.granary-refresh/state")
      const objects = Object.keys(expected).length
      const bytes = Object.values(expected).join("").length
      assert.deepInclude(plan, { objects, bytes, namespaces: 3, groups: 3, snapshots: 4, keptObjects: 0 })
      assert.deepInclude(fetched, { objects, bytes, gets: objects, vanished: 0 })
      assert.strictEqual(fetched.lists, plan.cost.costs.list)
      assert.strictEqual(fetched.gets, plan.cost.costs.get)
      assert.strictEqual(keptObjects, 0)
    })
  )

  it.effect("an empty bucket makes an empty folder", () =>
    Effect.gen(function* () {
      const scene = yield* claimed({ bucket: newBucket({ "host/a/notes": "" }) })
      remove(scene.memory, "host/a/notes")
      yield* scene.lay({ "host/a/owner": "old" })
      yield* scene.refresh
      const { empty } = yield* scene.tree
      assert.deepStrictEqual([yield* scene.found, empty], [{}, ["/store/.chunks/0000"]])
    })
  )

  it.effect("keys that lead elsewhere become nothing, and are told", () =>
    Effect.gen(function* () {
      const scene = yield* claimed()
      const keys = [
        "../../etc/passwd",
        "../.chunks/0000/evil",
        "host/../../evil",
        "host/a/../../../evil",
        "host/a/owner/evil",
        `host/a/${times[0]}/../../evil.blob`,
        `host/a/${times[0]}/.hidden.blob`,
        `host/a/${times[0]}/sub/x.blob`,
        `host/a/${times[0]}/noextension`,
        "host/a/2026-13-01T00:00:00Z/x.blob",
        "host//owner",
        "/host/a/owner",
        "ns/../host/a/owner",
        "ns/x/owner",
        "mail/a/owner",
        ".namespace",
        ".granary-generation",
        "host/a/line\nbreak"
      ]
      for (const key of keys) put(scene.memory, key, "evil")
      const before = (yield* scene.tree).files
      const { plan } = yield* scene.refresh
      const { files } = yield* scene.tree
      assert.strictEqual(plan.foreignCount, keys.length)
      assert.lengthOf(plan.foreignExamples, 10)
      const prefixed = Object.entries(expected).map(([path, text]) => [`/store/${path}`, text])
      const locks = { "/store/.lock": "", "/store/.granary.lock": "" }
      assert.deepStrictEqual({ ...files, ...locks }, { ...before, ...Object.fromEntries(prefixed), ...locks })
      const warning = scene.events.find(({ type }) => type === "warning")
      assert.include(JSON.stringify(warning), `${keys.length} keys below .cnt/`)
    })
  )

  it.effect("a folder of another bucket, or of none, is left alone", () =>
    Effect.gen(function* () {
      const scene = yield* claimed()
      const elsewhere = new Scene({ disk: scene.disk, seed: "elsewhere" })
      elsewhere.memory.put("store/.granary/id", Buffer.from("another"), 0)
      // Of the same title and name: only what is written in the folder tells them apart.
      yield* scene.lay({
        ".granary-bucket": '{"store":"store","bucket":"s3:old/name","id":"x","state":"ready"}'
      })
      assert.include(
        (yield* Effect.flip(elsewhere.refresh)).message,
        "the cache of s3:old/name, and not of store"
      )
      const plain = new Scene()
      assert.strictEqual((yield* Effect.flip(plain.refresh)).reason, "Refused")
    })
  )
})

describe("an interrupted refresh", () => {
  /** Fails at the tenth object. */
  const interrupted = (disk = newDisk(), bucket = newBucket()) =>
    Effect.gen(function* () {
      let count = 0
      const hook: Hook = (request) => (isContentGet(request) && ++count > 9 ? Effect.fail(cut) : Effect.void)
      const scene = new Scene({ disk, bucket, hook })
      yield* scene.claim
      yield* scene.lay({ "host/a/owner": "old" })
      assert.strictEqual((yield* Effect.flip(scene.refresh)).reason, "Unreachable")
      assert.deepStrictEqual(yield* scene.found, { "host/a/owner": "old" })
      return { disk, bucket, fetched: scene.takeGets().slice(0, 9) }
    })

  it.effect("leaves the old metadata, and the next one fetches what is missing", () =>
    Effect.gen(function* () {
      const { bucket, disk, fetched } = yield* interrupted()
      const scene = new Scene({ disk, bucket, seed: "next" })
      const { keptObjects } = yield* scene.plan
      assert.isAbove(keptObjects, 3)
      scene.takeGets()
      const summary = yield* scene.refresh
      assert.deepStrictEqual(yield* scene.found, expected)
      assert.strictEqual(summary.keptObjects, keptObjects)
      const again = scene.takeGets()
      assert.lengthOf(again, Object.keys(expected).length - keptObjects)
      assert.isAtLeast(fetched.filter((path) => !again.includes(path)).length, keptObjects)
    })
  )

  it.effect("takes nothing over that may have changed, is gone, or was not flushed", () =>
    Effect.gen(function* () {
      const all = Object.keys(expected)
      const changed = yield* interrupted()
      // The same sizes, and later than the interrupted one looked.
      for (const [path, text] of Object.entries(expected)) {
        put(changed.bucket, path, text.replaceAll(/[a-z]/g, "z"), objectSeconds + 11)
      }
      const scene = new Scene({ ...changed, seed: "next" })
      assert.strictEqual((yield* scene.refresh).keptObjects, 0)
      assert.deepStrictEqual(Object.keys(yield* scene.found).toSorted(), all.toSorted())
      assert.strictEqual((yield* scene.found)["host/a/owner"], "zzzz@zzz\n")

      const smaller = yield* interrupted()
      for (const path of all) if (path.startsWith("host/a/2")) remove(smaller.bucket, path)
      const second = new Scene({ ...smaller, seed: "next" })
      yield* second.refresh
      const left = Object.entries(expected).filter(([path]) => !path.startsWith("host/a/2"))
      assert.deepStrictEqual(yield* second.found, Object.fromEntries(left))

      const rebooted = new Scene({ ...(yield* interrupted()), bootId: "next", seed: "next" })
      assert.strictEqual((yield* rebooted.plan).keptObjects, 0)
      assert.strictEqual((yield* rebooted.refresh).keptObjects, 0)
      assert.deepStrictEqual(yield* rebooted.found, expected)
    })
  )

  it.effect("killed at any step leaves old or new metadata, or says that it has to be run again", () =>
    Effect.gen(function* () {
      const old = { "host/a/owner": "old", "ns/z/vm/1/owner": "old" }
      const small = {
        "host/a/owner": "root@pam\n",
        [`host/a/${times[0]}/index.json.blob`]: "manifest",
        "ns/x/.namespace": "",
        "ns/x/vm/1/owner": "root@pam\n"
      }
      const { "ns/x/.namespace": _, ...files } = small
      const wanted = { ...files, "host/a/notes": "" }
      let [ready, incomplete] = [0, 0]
      for (let step = 0; ; step++) {
        const disk = newDisk()
        const first = new Scene({ disk, bucket: newBucket(small) })
        yield* first.claim
        yield* first.lay(old)
        let count = 0
        const point = () => (count++ === step ? Effect.die("killed") : Effect.void)
        const exit = yield* Effect.exit(new Scene({ disk, bucket: first.memory, point }).refresh)
        const state = (yield* first.on(FolderMark.read(layout)))?.state
        const found = yield* first.found
        if (state === "ready") {
          ready += 1
          const isOld = found["host/a/owner"] === "old"
          assert.deepStrictEqual(found, isOld ? old : wanted, `at step ${step}`)
        } else incomplete += 1
        const second = new Scene({ disk, bucket: first.memory, seed: "second" })
        yield* second.refresh
        assert.deepStrictEqual(yield* second.found, wanted, `after step ${step}`)
        assert.strictEqual((yield* second.on(FolderMark.read(layout)))?.state, "ready")
        if (Exit.isSuccess(exit)) break
      }
      assert.isAbove(ready, 50)
      assert.isAbove(incomplete, 3)
    })
  )
})

describe("who else is at work", () => {
  it.effect("a writer of this host is waited for, by name; one that comes later has to wait", () =>
    Effect.gen(function* () {
      const disk = newDisk()
      const locks = new MemoryFileLocks.MemoryLockTable(disk)
      const scene = yield* claimed({ disk, locks })
      const scope = yield* Scope.make()
      const register = scene.on(
        Effect.gen(function* () {
          const made = yield* StoreLocks.make(layout)
          const writers = yield* Writers.make(layout, made)
          yield* Scope.provide(writers.register, scope)
        })
      )
      yield* register
      const error = yield* Effect.flip(scene.refresh)
      assert.strictEqual(error.reason, "Busy")
      assert.include(error.message, "process 7 on here has been writing into it since 1970-01-01T00:00:00Z")
      assert.deepStrictEqual(yield* scene.found, {})
      yield* Scope.close(scope, Exit.void)

      let reason = ""
      const hook: Hook = (request) =>
        isContentGet(request) && reason === ""
          ? Effect.map(Effect.flip(register), (failure) => void (reason = failure.reason))
          : Effect.void
      yield* new Scene({ disk, locks, bucket: scene.memory, hook, seed: "next" }).refresh
      assert.strictEqual(reason, "Busy")
      yield* Scope.provide(register, yield* Scope.make())
    })
  )

  it.effect("a garbage collection of this host too", () =>
    Effect.gen(function* () {
      const disk = newDisk()
      const locks = new MemoryFileLocks.MemoryLockTable(disk)
      const scene = yield* claimed({ disk, locks })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const scope = yield* Effect.scope
          yield* scene.on(
            Effect.flatMap(StoreLocks.make(layout), ({ holdAsCollector }) =>
              Scope.provide(holdAsCollector, scope)
            )
          )
          assert.strictEqual((yield* Effect.flip(scene.refresh)).reason, "Busy")
        })
      )
      yield* scene.refresh
    })
  )

  it.effect("tells how far it is", () =>
    Effect.gen(function* () {
      const scene = yield* claimed()
      yield* scene.refresh
      const progress = scene.events.filter((event) => event.type === "progress")
      const bytes = Object.values(expected).join("").length
      assert.strictEqual(progress[0]?.state, "started")
      assert.strictEqual(progress.at(-1)?.state, "ended")
      assert.deepInclude(progress.at(-1), { task: "refresh", done: bytes, total: bytes, unit: "bytes" })
      assert.lengthOf(progress, Object.keys(expected).length + 2)
    })
  )
})
