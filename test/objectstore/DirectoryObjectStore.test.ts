/**
 * A folder as a bucket: the conformance suite with and without flushing, then what concerns the folder itself: other
 * processes, killed ones, leftovers, and what lies in it that is not ours.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { mkdirSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import * as DirectoryObjectStore from "../../src/objectstore/DirectoryObjectStore.ts"
import { componentOf, objectPath, prefixPath } from "../../src/objectstore/directoryPaths.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { deleteOne, pages } from "../../src/objectstore/ObjectStore.ts"
import { Files } from "../../src/platform/Files.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { readText, reasonOf } from "../conformance/objectStoreSubject.ts"
import { objectStoreSuite } from "../conformance/objectStoreSuite.ts"
import { listing, scratchFolder } from "../platform/scratch.ts"
import { startBucketProcess } from "./BucketProcess.ts"
import { churnBody } from "./bucketProgram.ts"

const open = (folder: string, options?: DirectoryObjectStore.DirectoryOptions) =>
  Effect.provide(DirectoryObjectStore.make(folder, options), NodeFiles.layer)

const newBucket = Effect.gen(function* () {
  const folder = `${yield* scratchFolder}/bucket`
  yield* DirectoryObjectStore.create(folder)
  return folder
}).pipe(Effect.orDie, Effect.provide(NodeFiles.layer))

const sceneWith = (options?: DirectoryObjectStore.DirectoryOptions) =>
  Effect.gen(function* () {
    const folder = yield* newBucket
    const prefix = ObjectKey.parsePrefix("store/")
    return {
      store: yield* open(folder, options),
      other: yield* open(folder, options),
      prefix,
      putForeign: (key: string) =>
        Effect.sync(() => {
          const path = `${folder}/objects${prefixPath(prefix)}/${key.slice(prefix.length)}.object`
          mkdirSync(path)
          writeFileSync(`${path}/content`, "x")
        })
    }
  })

const has = { other: true, putForeign: true, listedEtags: false }
const missingBucket = Effect.flatMap(scratchFolder, (folder) => open(`${folder}/none`))
/** `temporary` is there, as on a disk where only half of the bucket was restored. */
const halfBucket = Effect.gen(function* () {
  const folder = yield* newBucket
  rmSync(`${folder}/objects`, { recursive: true })
  return yield* open(folder)
})

objectStoreSuite("DirectoryObjectStore", { scene: sceneWith(), missingBucket, has })
objectStoreSuite("DirectoryObjectStore without flushing", {
  scene: sceneWith({ sync: false }),
  missingBucket: halfBucket,
  has
})

const a = ObjectKey.parse("a")
const key = ObjectKey.parse("x/y/z")
const text = (content: string): Uint8Array => Buffer.from(content)

