/** A server's datastore opened for reading, end to end against our own server. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as Remote from "../../src/remote/Remote.ts"
import * as RemoteAddress from "../../src/remote/RemoteAddress.ts"
import type { RemoteError } from "../../src/remote/RemoteError.ts"
import * as RemoteReading from "../../src/remote/RemoteReading.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import * as scene from "../server/scene.ts"
import { platform } from "../store/stores.ts"
import { connect } from "./backups.ts"
import { expectedOf, files, image, readAll, reading, type Reading, snapshot, time } from "./reading.ts"

const withReading = (
  title: string,
  test: (all: Reading) => Effect.Effect<void, unknown, Scope.Scope>
): void => it.live(title, () => Effect.flatMap(reading, test))

const group = BackupGroup.make("host", "a")
const { root } = Namespace

/** Keeps waiting times of the server short. */
const addressOf = ({ port }: Pick<scene.Scene, "port">, id = scene.adminId, store = "store1") =>
  RemoteAddress.parse(`${id}@127.0.0.1:${port}:${store}`)

const failureOf = (options: Remote.RemoteOptions): Effect.Effect<RemoteError, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const remote = yield* Remote.make(options)
    return yield* Effect.flip(
      Effect.provide(RemoteReading.open(remote), platform)
    ) as Effect.Effect<RemoteError>
  })

/** What others are still in the way of. */
const soon = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.retry(effect, { schedule: Schedule.spaced(50), times: 100 })

const secretOf = ({ authorization = "" }: Readonly<Record<string, string>>) =>
  Redacted.make(authorization.split(":").at(-1) ?? "")

