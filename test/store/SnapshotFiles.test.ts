/** SnapshotFiles: manifests, indexes and blobs of a snapshot, and the errors when they are not there. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fs from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { manifestLockName } from "../../src/store/SnapshotFiles.ts"
import type { StorageError } from "../../src/store/StorageError.ts"
import type { StoreError } from "../../src/store/StoreError.ts"
import { copyOf, smallGoldenStore } from "../datastore/goldenStores.ts"
import { atCall, ioError } from "./HookedFiles.ts"
import { hookedPlatform, platform } from "./stores.ts"

const root = Namespace.root
const snapshot = Snapshot.parse("ct/103/2024-02-29T12:34:56Z")
const rootArchive = ArchiveName.fromFile("root.pxar.didx")

const setUp = Effect.gen(function* () {
  const path = yield* copyOf(smallGoldenStore)
  const store = yield* Datastore.open({ path })
  return { folder: join(path, Snapshot.format(snapshot)), store, files: store.snapshotFiles }
})

const reasonOf = <A>(effect: Effect.Effect<A, StorageError | StoreError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("SnapshotFiles", () => {
  it.live("what is missing is told by what it is part of", () =>
    Effect.gen(function* () {
      const { folder, files } = yield* setUp
      const nowhere = Snapshot.parse("ct/103/2030-01-01T00:00:00Z")
      assert.strictEqual(yield* reasonOf(files.manifest(root, nowhere)), "NoSuchSnapshot")
      assert.strictEqual(yield* reasonOf(files.index(root, nowhere, rootArchive)), "NoSuchSnapshot")
      assert.strictEqual(yield* reasonOf(files.read(root, snapshot, "other.blob")), "NoSuchArchive")
      const other = ArchiveName.fromFile("other.img.fidx")
      assert.strictEqual(yield* reasonOf(files.index(root, snapshot, other)), "NoSuchArchive")
      fs.rmSync(join(folder, "index.json.blob"))
      assert.strictEqual(yield* reasonOf(files.manifest(root, snapshot)), "Unfinished")
      const change = files.updateManifest(root, snapshot, (manifest) => manifest)
      assert.strictEqual(yield* reasonOf(change), "Unfinished")
    }).pipe(Effect.provide(platform))
  )

  it.live("a blob has no index, and an index of the other kind is damaged", () =>
    Effect.gen(function* () {
      const { folder, files } = yield* setUp
      const blob = ArchiveName.fromFile("pct.conf.blob")
      assert.strictEqual(yield* reasonOf(files.index(root, snapshot, blob)), "Refused")
      fs.copyFileSync(join(folder, "root.pxar.didx"), join(folder, "root.img.fidx"))
      const fixed = ArchiveName.fromFile("root.img.fidx")
      assert.strictEqual(yield* reasonOf(files.index(root, snapshot, fixed)), "Damaged")
    }).pipe(Effect.provide(platform))
  )

  it.live("damaged and foreign manifests are Damaged, with every byte cut off as with one flipped", () =>
    Effect.gen(function* () {
      const { folder, files } = yield* setUp
      const path = join(folder, "index.json.blob")
      const good = fs.readFileSync(path)
      for (let length = 0; length < good.length; length += 7) {
        fs.writeFileSync(path, good.subarray(0, length))
        assert.strictEqual(yield* reasonOf(files.manifest(root, snapshot)), "Damaged")
      }
      for (let position = 0; position < good.length; position += 3) {
        const damaged = Buffer.from(good)
        damaged[position] = (damaged[position] ?? 0) ^ 0x10
        fs.writeFileSync(path, damaged)
        assert.strictEqual(yield* reasonOf(files.manifest(root, snapshot)), "Damaged")
      }
      fs.copyFileSync(join(folder, "../../102", snapshot.directory, "index.json.blob"), path)
      const error = yield* Effect.flip(files.manifest(root, snapshot))
      assert.include(error.message, "belongs to ct/102/2024-02-29T12:34:56Z")
    }).pipe(Effect.provide(platform))
  )

  it.live("an update keeps what it does not change, and changes nothing that was signed", () =>
    Effect.gen(function* () {
      const { folder, files } = yield* setUp
      const before = yield* files.manifest(root, snapshot)
      const changed = yield* files.updateManifest(root, snapshot, (manifest) =>
        ManifestNotes.withNotes(manifest, "first line\nmore")
      )
      const after = yield* files.manifest(root, snapshot)
      assert.deepStrictEqual(after.raw, changed.raw)
      const unprotected = { ...before.unprotected, notes: "first line\nmore" }
      assert.deepStrictEqual(after.raw, { ...before.raw, unprotected })
      assert.strictEqual(fs.statSync(join(folder, "index.json.blob")).mode & 0o777, 0o644)
      assert.isTrue(fs.readdirSync(folder).every((name) => !name.includes(".tmp_")))
    }).pipe(Effect.provide(platform))
  )

  it.live("updates of many fibers all arrive", () =>
    Effect.gen(function* () {
      const { files } = yield* setUp
      const add = (number: number) =>
        files.updateManifest(root, snapshot, (manifest) =>
          ManifestNotes.withNotes(manifest, `${ManifestNotes.notes(manifest) ?? ""}${number} `)
        )
      yield* Effect.forEach(
        Array.from({ length: 12 }, (_, number) => number),
        add,
        {
          concurrency: "unbounded"
        }
      )
      const notes = ManifestNotes.notes(yield* files.manifest(root, snapshot)) ?? ""
      const numbers = notes.trim().split(" ").map(Number)
      assert.deepStrictEqual(
        numbers.toSorted((left, right) => left - right),
        Array.from({ length: 12 }, (_, number) => number)
      )
    }).pipe(Effect.provide(platform))
  )

  it.live("an update waits for the manifest's lock", () =>
    Effect.gen(function* () {
      const { files, store } = yield* setUp
      let updated = false
      const update = files.updateManifest(root, snapshot, (manifest) => {
        updated = true
        return manifest
      })
      const updating = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* store.locks.hold(manifestLockName(root, snapshot), "exclusive")
          const fiber = yield* Effect.forkDetach(update)
          yield* Effect.sleep(60)
          assert.isFalse(updated)
          return fiber
        })
      )
      yield* Fiber.join(updating)
      assert.isTrue(updated)
    }).pipe(Effect.provide(platform))
  )

  it.live("a failed update leaves the old manifest, whichever operation fails", () =>
    Effect.gen(function* () {
      for (let call = 0; call < 3; call++) {
        const before = atCall(call, (operation, path) => Effect.fail(ioError(operation, path)))
        yield* Effect.gen(function* () {
          const path = yield* copyOf(smallGoldenStore)
          const file = join(path, Snapshot.format(snapshot), "index.json.blob")
          const old = fs.readFileSync(file)
          const changed = yield* Effect.result(
            Effect.flatMap(Datastore.open({ path }), ({ snapshotFiles }) =>
              snapshotFiles.updateManifest(root, snapshot, (manifest) =>
                ManifestNotes.withNotes(manifest, "x")
              )
            )
          )
          assert.strictEqual(changed._tag, "Failure")
          assert.deepStrictEqual(fs.readFileSync(file), old)
        }).pipe(Effect.provide(hookedPlatform({ before })), Effect.scoped)
      }
    })
  )
})
