/**
 * A folder as a bucket on a disk that loses its power: whatever was acknowledged stays, nothing is torn, and the bucket
 * goes on working. The power goes before every single system call, and takes by choice what was not flushed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as DirectoryObjectStore from "../../src/objectstore/DirectoryObjectStore.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { type ObjectStore, deleteOne } from "../../src/objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import { Files } from "../../src/platform/Files.ts"
import { randomFrom } from "../../src/testing/Choosers.ts"
import { type Choose, loseAll, MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryFiles from "../../src/testing/MemoryFiles.ts"
import { objectStoreSuite } from "../conformance/objectStoreSuite.ts"

const folder = "/bucket"

const openOn = (disk: MemoryDisk, options: MemoryFiles.MemoryFilesOptions = {}) =>
  Effect.provideService(DirectoryObjectStore.make(folder), Files, MemoryFiles.make(disk, options))

const newDisk = Effect.gen(function* () {
  const disk = new MemoryDisk()
  yield* Effect.orDie(Effect.provide(DirectoryObjectStore.create(folder), MemoryFiles.layer(disk)))
  disk.syncAll()
  return disk
})

objectStoreSuite("DirectoryObjectStore over memory", {
  scene: Effect.gen(function* () {
    const disk = yield* newDisk
    return {
      store: yield* openOn(disk),
      other: yield* openOn(disk),
      prefix: ObjectKey.parsePrefix("store/")
    }
  }),
  missingBucket: openOn(new MemoryDisk()),
  has: { other: true, listedEtags: false }
})

const fromSeed = (seed: number): Choose => {
  const random = randomFrom(seed)
  return (count) => Math.floor(random() * count)
}

const [a, ab, c] = ["a", "a/b", "x/y/c"].map(ObjectKey.parse) as [
  ObjectKey.ObjectKey,
  ObjectKey.ObjectKey,
  ObjectKey.ObjectKey
]

type Contents = ReadonlyMap<ObjectKey.ObjectKey, string>

interface Step {
  readonly run: (store: ObjectStore["Service"]) => Effect.Effect<unknown, ObjectStoreError>
  readonly change: (contents: Map<ObjectKey.ObjectKey, string>) => void
}

const put = (key: ObjectKey.ObjectKey, body: string): Step => ({
  run: (store) => store.put(key, Buffer.from(body)),
  change: (contents) => void contents.set(key, body)
})

const create = (key: ObjectKey.ObjectKey, body: string): Step => ({
  run: (store) => store.putIfAbsent(key, Buffer.from(body)),
  change: (contents) => void (contents.has(key) || contents.set(key, body))
})

const remove = (key: ObjectKey.ObjectKey): Step => ({
  run: (store) => deleteOne(store, key),
  change: (contents) => void contents.delete(key)
})

const steps: ReadonlyArray<Step> = [
  create(a, "first body"),
  put(ab, "second body"),
  put(a, "third body, in the first one's place"),
  create(c, "fourth body"),
  create(a, "refused"),
  remove(ab),
  create(ab, "fifth body"),
  remove(a),
  remove(c),
  put(c, "sixth body")
]

/** What the bucket holds: every body read, so that none is torn. */
const contentsOf = (disk: MemoryDisk): Effect.Effect<Contents, ObjectStoreError> =>
  Effect.gen(function* () {
    const store = yield* openOn(disk)
    const { objects } = yield* store.list({ prefix: ObjectKey.everything })
    const bodies = yield* Effect.forEach(objects, ({ key }) =>
      Effect.map(store.get(key, 999), (body) => [key, Buffer.from(body).toString()] as const)
    )
    return new Map(bodies)
  })

const sorted = (contents: Contents): string => JSON.stringify([...contents].sort())

const powerLosses: ReadonlyArray<Choose> = [loseAll, ...[1, 2, 3, 4, 5].map(fromSeed)]

interface Moment {
  readonly disk: MemoryDisk
  /** What is acknowledged, and what the step under way would make of it. */
  readonly before: Contents
  readonly after: Contents
}

/** Runs all steps, and keeps the disk as it was before every system call. */
const moments = Effect.gen(function* () {
  const disk = yield* newDisk
  const found: Array<Moment> = []
  let [before, after]: [Contents, Contents] = [new Map(), new Map()]
  const store = yield* openOn(disk, {
    point: () => Effect.sync(() => void found.push({ disk: disk.fork(), before, after }))
  })
  for (const { run, change } of steps) {
    const next = new Map(before)
    change(next)
    after = next
    yield* run(store)
    before = after
    found.push({ disk: disk.fork(), before, after })
  }
  return found
})

describe("DirectoryObjectStore and power losses", () => {
  it.effect("nothing that was acknowledged is lost, nothing is torn or half done", () =>
    Effect.gen(function* () {
      const all = yield* moments
      assert.isAbove(all.length, 80)
      for (const { disk, before, after } of all) {
        for (const choose of powerLosses) {
          const found = disk.fork()
          found.losePower(choose)
          const contents = sorted(yield* contentsOf(found))
          assert.oneOf(contents, [sorted(before), sorted(after)])
        }
      }
    })
  )

  it.effect("a process that is killed leaves the old or the new, and a bucket that works", () =>
    Effect.gen(function* () {
      for (const { disk, before, after } of yield* moments) {
        assert.oneOf(sorted(yield* contentsOf(disk)), [sorted(before), sorted(after)])
        const store = yield* openOn(disk)
        for (const key of [a, ab, c]) {
          yield* deleteOne(store, key)
          assert.strictEqual((yield* store.putIfAbsent(key, Buffer.from("new"))).outcome, "created")
          yield* store.put(key, Buffer.from("newer"))
        }
        assert.strictEqual(
          sorted(yield* contentsOf(disk)),
          sorted(new Map([a, ab, c].map((key) => [key, "newer"])))
        )
      }
    })
  )

  it.effect("a folder that another process has just made is flushed along", () =>
    Effect.gen(function* () {
      const disk = yield* newDisk
      yield* MemoryFiles.make(disk).makeDirectory(`${folder}/objects/x.folder`)
      yield* (yield* openOn(disk)).put(c, Buffer.from("kept"))
      disk.losePower(loseAll)
      assert.strictEqual(sorted(yield* contentsOf(disk)), sorted(new Map([[c, "kept"]])))
    })
  )

  it.effect("an object that is said to be present is there to stay, whoever wrote it", () =>
    Effect.gen(function* () {
      const disk = yield* newDisk
      const files = MemoryFiles.make(disk)
      yield* files.makeDirectory(`${folder}/temporary/other`)
      yield* files.createFile(`${folder}/temporary/other/content`, Buffer.from("theirs"), { sync: true })
      yield* files.rename(`${folder}/temporary/other`, `${folder}/objects/a.object`)
      assert.strictEqual(
        (yield* (yield* openOn(disk)).putIfAbsent(a, Buffer.from("ours"))).outcome,
        "present"
      )
      disk.losePower(loseAll)
      assert.strictEqual(sorted(yield* contentsOf(disk)), sorted(new Map([[a, "theirs"]])))
    })
  )

  it.effect("an object that was deleted by another process stays deleted", () =>
    Effect.gen(function* () {
      const disk = yield* newDisk
      const store = yield* openOn(disk)
      yield* store.put(a, Buffer.from("x"))
      yield* MemoryFiles.make(disk).unlink(`${folder}/objects/a.object/content`)
      yield* deleteOne(store, a)
      disk.losePower(loseAll)
      assert.strictEqual(sorted(yield* contentsOf(disk)), sorted(new Map()))
    })
  )
})
