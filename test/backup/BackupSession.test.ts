/** BackupSession: one snapshot in the making, on one datastore with a group for each test. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { platform } from "../store/stores.ts"
import { inStore, keyOf, owner } from "./stores.ts"

const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "granary-sessions-"))
const base = join(folder, "store")
beforeAll(() => Effect.runPromise(Datastore.create(base).pipe(Effect.provide(platform))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const blob = ArchiveName.fromClient("a.conf")

const optionsFor = (id: string, options: Partial<BackupSession.SessionOptions> = {}) => ({
  namespace: Namespace.root,
  group: BackupGroup.make("host", id),
  owner,
  ...options
})

/** Makes a snapshot of one blob. */
const store = (id: string, options: Partial<BackupSession.SessionOptions> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* BackupSession.open(optionsFor(id, options))
      yield* session.uploadBlob(blob, Buffer.from("a = 1"))
      return { session, manifest: yield* session.finish }
    })
  )

/** Opens a session and leaves it again. */
const tryOpen = (id: string, options: Partial<BackupSession.SessionOptions> = {}) =>
  Effect.scoped(BackupSession.open(optionsFor(id, options)))

const reasonOf = (attempt: ReturnType<typeof tryOpen>) =>
  Effect.map(Effect.flip(attempt), (error) => ("reason" in error ? error.reason : error._tag))

const namesIn = (id: string): ReadonlyArray<string> => readdirSync(join(base, "host", id)).toSorted()

describe("BackupSession", () => {
  it.live("leaves a finished snapshot with its manifest, and nothing when it is not finished", () =>
    inStore(base)(
      Effect.gen(function* () {
        const { manifest, session } = yield* store("lifecycle", { time: 1_700_000_000 })
        assert.deepStrictEqual(
          manifest.files.map(({ filename }) => filename),
          ["a.conf.blob"]
        )
        assert.deepStrictEqual(namesIn("lifecycle"), ["2023-11-14T22:13:20Z", "owner"])
        const { snapshotFiles } = session.datastore
        const read = yield* snapshotFiles.manifest(Namespace.root, session.snapshot)
        assert.deepStrictEqual(read.files, manifest.files)

        yield* Effect.scoped(
          Effect.gen(function* () {
            const second = yield* BackupSession.open(optionsFor("lifecycle", { time: 1_700_000_100 }))
            yield* second.uploadBlob(blob, Buffer.from("a = 2"))
            assert.strictEqual(namesIn("lifecycle").length, 3)
            assert.strictEqual(second.previous?.snapshot.time, 1_700_000_000)
          })
        )
        assert.deepStrictEqual(namesIn("lifecycle"), ["2023-11-14T22:13:20Z", "owner"])
        yield* tryOpen("never")
        assert.isFalse(existsSync(join(base, "host/never")), "nor a group that has nothing in it")
      })
    )
  )

  it.live("is the only one in its group, and belongs to the group's owner", () =>
    inStore(base)(
      Effect.gen(function* () {
        yield* store("owned", { time: 1_700_000_000 })
        yield* BackupSession.open(optionsFor("owned"))
        assert.strictEqual(yield* reasonOf(tryOpen("owned")), "Busy")
        yield* tryOpen("other")
        yield* store("foreign", { owner: AuthId.parse("alice@pbs") })
        assert.strictEqual(yield* reasonOf(tryOpen("foreign")), "NotOwner")
      })
    )
  )

  it.live("is later than every snapshot of its group", () =>
    inStore(base)(
      Effect.gen(function* () {
        const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        yield* store("times", { time: now + 1 })
        for (const time of [now - 1000, now + 1]) {
          assert.strictEqual(yield* reasonOf(tryOpen("times", { time })), "SnapshotExists")
        }
        const { session } = yield* store("times")
        assert.strictEqual(session.snapshot.time, now + 2, "two backups in one moment")
        yield* store("times", { time: now + 1000 })
        assert.strictEqual(yield* reasonOf(tryOpen("times")), "SnapshotExists")
      })
    )
  )

  it.live("names what interrupted backups left, and builds on none of it", () =>
    inStore(base)(
      Effect.gen(function* () {
        yield* store("leftovers", { time: 1_700_000_000 })
        mkdirSync(join(base, "host/leftovers/2023-11-14T23:00:00Z"))
        const { previous, leftovers } = yield* tryOpen("leftovers")
        assert.strictEqual(previous?.snapshot.time, 1_700_000_000)
        assert.deepStrictEqual(leftovers.map(Snapshot.format), ["host/leftovers/2023-11-14T23:00:00Z"])
      })
    )
  )

  it.live("does not build on a snapshot whose verification failed", () =>
    inStore(base)(
      Effect.gen(function* () {
        const { session } = yield* store("verified", { time: 1_700_000_000 })
        for (const state of ["ok", "failed"] as const) {
          const change = (manifest: Manifest.Manifest) =>
            ManifestNotes.withVerifyState(manifest, { state, upid: "UPID:x" })
          yield* session.datastore.snapshotFiles.updateManifest(Namespace.root, session.snapshot, change)
          const { previous } = yield* tryOpen("verified")
          assert.strictEqual(previous === undefined, state === "failed")
        }
      })
    )
  )

  it.live("takes every name once, and no snapshot without archives", () =>
    inStore(base)(
      Effect.gen(function* () {
        const session = yield* BackupSession.open(optionsFor("refusals"))
        assert.deepInclude(yield* Effect.flip(session.finish), { reason: "Refused" })
        yield* session.uploadBlob(blob, new Uint8Array())
        const twice = yield* Effect.flip(session.uploadBlob(blob, new Uint8Array(1)))
        assert.deepInclude(twice, { reason: "Refused", subject: "a.conf.blob" })
      })
    )
  )

  it.live("signs with a key, and encrypts blobs only when told so", () =>
    inStore(base)(
      Effect.gen(function* () {
        const crypt = keyOf(1)
        for (const mode of ["sign-only", "encrypt"] as const) {
          const { manifest, session } = yield* store(mode, { key: { crypt, mode } })
          assert.strictEqual(Manifest.verifySignature(manifest, crypt), "valid")
          assert.strictEqual(manifest.files[0]?.cryptMode, mode)
          const path = join(base, Snapshot.toPath(Namespace.root, session.snapshot), "a.conf.blob")
          assert.isTrue(existsSync(path))
          assert.strictEqual(session.crypt === undefined, mode === "sign-only")
        }
      })
    )
  )
})
