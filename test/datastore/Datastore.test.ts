/** Datastore: making, opening, and forgetting snapshots. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fs from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { manifestLockName } from "../../src/store/SnapshotFiles.ts"
import type { StorageError } from "../../src/store/StorageError.ts"
import type { StoreError } from "../../src/store/StoreError.ts"
import { scratchFolder, wideFolder } from "../platform/scratch.ts"
import { type Operation } from "../store/HookedFiles.ts"
import { hookedPlatform, platform } from "../store/stores.ts"
import { copyOf, smallGoldenStore } from "./goldenStores.ts"

const modeOf = (path: string): string => (fs.lstatSync(path).mode & 0o777).toString(8)

const reasonOf = <A, R>(effect: Effect.Effect<A, StorageError | StoreError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("Datastore.create", () => {
  it.live("makes all chunk folders, with the permissions of Proxmox Backup Server", () =>
    Effect.gen(function* () {
      const base = join(yield* wideFolder, "store")
      const steps: Array<number> = []
      const layout = yield* Datastore.create(base, ({ done }) => Effect.sync(() => void steps.push(done)))
      assert.deepStrictEqual(fs.readdirSync(base).toSorted(), [".chunks", ".lock"])
      assert.strictEqual(modeOf(base), "755")
      assert.strictEqual(modeOf(layout.chunks), "750")
      assert.strictEqual(modeOf(layout.processLock), "644")
      assert.strictEqual(fs.statSync(layout.processLock).size, 0)
      const prefixes = fs.readdirSync(layout.chunks).toSorted()
      assert.strictEqual(prefixes.length, 65_536)
      assert.strictEqual(prefixes[0], "0000")
      assert.strictEqual(prefixes[65_535], "ffff")
      assert.isTrue(prefixes.every((name) => /^[0-9a-f]{4}$/.test(name)))
      for (const name of ["0000", "0a1b", "ffff"])
        assert.strictEqual(modeOf(join(layout.chunks, name)), "750")
      assert.strictEqual(steps.at(-1), 65_536)
      assert.strictEqual(yield* reasonOf(Datastore.create(base)), "AlreadyADatastore")
      const { hierarchy } = yield* Datastore.open({ path: base })
      assert.deepStrictEqual(yield* hierarchy.groups(Namespace.root), [])
    }).pipe(Effect.provide(platform))
  )

  it.live("refuses a folder with content, a file, and a folder in nowhere", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      fs.writeFileSync(join(folder, "file"), "")
      assert.strictEqual(yield* reasonOf(Datastore.create(folder)), "Refused")
      assert.strictEqual(yield* reasonOf(Datastore.create(join(folder, "file"))), "NotADirectory")
      assert.strictEqual(yield* reasonOf(Datastore.create(join(folder, "no/where"))), "NotFound")
      assert.deepStrictEqual(fs.readdirSync(folder), ["file"])
    }).pipe(Effect.provide(platform))
  )

  it.live("an interrupted creation leaves no datastore, and the next one clears it away", () =>
    Effect.gen(function* () {
      const folder = yield* wideFolder
      fs.mkdirSync(join(folder, "lost+found"))
      const remains = yield* interruptAfter(folder, 2)
      assert.strictEqual(fs.readdirSync(join(folder, remains)).length, 4096)
      assert.strictEqual(yield* reasonOf(Datastore.open({ path: folder })), "NotADatastore")
      const again = yield* interruptAfter(folder, 1)
      assert.notStrictEqual(again, remains)
      assert.strictEqual(fs.readdirSync(join(folder, again)).length, 2048)
    }).pipe(Effect.provide(platform))
  )
})

/** Interrupts a creation after so many steps, and answers the name of the one folder it left. */
const interruptAfter = (folder: string, stepCount: number) =>
  Effect.gen(function* () {
    const reached = yield* Deferred.make<void>()
    let steps = 0
    const onProgress = () =>
      ++steps === stepCount ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
    const creating = yield* Effect.forkChild(Datastore.create(folder, onProgress))
    yield* Deferred.await(reached)
    yield* Fiber.interrupt(creating)
    const [name = "", ...others] = fs.readdirSync(folder).filter((entry) => entry !== "lost+found")
    assert.match(name, /^\.chunks\.tmp_/)
    assert.deepStrictEqual(others, [])
    return name
  })

describe("Datastore.open", () => {
  it.live("refuses what is no datastore, with a hint", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      fs.writeFileSync(join(folder, "file"), "")
      fs.mkdirSync(join(folder, "odd"))
      fs.writeFileSync(join(folder, "odd/.chunks"), "")
      for (const path of [folder, join(folder, "file"), join(folder, "missing"), join(folder, "odd")]) {
        const error = yield* Effect.flip(Datastore.open({ path }))
        assert.isTrue(error._tag === "StoreError" && error.reason === "NotADatastore", path)
        assert.include(error.hint, "granary init")
      }
    }).pipe(Effect.provide(platform))
  )

  for (const [syncLevel, expected] of [
    [undefined, ["syncFileSystem"]],
    ["filesystem", ["syncFileSystem"]],
    ["file", []],
    ["none", []]
  ] as const) {
    it.live(`flush with sync level ${syncLevel ?? "left open"}`, () => {
      const calls: Array<Operation> = []
      const before = (operation: Operation) => Effect.sync(() => void calls.push(operation))
      return Effect.gen(function* () {
        const path = yield* copyOf(smallGoldenStore)
        const datastore = yield* Datastore.open({ path, ...(syncLevel === undefined ? {} : { syncLevel }) })
        calls.length = 0
        yield* datastore.flush
        assert.deepStrictEqual<ReadonlyArray<string>>(calls, expected)
      }).pipe(Effect.provide(hookedPlatform({ before })))
    })
  }
})