describe("a datastore on a server", () => {
  withReading("lists what the server has", ({ made, store }) =>
    Effect.gen(function* () {
      const team = Namespace.parse("team/dev")
      yield* made.datastore.hierarchy.createNamespace(team)
      yield* Effect.sleep(60)
      assert.deepStrictEqual(yield* store.hierarchy.namespaces(root), [root, Namespace.parse("team"), team])
      assert.deepStrictEqual(yield* store.hierarchy.groups(root), [group])
      assert.deepStrictEqual(yield* store.hierarchy.groups(team), [])
      assert.strictEqual(yield* store.hierarchy.owner(root, group), scene.adminId)
      const own = yield* made.datastore.hierarchy.snapshots(root, group)
      assert.deepStrictEqual(yield* store.hierarchy.snapshots(root, group), own)
      assert.deepStrictEqual(
        yield* store.snapshotFiles.manifest(root, snapshot),
        yield* made.datastore.snapshotFiles.manifest(root, snapshot)
      )
      const missing = yield* Effect.flip(store.hierarchy.entry(root, Snapshot.make(group, 1)))
      assert.strictEqual(missing.reason, "NoSuchSnapshot")
      const other = yield* Effect.flip(store.hierarchy.groups(Namespace.parse("nowhere")))
      assert.strictEqual(other.reason, "NoSuchNamespace")
    })
  )

  withReading("sees snapshots that come later, and those that go", ({ made, store }) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => scene.backUp(made, "a", time + 60))
      yield* Effect.sleep(60)
      assert.lengthOf(yield* store.hierarchy.snapshots(root, group), 2)
      yield* made.datastore.forget(root, snapshot)
      yield* Effect.sleep(60)
      assert.lengthOf(yield* store.hierarchy.snapshots(root, group), 1)
    })
  )

  withReading(
    "reads every chunk of both kinds of archives, and files as they are stored",
    ({ made, store }) =>
      Effect.gen(function* () {
        for (const archive of [image, files]) {
          assert.deepStrictEqual(yield* readAll(store, archive), expectedOf(archive))
        }
        const blob = yield* store.snapshotFiles.read(root, snapshot, "vm.conf.blob")
        assert.deepStrictEqual(Buffer.from(blob), Buffer.from(scene.sampleBlob))
        const missing = yield* Effect.flip(store.snapshotFiles.read(root, snapshot, "other.conf.blob"))
        assert.strictEqual(missing.reason, "NoSuchArchive")
        assert.strictEqual(made.serving.port, made.port)
      })
  )

  withReading("goes on when the connection breaks, in the middle and in between", ({ line, store }) =>
    Effect.gen(function* () {
      yield* readAll(store, files)
      line.cut()
      assert.deepStrictEqual(yield* readAll(store, image), expectedOf(image))
      line.cut()
      const index = yield* store.snapshotFiles.index(root, snapshot, files)
      line.cut()
      const chunk = { digest: index.digest(0), sizeBytes: undefined, crypt: undefined }
      assert.deepStrictEqual(yield* store.chunks.read(chunk), expectedOf(files)[0])
    })
  )

  withReading("one connection serves a snapshot, however many read it", ({ line, store }) =>
    Effect.gen(function* () {
      yield* store.snapshotFiles.manifest(root, snapshot)
      const before = line.count()
      yield* Effect.all([readAll(store, image), readAll(store, files), readAll(store, image)], {
        concurrency: 3
      })
      assert.isAtMost(line.count() - before, 1)
    })
  )

  withReading("an idle session lets the snapshot go", ({ made, remote }) =>
    Effect.gen(function* () {
      const store = yield* Effect.provide(RemoteReading.open(remote, { idleSeconds: 0 }), platform)
      yield* readAll(store)
      assert.strictEqual((yield* Effect.flip(made.datastore.forget(root, snapshot))).reason, "Busy")
      yield* soon(made.datastore.forget(root, snapshot))
    })
  )

  withReading("a chunk that several snapshots name is had of one that is left", ({ made, remote }) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => scene.backUp(made, "b", time))
      const store = yield* Effect.provide(RemoteReading.open(remote, { idleSeconds: 0 }), platform)
      const other = Snapshot.parse("host/b/2025-06-15T15:06:40Z")
      const index = yield* store.snapshotFiles.index(root, snapshot, files)
      yield* store.snapshotFiles.index(root, other, files)
      // Read last, and gone: its session ends, and none can be opened.
      yield* soon(made.datastore.forget(root, other))
      const chunk = { digest: index.digest(0), sizeBytes: undefined, crypt: undefined }
      assert.deepStrictEqual(yield* store.chunks.read(chunk), expectedOf(files)[0])
    })
  )

  withReading(
    "verification reads everything, finds what is wrong, and says what is missing",
    ({ made, store }) =>
      Effect.gen(function* () {
        const verified = Effect.gen(function* () {
          return yield* Verify.run(yield* VerifyPlan.make({ namespace: root }))
        }).pipe(Effect.provideService(Datastore.Datastore, store))
        const good = yield* verified
        assert.deepStrictEqual(
          good.snapshots.map(({ state }) => state),
          ["ok"]
        )
        assert.strictEqual(good.statistics.chunks, 6)
        const chunks = join(made.base, ".chunks")
        const digest = scene.sampleArchives()[0]?.chunks[0]?.digest ?? ""
        const names = readdirSync(chunks, { recursive: true, encoding: "utf8" })
        const name = names.find((found) => found.endsWith(digest)) ?? ""
        rmSync(join(chunks, name))
        const bad = yield* verified
        assert.deepStrictEqual(
          bad.snapshots.map(({ state }) => state),
          ["failed"]
        )
        assert.strictEqual(bad.statistics.missing, 1)
      })
  )

  withReading("forgets, protects and annotates by calls of the server", ({ made, store }) =>
    Effect.gen(function* () {
      const { hierarchy, snapshotFiles } = made.datastore
      yield* store.hierarchy.setProtected(root, snapshot, true)
      assert.isTrue((yield* hierarchy.entry(root, snapshot)).protected)
      assert.strictEqual((yield* Effect.flip(store.forget(root, snapshot))).reason, "Protected")
      yield* store.hierarchy.setProtected(root, snapshot, false)
      const withNotes = (
        manifest: Parameters<Parameters<typeof store.snapshotFiles.updateManifest>[2]>[0]
      ) => ({
        ...manifest,
        raw: { ...manifest.raw, unprotected: { ...manifest.unprotected, notes: "hello" } },
        unprotected: { ...manifest.unprotected, notes: "hello" }
      })
      yield* store.snapshotFiles.updateManifest(root, snapshot, withNotes)
      const { unprotected } = yield* snapshotFiles.manifest(root, snapshot)
      assert.strictEqual(unprotected["notes"], "hello")
      const other = yield* Effect.flip(
        store.snapshotFiles.updateManifest(root, snapshot, (manifest) => ({
          ...manifest,
          raw: { ...manifest.raw, files: [] }
        }))
      )
      assert.strictEqual(other.reason, "Refused")
      yield* store.forget(root, snapshot)
      assert.deepStrictEqual(scene.namesIn(made.base, "host/a/2025-06-15T15:06:40Z"), undefined)
    })
  )

  withReading("refuses to write", ({ store }) =>
    Effect.gen(function* () {
      const digest = (yield* store.snapshotFiles.index(root, snapshot, image)).digest(0)
      const failures = [
        yield* Effect.flip(store.hierarchy.createNamespace(Namespace.parse("new"))),
        yield* Effect.flip(store.snapshotFiles.write(root, snapshot, "x.blob", new Uint8Array(1))),
        yield* Effect.flip(store.chunks.touch(digest)),
        yield* Effect.flip(store.chunks.insertEncoded(digest, new Uint8Array(20))),
        yield* Effect.flip(store.moveGroup(root, group, Namespace.parse("x"))),
        yield* Effect.flip(store.presence.findAbsent(new Uint8Array(32)))
      ]
      for (const { reason } of failures) assert.oneOf(reason, ["ReadOnlyFileSystem", "Refused"])
    })
  )
})

