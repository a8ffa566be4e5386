/**
 * Two cache folders on one bucket, each without knowledge of what the other has done since: neither takes anything from
 * the other, nor finishes what the other has taken away.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import { Datastore, type DatastoreOptions, open as openDatastore } from "../../src/datastore/Datastore.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as ForgetGroup from "../../src/prune/ForgetGroup.ts"
import { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import * as StoreBucket from "../../src/store/bucket/StoreBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import * as MemoryPlatform from "../../src/testing/MemoryPlatform.ts"
import { backUp, group, newWorld, time } from "../store/bucket/mirroredWork.ts"
import {
  assertMirrored,
  assertWhole,
  base,
  bucketContent,
  folderContent,
  inWorld,
  summary,
  type World
} from "../store/bucket/world.ts"

const root = Namespace.root
const snapshot = Snapshot.make(group, time)

/** Two folders, and the bucket of both. */
const twoHosts = (): readonly [World, World] => {
  const first = newWorld()
  return [first, { disk: newWorld().disk, bucket: first.bucket }]
}

const inStore = <A, E, R>(use: (store: Datastore["Service"]) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Datastore, use)

const reasonOf = <A, E extends object, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => ("reason" in error ? error.reason : error))

const begin = BackupSession.open({
  namespace: root,
  group,
  time,
  owner: AuthId.parse("root@pam")
}).pipe(Effect.tap((session) => session.uploadBlob(ArchiveName.fromFile("a.conf.blob"), Buffer.from("a"))))

describe("two cache folders on one bucket", () => {
  it.effect("a snapshot that the other has made is not made again", () =>
    Effect.gen(function* () {
      const [first, second] = twoHosts()
      yield* backUp(time).pipe(inWorld(first))
      const before = summary(bucketContent(first))
      assert.strictEqual(yield* reasonOf(backUp(time)).pipe(inWorld(second)), "SnapshotExists")
      assert.deepStrictEqual(summary(bucketContent(first)), before)
    })
  )

  it.effect("the first one's owner is the owner for both", () =>
    Effect.gen(function* () {
      const [first, second] = twoHosts()
      yield* backUp(time).pipe(inWorld(first))
      const claim = inStore(({ hierarchy }) =>
        hierarchy.ensureGroup(root, group, AuthId.parse("somebody@pbs"))
      )
      assert.strictEqual(yield* claim.pipe(inWorld(second)), "root@pam")
      assert.strictEqual(folderContent(second).get("vm/10/owner"), "root@pam\n")
    })
  )

  it.effect("a server that has lost its conditional writes is read from, and not written to", () =>
    Effect.gen(function* () {
      const [world] = twoHosts()
      yield* backUp(time).pipe(inWorld(world))
      const before = [...world.bucket.keys()]
      for (const conditionalPut of ["ignored", "unsupported"] as const) {
        const server = { conditionalPut }
        assert.strictEqual(yield* reasonOf(backUp(time + 1)).pipe(inWorld(world, { server })), "Unsuitable")
        assert.deepStrictEqual([...world.bucket.keys()], before)
        const read = inStore(({ snapshotFiles }) => snapshotFiles.manifest(root, snapshot))
        assert.isNotEmpty((yield* read.pipe(inWorld(world, { server }))).files)
      }
      yield* backUp(time + 1).pipe(inWorld(world))
    })
  )

  it.effect("a group goes from the folder that knows of no snapshot, but not from the bucket", () =>
    Effect.gen(function* () {
      const [first, second] = twoHosts()
      yield* backUp(time).pipe(inWorld(first))
      yield* backUp(time + 1).pipe(inWorld(second))
      const { isGroupRemoved } = yield* ForgetGroup.forgetGroup(root, group).pipe(inWorld(second))
      assert.isFalse(isGroupRemoved)
      assertMirrored(first, "after the other has removed its own")
    })
  )

  it.effect("a manifest is changed as the bucket has it, and not brought back when it has gone", () =>
    Effect.gen(function* () {
      const [first] = twoHosts()
      yield* backUp(time).pipe(inWorld(first))
      const second: World = { disk: first.disk.fork(), bucket: first.bucket }
      const note = (notes: string) =>
        inStore(({ snapshotFiles }) =>
          snapshotFiles.updateManifest(root, snapshot, (manifest) =>
            ManifestNotes.withNotes(manifest, `${ManifestNotes.notes(manifest) ?? ""}${notes}`)
          )
        )
      yield* note("one ").pipe(inWorld(first))
      const both = yield* note("two").pipe(inWorld(second))
      assert.strictEqual(ManifestNotes.notes(both), "one two")
      assertMirrored(second, "after both have changed it")
      yield* inStore(({ forget }) => forget(root, snapshot)).pipe(inWorld(first))
      assert.strictEqual(yield* reasonOf(note("three")).pipe(inWorld(second)), "NoSuchSnapshot")
      assert.deepStrictEqual([...bucketContent(first)], [])
    })
  )

  it.effect("what the other has protected stays", () =>
    Effect.gen(function* () {
      const [first] = twoHosts()
      yield* backUp(time).pipe(inWorld(first))
      const second: World = { disk: first.disk.fork(), bucket: first.bucket }
      yield* inStore(({ hierarchy }) => hierarchy.setProtected(root, snapshot, true)).pipe(inWorld(first))
      const forget = inStore(({ forget: remove }) => remove(root, snapshot))
      assert.strictEqual(yield* reasonOf(forget).pipe(inWorld(second)), "Protected")
      assertMirrored(first, "after the other was refused")
      assert.isTrue(folderContent(second).has(`${Snapshot.format(snapshot)}/index.json.blob`))
    })
  )

  it.effect("a backup whose files the other takes for a leftover and removes does not finish", () =>
    Effect.gen(function* () {
      const [first] = twoHosts()
      const refusal = Effect.scoped(
        Effect.gen(function* () {
          const session = yield* begin
          for (const key of first.bucket.keys()) if (key.includes(".conf.blob")) first.bucket.delete(key, 0)
          return yield* Effect.flip(session.finish)
        })
      )
      const error = yield* refusal.pipe(inWorld(first))
      assert.include(error.message, "named and never stored")
      assertMirrored(first, "after the session has ended")
      assert.deepStrictEqual([...bucketContent(first)], [])
    })
  )
})