const root = Namespace.root
const onlyOne = Snapshot.parse("ct/100/2024-02-29T12:34:56Z")

const setUp = Effect.gen(function* () {
  const path = yield* copyOf(smallGoldenStore)
  return { path, store: yield* Datastore.open({ path }) }
})

describe("Datastore.forget", () => {
  it.live("removes the snapshot, and with the last one the group; chunks stay", () =>
    Effect.gen(function* () {
      const { path, store } = yield* setUp
      const second = join(path, "ct/100/2024-03-01T00:00:00Z")
      fs.cpSync(join(path, "ct/100/2024-02-29T12:34:56Z"), second, { recursive: true })
      const chunkFolders = fs.readdirSync(join(path, ".chunks"))
      yield* store.forget(root, onlyOne)
      assert.deepStrictEqual(fs.readdirSync(join(path, "ct/100")).toSorted(), [
        "2024-03-01T00:00:00Z",
        "owner"
      ])
      yield* store.forget(root, Snapshot.parse("ct/100/2024-03-01T00:00:00Z"))
      assert.isFalse(fs.existsSync(join(path, "ct/100")))
      assert.isTrue(fs.existsSync(join(path, "ct/102")))
      assert.deepStrictEqual(fs.readdirSync(join(path, ".chunks")), chunkFolders)
      assert.strictEqual(yield* reasonOf(store.forget(root, onlyOne)), "NoSuchSnapshot")
    }).pipe(Effect.provide(platform))
  )

  it.live("takes the manifest away first", () => {
    const removed: Array<string> = []
    const before = (operation: Operation, path: string) =>
      Effect.sync(() => {
        if (operation === "unlink") removed.push(path.slice(path.lastIndexOf("/") + 1))
      })
    return Effect.gen(function* () {
      const { store } = yield* setUp
      yield* store.forget(root, onlyOne)
      assert.strictEqual(removed[0], "index.json.blob")
      assert.isAbove(removed.length, 4)
    }).pipe(Effect.provide(hookedPlatform({ before })))
  })

  it.live("refuses a protected snapshot", () =>
    Effect.gen(function* () {
      const { store } = yield* setUp
      yield* store.hierarchy.setProtected(root, onlyOne, true)
      assert.strictEqual(yield* reasonOf(store.forget(root, onlyOne)), "Protected")
      yield* store.hierarchy.setProtected(root, onlyOne, false)
      yield* store.forget(root, onlyOne)
    }).pipe(Effect.provide(platform))
  )

  it.live("refuses while somebody reads the snapshot, or changes its manifest", () =>
    Effect.gen(function* () {
      const { store } = yield* setUp
      const reading = Datastore.snapshotLockName(root, onlyOne)
      yield* Effect.scoped(
        Effect.andThen(
          store.locks.hold(reading, "shared"),
          Effect.gen(function* () {
            assert.strictEqual(yield* reasonOf(store.forget(root, onlyOne)), "Busy")
          })
        )
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* store.locks.hold(manifestLockName(root, onlyOne), "exclusive")
          const forgetting = yield* Effect.forkChild(store.forget(root, onlyOne))
          yield* Effect.sleep(50)
          assert.strictEqual((yield* store.hierarchy.entry(root, onlyOne)).finished, true)
          yield* Fiber.interrupt(forgetting)
        })
      )
      yield* store.forget(root, onlyOne)
    }).pipe(Effect.provide(platform))
  )

  it.live("leaves the empty group to a backup that is running in it", () =>
    Effect.gen(function* () {
      const { path, store } = yield* setUp
      yield* store.locks.hold(Datastore.groupLockName(root, onlyOne.group), "exclusive")
      yield* store.forget(root, onlyOne)
      assert.deepStrictEqual(fs.readdirSync(join(path, "ct/100")), ["owner"])
    }).pipe(Effect.provide(platform))
  )

  it.live("removes an unfinished snapshot, and folders somebody put into it", () =>
    Effect.gen(function* () {
      const { path, store } = yield* setUp
      const folder = join(path, "ct/100/2024-02-29T12:34:56Z")
      fs.rmSync(join(folder, "index.json.blob"))
      fs.mkdirSync(join(folder, "deep/er"), { recursive: true })
      fs.writeFileSync(join(folder, "deep/er/file"), "")
      fs.symlinkSync(join(path, "ct/102"), join(folder, "link"))
      yield* store.forget(root, onlyOne)
      assert.isFalse(fs.existsSync(folder))
      assert.isTrue(fs.existsSync(join(path, "ct/102/owner")))
    }).pipe(Effect.provide(platform))
  )
})