describe("a server that does not let anybody in", () => {
  const withScene = (
    title: string,
    test: (made: scene.Scene) => Effect.Effect<void, unknown, Scope.Scope>
  ): void => it.live(title, () => Effect.flatMap(scene.make, test))

  withScene("tells a wrong secret, once, without showing it", (made) =>
    Effect.gen(function* () {
      const { fingerprint } = made.serving
      const secret = Redacted.make("wrong-secret-%41")
      const error = yield* failureOf({ address: addressOf(made), secret, fingerprint })
      assert.strictEqual(error.reason, "Login")
      assert.notInclude(`${error.message} ${error.hint} ${JSON.stringify(error)}`, "wrong-secret")
    })
  )

  withScene("tells the fingerprint it has when another one was expected, or none", (made) =>
    Effect.gen(function* () {
      const secret = secretOf(made.admin)
      const options = { address: addressOf(made), secret }
      for (const pin of [{}, { fingerprint: "ab:".repeat(31) + "ab" }]) {
        const error = yield* failureOf({ ...options, ...pin })
        assert.strictEqual(error.reason, "Certificate")
        assert.include(error.message, made.serving.fingerprint)
      }
      const remote = yield* Remote.make({
        ...options,
        fingerprint: made.serving.fingerprint.replaceAll(":", "").toUpperCase()
      })
      yield* remote.call("GET", "/version")
    })
  )

  withScene("tells an unknown store, and one that this token may not see", (made) =>
    Effect.gen(function* () {
      const { fingerprint } = made.serving
      const secret = secretOf(made.admin)
      const unknown = yield* failureOf({
        address: addressOf(made, scene.adminId, "other"),
        secret,
        fingerprint
      })
      assert.strictEqual(unknown.reason, "Missing")
      assert.include(unknown.message, "no such datastore 'other'")
      const elsewhere = yield* made.tokenWith("bob@pbs!t", "DatastoreReader", "/datastore/elsewhere")
      const address = addressOf(made, "bob@pbs!t")
      const remote = yield* Remote.make({ address, secret: secretOf(elsewhere), fingerprint })
      const refused = yield* Effect.flip(remote.call("GET", "/admin/datastore/store1/groups"))
      assert.strictEqual(refused.reason, "Refused")
    })
  )

  withScene("lets who may only back up see and read what is his", (made) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => scene.backUp(made, "a", time))
      const bob = yield* made.tokenWith("bob@pbs!t", "DatastoreBackup")
      yield* Effect.promise(() => scene.backUp({ port: made.port, admin: bob }, "b", time))
      const remote = yield* connect({ serving: made.serving, admin: bob }, { id: "bob@pbs!t" })
      const store = yield* Effect.provide(RemoteReading.open(remote), platform)
      assert.deepStrictEqual(yield* store.hierarchy.groups(root), [BackupGroup.make("host", "b")])
      const own = Snapshot.parse("host/b/2025-06-15T15:06:40Z")
      assert.lengthOf((yield* store.snapshotFiles.manifest(root, own)).files, 3)
      assert.strictEqual(
        (yield* Effect.flip(store.snapshotFiles.manifest(root, snapshot))).reason,
        "NoSuchSnapshot"
      )
    })
  )

  it.live("tells that nobody is there", () =>
    Effect.gen(function* () {
      const address = RemoteAddress.parse("root@pam@127.0.0.1:1:store1")
      const error = yield* failureOf({ address, secret: Redacted.make("x") })
      assert.strictEqual(error.reason, "Unreachable")
      assert.include(error.message, "nobody listens there")
    })
  )
})
