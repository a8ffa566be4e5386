/** Garbage collection of a datastore in a bucket: what goes, what stays, what it asks for, and what it tells. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Gc from "../../src/gc/Gc.ts"
import * as GcStatus from "../../src/gc/GcStatus.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import { type Files, FilesError } from "../../src/platform/Files.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import {
  backUp,
  blobOf,
  collect,
  daySeconds,
  digestOfText,
  forget,
  graceOver,
  insert,
  keyOf,
  layout,
  play,
  Scene,
  startSeconds
} from "./bucketScene.ts"

const old = startSeconds - 3 * daySeconds
const nothing = new Uint8Array(0)

const totalOf = (requests: Gc.GcSummary["requests"]): number =>
  Object.values(requests ?? {}).reduce((total, each) => total + each, 0)

const count = (requests: ReadonlyArray<string>, operation: string, place = ""): number =>
  requests.filter((request) => request.startsWith(operation) && request.includes(place)).length

describe("what goes and what stays", () => {
  it("removes exactly what no snapshot needs and is old, in the bucket and in the folder", () =>
    play(
      Effect.gen(function* () {
        const texts = ["one", "shared", "two", "loose", "young"]
        const scene = new Scene(texts)
        const { host } = scene
        const first = yield* backUp(["one", "shared"]).pipe(scene.on(host))
        yield* backUp(["shared", "two"]).pipe(scene.on(host))
        yield* Effect.andThen(insert("loose"), forget(first)).pipe(scene.on(host))
        yield* graceOver
        yield* insert("young").pipe(scene.on(host))
        const { status, sweep } = yield* collect().pipe(scene.on(host))
        assert.deepStrictEqual(scene.stored(...texts), [false, true, true, false, true])
        assert.deepStrictEqual(
          texts.map((text) => host.has(text)),
          [false, true, true, false, true]
        )
        assert.deepStrictEqual(sweep?.errors, [])
        assert.strictEqual(status.removedChunks, 2)
        assert.strictEqual(status.removedBytes, blobOf("one").length + blobOf("loose").length)
        assert.strictEqual(status.diskChunks + status.pendingChunks, 3)
        assert.strictEqual(status.indexFileCount, 1)
        assert.deepStrictEqual((yield* GcStatus.read(layout).pipe(scene.on(host))).removedChunks, 2)
      })
    ))

  it("with markers alone it is the same, and what is used again in time stays", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["kept", "loose", "again"])
        const { host } = scene
        const bypass = scene.on(host, { cache: "bypass" })
        yield* backUp(["kept"]).pipe(bypass)
        yield* Effect.andThen(insert("loose"), insert("again")).pipe(bypass)
        yield* graceOver
        assert.isTrue((yield* insert("again").pipe(bypass)).duplicate)
        const { plan } = yield* collect().pipe(bypass)
        assert.strictEqual(plan.listing.removable.chunks, 1)
        assert.deepStrictEqual(scene.stored("kept", "loose", "again"), [true, false, true])
        assert.deepStrictEqual([host.names("kept"), host.names("loose")], [["x"], []])
      })
    ))

  it("an object that was put lately stays though the folder knows nothing of it, and no marker is made", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["lately", "old"])
        const { host } = scene
        scene.put("lately", startSeconds - 3600)
        scene.put("old", old)
        const { status } = yield* collect().pipe(scene.on(host))
        assert.deepStrictEqual(scene.stored("lately", "old"), [true, false])
        assert.strictEqual(status.pendingChunks, 1)
        assert.deepStrictEqual(host.names("lately"), [])
        yield* collect().pipe(scene.on(host, { rules: { respectsLastModified: false } }))
        assert.deepStrictEqual(scene.stored("lately"), [false])
      })
    ))

  it("condemned chunks stay while they are all there is; foreign keys and files stay", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["good", "lost", "unneeded"])
        const { bucket, host } = scene
        yield* backUp(["good", "lost"]).pipe(scene.on(host))
        for (const [text, suffix] of [
          ["good", ".0.bad"],
          ["lost", ".3.bad"],
          ["unneeded", ".1.bad"]
        ] as const) {
          scene.put(text, old, suffix)
          host.lay(text, suffix, nothing, old)
        }
        host.lay("good", ".9.bad", nothing, old)
        host.lay("good", ".using", nothing, old)
        host.lay("good", ".tmp_abcdef", nothing, old)
        host.lay("good", ".txt", nothing, old)
        bucket.delete(keyOf("lost"), 0)
        host.disk.unlink(`${layout.chunks}/${digestOfText("lost").slice(0, 4)}/${digestOfText("lost")}`, 0)
        bucket.put("store/.chunks/readme", nothing, 0)
        bucket.put(`${keyOf("good")}.10.bad`, nothing, 0)
        bucket.put("store/.chunks//odd", nothing, 0)
        yield* graceOver
        const { plan, status, sweep } = yield* collect().pipe(scene.on(host))
        assert.deepStrictEqual(
          bucket
            .keys()
            .filter((key) => key.startsWith("store/.chunks/"))
            .toSorted(),
          [
            "store/.chunks//odd",
            "store/.chunks/readme",
            keyOf("good"),
            `${keyOf("good")}.10.bad`,
            `${keyOf("lost")}.3.bad`
          ].toSorted()
        )
        assert.deepStrictEqual(host.names("good"), ["x", "x.txt"])
        assert.deepStrictEqual(host.names("lost"), ["x.3.bad"])
        assert.deepStrictEqual(host.names("unneeded"), [])
        assert.deepStrictEqual([status.removedBad, status.stillBad], [3, 1])
        assert.strictEqual(sweep?.removedTemporaries.chunks, 2)
        assert.strictEqual(plan.listing.foreign, 4)
        assert.strictEqual(plan.missing.count, 1)
      })
    ))

  it("objects of a folder that cannot be read stay", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["hidden", "loose"])
        const { host } = scene
        yield* Effect.andThen(insert("hidden"), insert("loose")).pipe(scene.on(host))
        const folder = `${layout.chunks}/${digestOfText("hidden").slice(0, 4)}`
        yield* graceOver
        const decorateFiles = (files: Files["Service"]): Files["Service"] => ({
          ...files,
          statDirectory: (path) =>
            path === folder
              ? Effect.fail(new FilesError({ operation: "list", path, reason: "Io" }))
              : files.statDirectory(path)
        })
        const { errors, status } = yield* collect().pipe(scene.on(host, { decorateFiles }))
        assert.strictEqual(errors.length, 1)
        assert.deepStrictEqual(scene.stored("hidden", "loose"), [true, false])
        assert.strictEqual(status.diskChunks, 1)
      })
    ))
})

describe("what it asks for", () => {
  it("one listing for a thousand objects, one deletion for a thousand, and nothing for one", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["kept"])
        const { host } = scene
        yield* backUp(["kept"]).pipe(scene.on(host))
        scene.putNumbers(4999, old)
        yield* graceOver
        scene.takeRequests()
        const { requests, status } = yield* collect().pipe(scene.on(host))
        const taken = scene.takeRequests()
        assert.strictEqual(status.removedChunks, 4999)
        assert.deepStrictEqual(
          [
            count(taken, "list store/.chunks/"),
            count(taken, "list store/.cnt/"),
            count(taken, "deleteMany"),
            count(taken, "", ".chunks/")
          ],
          // One deletion is that of its mark for other hosts.
          [5, 2, 6, 5]
        )
        // Its own mark, the generation and the clock are among them.
        assert.deepStrictEqual(
          { ...requests },
          { put: 3, putIfAbsent: 0, get: 2, getRange: 0, head: 1, list: 8, deleteMany: 6, copy: 0 }
        )
        assert.strictEqual(totalOf(requests), taken.length)
      })
    ))

  it("a hundred deletions at once where the server takes no more", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene([])
        scene.putNumbers(1001, old)
        const { requests } = yield* collect().pipe(scene.on(scene.host, { deleteBatchSize: 100 }))
        // And one for its mark; the marks of others, and the markers of a folder without a generation, are listed.
        assert.strictEqual(requests?.deleteMany, 11 + 1)
        assert.strictEqual(requests?.list, 2 + 2 + 1 + 2)
        assert.strictEqual(totalOf(requests), scene.takeRequests().length)
      })
    ))

  it("markers of thousands of objects that are gone take one listing more", () =>
    play(
      Effect.gen(function* () {
        const texts = Array.from({ length: 40 }, (_, number) => `text ${number}`)
        const scene = new Scene(texts)
        const { host } = scene
        for (const text of texts) host.lay(text, "", nothing, startSeconds)
        scene.putNumbers(1000, startSeconds)
        const { requests, sweep } = yield* collect().pipe(scene.on(host))
        assert.strictEqual(sweep?.untrue, 40)
        assert.isFalse(texts.some((text) => host.has(text)))
        // Twice the chunks, twice the content, once the marks of others.
        assert.strictEqual(requests?.list, 4 + 1)
        assert.strictEqual(requests?.head, 1)
      })
    ))

  it("a dry run writes nothing anywhere, and says what a real one does then", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["kept", "loose", "gone"])
        const { bucket, host } = scene
        yield* Effect.andThen(backUp(["kept", "gone"]), insert("loose")).pipe(scene.on(host))
        yield* graceOver
        bucket.delete(keyOf("gone"), 0)
        const before = bucket.keys().map((key) => [key, bucket.find(key)?.etag])
        scene.takeRequests()
        const foreseen = yield* Gc.dryRun().pipe(scene.on(host))
        assert.deepStrictEqual(
          bucket.keys().map((key) => [key, bucket.find(key)?.etag]),
          before
        )
        assert.isFalse(scene.takeRequests().some((request) => /^(put|delete|copy)/.test(request)))
        assert.deepStrictEqual(host.names("loose"), ["x"])
        const done = yield* collect().pipe(scene.on(host))
        const { upid: _1, ...expected } = foreseen.status
        const { upid: _2, ...actual } = done.status
        assert.deepStrictEqual(actual, expected)
        assert.strictEqual(actual.removedChunks, 1)
        assert.deepStrictEqual(done.sweep?.mended, foreseen.plan.bucket?.mendableCounts)
      })
    ))

  it("marks as access times are refused", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene([])
        const error = yield* Effect.flip(collect({ mark: "atime" })).pipe(scene.on(scene.host))
        assert.strictEqual(error.reason, "Refused")
      })
    ))
})

describe("what the folder says and is not true", () => {
  it("a missing chunk is put into the bucket again from the cache, if its content is good", () =>
    play(
      Effect.gen(function* () {
        const texts = ["good", "torn", "marker", "young", "unneeded"]
        const scene = new Scene(texts)
        const { bucket, host } = scene
        const snapshot = yield* backUp(["good", "torn"]).pipe(scene.on(host))
        const other = yield* backUp(["marker"], BackupGroup.make("host", "b")).pipe(
          scene.on(host, { cache: "bypass" })
        )
        yield* insert("unneeded").pipe(scene.on(host))
        yield* graceOver
        yield* insert("young").pipe(scene.on(host))
        for (const text of texts) bucket.delete(keyOf(text), 0)
        host.disk.put(
          `${layout.chunks}/${digestOfText("torn").slice(0, 4)}/${digestOfText("torn")}`,
          Buffer.from("x")
        )
        const { plan, status, sweep } = yield* collect().pipe(scene.on(host))
        assert.deepStrictEqual(scene.stored(...texts), [true, false, false, true, false])
        assert.deepStrictEqual(bucket.find(keyOf("good"))?.body, blobOf("good"))
        assert.deepStrictEqual(
          texts.map((text) => host.has(text)),
          [true, false, false, true, false]
        )
        assert.deepStrictEqual([sweep?.mended.chunks, sweep?.untrue], [2, 3])
        assert.strictEqual(status.diskChunks, 2)
        assert.deepStrictEqual(
          plan.missing.chunks.map(({ digest }) => digest),
          [digestOfText("torn"), digestOfText("marker")].toSorted()
        )
        for (const condemned of [snapshot, other]) {
          const manifest = yield* Effect.flatMap(Datastore.Datastore, ({ snapshotFiles }) =>
            snapshotFiles.manifest(Namespace.root, condemned)
          ).pipe(scene.on(host))
          assert.strictEqual(ManifestNotes.verifyState(manifest)?.state, "failed")
        }
      })
    ))

  it("an empty object is none", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["empty"])
        const { bucket, host } = scene
        yield* backUp(["empty"]).pipe(scene.on(host))
        bucket.put(keyOf("empty"), nothing, startSeconds * 1000)
        const { plan } = yield* collect().pipe(scene.on(host))
        assert.strictEqual(plan.missing.count, 0)
        assert.deepStrictEqual(bucket.find(keyOf("empty"))?.body, blobOf("empty"))
      })
    ))

  it("an answer that does not come condemns nothing and drops nothing", () =>
    play(
      Effect.gen(function* () {
        const scene = new Scene(["marker"])
        const { bucket, host } = scene
        yield* backUp(["marker"]).pipe(scene.on(host, { cache: "bypass" }))
        bucket.delete(keyOf("marker"), 0)
        const decide = (fault: string, key: string) => fault === "lost request" && key === keyOf("marker")
        const { errors, plan } = yield* collect().pipe(scene.on(host, { faults: ["lost request"], decide }))
        assert.strictEqual(plan.missing.count, 0)
        assert.strictEqual(errors.length, 1)
        assert.isTrue(host.has("marker"))
      })
    ))
})