describe("one cache folder", () => {
  it.effect("protects what the bucket goes on protecting", () =>
    Effect.gen(function* () {
      const [world] = twoHosts()
      const set = (isProtected: boolean) =>
        inStore(({ hierarchy }) => hierarchy.setProtected(root, snapshot, isProtected))
      yield* Effect.andThen(backUp(time), set(true)).pipe(inWorld(world))
      const refused = new ObjectStoreError({ operation: "deleteMany", key: "", reason: "AccessDenied" })
      const before = (_: number, request: string) =>
        request.startsWith("delete ") ? Effect.fail(refused) : Effect.void
      assert.strictEqual(yield* reasonOf(set(false)).pipe(inWorld(world, { before })), "AccessDenied")
      assert.isTrue(folderContent(world).has(`${Snapshot.format(snapshot)}/.protected`))
      assertMirrored(world, "after the failure")
      const other = newWorld()
      yield* backUp(time).pipe(inWorld(other))
      yield* reasonOf(set(false)).pipe(inWorld(other, { before }))
      assertMirrored(other, "after what was not protected stays so")
    })
  )

  it.effect("is opened with its own bucket, and with nothing else", () =>
    Effect.gen(function* () {
      const { bucket, disk } = newWorld()
      const open = (options: Partial<DatastoreOptions>) =>
        reasonOf(Effect.scoped(openDatastore({ path: base, ...options })))
      const objects = MemoryObjectStore.make(bucket)
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* open({}), "Refused")
        const stranger = StoreBucket.make({ objects, name: "store", title: "s3:elsewhere/bucket/store" })
        assert.strictEqual(yield* open({ bucket: stranger }), "Refused")
        disk.unlink(`${base}/.granary-bucket`, 0)
        assert.strictEqual(yield* open({ bucket: StoreBucket.make({ objects, name: "store" }) }), "Refused")
      }).pipe(Effect.provide(MemoryPlatform.layer({ disk })))
    })
  )
})

describe("a backup into a bucket", () => {
  const finish = Effect.scoped(Effect.flatMap(begin, (session) => session.finish))
  const isManifest = (request: string) => request.startsWith("put ") && request.endsWith("/index.json.blob")

  it.effect("whose manifest may still arrive keeps what it names", () =>
    Effect.gen(function* () {
      const [world] = twoHosts()
      let late: string | undefined
      const before = (_: number, request: string) => {
        if (!isManifest(request)) return Effect.void
        late = request.slice("put ".length)
        return Effect.fail(new ObjectStoreError({ operation: "put", key: late, reason: "Disconnected" }))
      }
      assert.strictEqual(yield* reasonOf(finish).pipe(inWorld(world, { before })), "Disconnected")
      assert.isTrue(bucketContent(world).has(`${Snapshot.format(snapshot)}/a.conf.blob`))
      assertMirrored(world, "after the manifest was sent and nobody knows")
      const other = newWorld()
      const manifest = yield* finish.pipe(
        Effect.andThen(Effect.sync(() => other.bucket.find(late ?? "")?.body)),
        inWorld(other)
      )
      world.bucket.put(late ?? "", manifest ?? new Uint8Array(0), 0)
      assertWhole(world, "after the manifest has arrived late")
      yield* inStore(({ forget }) => forget(root, snapshot)).pipe(inWorld(world))
      assert.deepStrictEqual([...bucketContent(world)], [])
      assertMirrored(world, "after the leftover was forgotten")
    })
  )

  it.effect("whose manifest was refused leaves nothing behind", () =>
    Effect.gen(function* () {
      const [world] = twoHosts()
      const before = (_: number, request: string) =>
        isManifest(request)
          ? Effect.fail(new ObjectStoreError({ operation: "put", key: request, reason: "AccessDenied" }))
          : Effect.void
      assert.strictEqual(yield* reasonOf(finish).pipe(inWorld(world, { before })), "AccessDenied")
      assert.deepStrictEqual([...bucketContent(world)], [])
      assertMirrored(world, "after the session has ended")
    })
  )

  it.effect("that cannot clean up keeps its folder, and what is in it can be removed later", () =>
    Effect.gen(function* () {
      const [world] = twoHosts()
      let isDown = false
      const before = (_: number, request: string) => {
        if (isManifest(request)) isDown = true
        return isDown
          ? Effect.fail(new ObjectStoreError({ operation: "put", key: request, reason: "Unreachable" }))
          : Effect.void
      }
      assert.strictEqual(yield* reasonOf(finish).pipe(inWorld(world, { before })), "Unreachable")
      assertMirrored(world, "after the server has gone")
      assert.strictEqual(folderContent(world).size, 2)
      yield* inStore(({ forget }) => forget(root, snapshot)).pipe(inWorld(world))
      assert.deepStrictEqual([...bucketContent(world)], [])
      assertMirrored(world, "after the leftover was forgotten")
    })
  )
})