describe("DirectoryObjectStore in its folder", () => {
  it.live("leaves nothing but objects, and no folder of deleted ones", () =>
    Effect.gen(function* () {
      const folder = yield* newBucket
      const store = yield* open(folder)
      yield* store.put(key, text("1"))
      yield* store.put(key, text("2"))
      yield* store.putIfAbsent(key, text("3"))
      yield* store.putIfAbsent(a, text("4"))
      yield* store.copy(a, a)
      assert.deepStrictEqual(listing(folder), [
        "objects/",
        "objects/a.object/",
        "objects/a.object/content",
        "objects/x.folder/",
        "objects/x.folder/y.folder/",
        "objects/x.folder/y.folder/z.object/",
        "objects/x.folder/y.folder/z.object/content",
        "temporary/"
      ])
      yield* store.deleteMany([a, key])
      assert.deepStrictEqual(listing(folder), ["objects/", "temporary/"])
    })
  )

  it.live("create takes a bucket as it is", () =>
    Effect.gen(function* () {
      const folder = yield* newBucket
      const store = yield* open(folder)
      yield* store.put(a, text("kept"))
      yield* Effect.provide(DirectoryObjectStore.create(folder), NodeFiles.layer)
      assert.strictEqual(yield* readText(store, a), "kept")
    })
  )

  it.live("a folder without body is no object, and no obstacle", () =>
    Effect.gen(function* () {
      const folder = yield* newBucket
      const store = yield* open(folder)
      mkdirSync(`${folder}/objects/a.object`)
      assert.strictEqual(yield* reasonOf(store.head(a)), "NotFound")
      assert.deepStrictEqual(yield* store.list({ prefix: ObjectKey.everything }), {
        objects: [],
        foreignKeys: []
      })
      assert.strictEqual((yield* store.putIfAbsent(a, text("new"))).outcome, "created")
      yield* deleteOne(store, a)
      mkdirSync(`${folder}/objects/a.object`)
      yield* store.put(a, text("put"))
      assert.strictEqual(yield* readText(store, a), "put")
    })
  )

  it.live("files and folders that are not ours are passed over", () =>
    Effect.gen(function* () {
      const folder = yield* newBucket
      const store = yield* open(folder)
      yield* store.put(a, text("x"))
      writeFileSync(`${folder}/objects/lost+found`, "")
      writeFileSync(`${folder}/objects/file.object`, "")
      mkdirSync(`${folder}/objects/.snapshot`)
      // A long name that was cut where we would not cut it.
      mkdirSync(`${folder}/objects/b.more/c.object`, { recursive: true })
      writeFileSync(`${folder}/objects/b.more/c.object/content`, "x")
      const { objects, foreignKeys } = yield* store.list({ prefix: ObjectKey.everything })
      assert.deepStrictEqual([objects.map((object) => object.key), foreignKeys], [[a], []])
    })
  )

  it.live("a file in a folder's place is told by its path, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const folder = yield* newBucket
      const store = yield* open(folder)
      writeFileSync(`${folder}/objects/x.folder`, "a file where a folder should be")
      const error = yield* Effect.flip(store.put(key, text("x")))
      assert.strictEqual(error.reason, "Unavailable")
      assert.include(error.message, "x.folder")
      assert.deepStrictEqual(readdirSync(`${folder}/temporary`), [])
    })
  )

  it.live("leftovers of killed processes go when they are old, and live writes stay", () =>
    Effect.gen(function* () {
      const folder = yield* newBucket
      for (const name of ["object.tmp_old111", "object.tmp_old222", "object.tmp_young1"]) {
        mkdirSync(`${folder}/temporary/${name}`)
        if (!name.endsWith("222")) writeFileSync(`${folder}/temporary/${name}/content`, "half a bod")
        if (name.includes("old")) utimesSync(`${folder}/temporary/${name}`, 1000, 1000)
      }
      const removed = DirectoryObjectStore.removeLeftovers(folder, 86_400)
      assert.strictEqual(yield* Effect.provide(removed, NodeFiles.layer), 2)
      assert.deepStrictEqual(readdirSync(`${folder}/temporary`), ["object.tmp_young1"])
    })
  )

  it.live("etag and size are of one body, though it is replaced while head looks", () =>
    Effect.gen(function* () {
      const folder = yield* newBucket
      const body = `${folder}/objects/${objectPath(a)}/content`
      const files = yield* Files
      let replacements = 0
      const replacing = Files.of({
        ...files,
        openRead: (path) =>
          Effect.tap(files.openRead(path), () =>
            Effect.sync(() => {
              if (replacements++ > 0) return
              writeFileSync(`${folder}/newer`, "newer and longer")
              renameSync(`${folder}/newer`, body)
            })
          )
      })
      const store = yield* Effect.provideService(DirectoryObjectStore.make(folder), Files, replacing)
      yield* store.put(a, text("old"))
      const seen = yield* store.head(a)
      const truth = yield* (yield* open(folder)).head(a)
      assert.deepStrictEqual(seen, truth)
      assert.strictEqual(seen.sizeBytes, 16)
    }).pipe(Effect.provide(NodeFiles.layer))
  )

  it.live("a put that is interrupted leaves no temporary name", () =>
    Effect.gen(function* () {
      const folder = yield* newBucket
      const store = yield* open(folder)
      for (let round = 0; round < 20; round++) {
        const fiber = yield* Effect.forkChild(store.put(key, new Uint8Array(300_000).fill(round)), {
          startImmediately: true
        })
        yield* Effect.sleep(round % 3)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(readdirSync(`${folder}/temporary`), [])
      }
    })
  )
})

describe("DirectoryObjectStore between processes", () => {
  it.live(
    "of several processes exactly one creates each object",
    () =>
      Effect.gen(function* () {
        const folder = yield* newBucket
        const names = ["first", "second", "third"]
        const children = yield* Effect.forEach(
          names,
          (name) => startBucketProcess("race", folder, name, "200"),
          { concurrency: "unbounded" }
        )
        for (const child of children) child.send("go")
        const won = yield* Effect.forEach(children, (child) =>
          Effect.map(child.next, (line): ReadonlyArray<number> => JSON.parse(line))
        )
        assert.sameMembers(
          won.flat(),
          Array.from({ length: 200 }, (_, index) => index)
        )
        assert.lengthOf(won.flat(), 200)
        const store = yield* open(folder)
        for (const [at, indexes] of won.entries()) {
          for (const index of indexes) {
            assert.strictEqual(
              yield* readText(store, ObjectKey.parse(`race/${index % 5}/${index}`)),
              names[at]
            )
          }
        }
      }),
    60_000
  )

  it.live(
    "killed processes leave whole objects, and a bucket in which everything can be done",
    () =>
      Effect.gen(function* () {
        const folder = yield* newBucket
        const store = yield* open(folder, { sync: false })
        for (let round = 0; round < 4; round++) {
          const children = yield* Effect.all(
            [startBucketProcess("churn", folder), startBucketProcess("churn", folder)],
            { concurrency: 2 }
          )
          yield* Effect.sleep(150 + round * 37)
          for (const child of children) yield* child.kill
          const all = yield* Stream.runCollect(pages(store, ObjectKey.everything))
          const keys = all.flatMap(({ objects }) => objects.map((object) => object.key))
          assert.isNotEmpty(keys)
          for (const present of keys) {
            const body = yield* store.get(present, 1_000_000)
            assert.isTrue(Buffer.from(churnBody(body[0] ?? 0)).equals(body), `${present} is torn`)
            assert.strictEqual((yield* store.putIfAbsent(present, text("late"))).outcome, "present")
          }
          yield* store.deleteMany(keys)
          for (const absent of keys) {
            assert.strictEqual((yield* store.putIfAbsent(absent, churnBody(1))).outcome, "created")
          }
        }
      }),
    60_000
  )
})

describe("paths of keys", () => {
  it("never name a temporary file, nor anything above the folder", () => {
    for (const name of [".a", "..a", "a.tmp_x", "-", "a.more", "con"]) {
      const path = objectPath(ObjectKey.parse(name))
      assert.deepStrictEqual(componentOf(path), { kind: "object", text: name })
    }
    assert.deepStrictEqual(componentOf("object.tmp_abcdef"), { kind: "foreign" })
    assert.deepStrictEqual(componentOf(".object"), { kind: "foreign" })
  })

  it("keep every name within what a file system takes", () => {
    for (const character of ["s", "é", "日", "\u{1F600}"]) {
      const segment = character.repeat(Math.floor(255 / Buffer.byteLength(character)))
      const components = objectPath(ObjectKey.parse(segment)).split("/")
      assert.isTrue(components.every((component) => Buffer.byteLength(component) <= 255))
      const texts = components.map(componentOf).map((found) => (found.kind === "foreign" ? "" : found.text))
      assert.strictEqual(texts.join(""), segment)
      assert.isTrue(texts.every((piece) => piece.isWellFormed()))
    }
  })
})
