/** Making a datastore in a bucket: whose it may become, on which servers, and what an interruption leaves. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BucketDatastore from "../../src/datastore/BucketDatastore.ts"
import { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import type { FileLocks } from "../../src/platform/FileLocks.ts"
import { Files } from "../../src/platform/Files.ts"
import { Host } from "../../src/platform/Host.ts"
import * as Refresh from "../../src/refresh/Refresh.ts"
import * as RefreshPlan from "../../src/refresh/RefreshPlan.ts"
import * as FolderMark from "../../src/store/bucket/FolderMark.ts"
import * as Generation from "../../src/store/bucket/Generation.ts"
import * as StoreBucket from "../../src/store/bucket/StoreBucket.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import * as MemoryPlatform from "../../src/testing/MemoryPlatform.ts"

type Server = MemoryObjectStore.MemoryObjectStoreOptions

const owner = "store/.cnt/host/a/owner"

/** 65,536 folders for chunks are another test's business, and take a second each time. */
const fewFolders = Layer.effect(
  Files,
  Effect.map(Files, (files) => ({
    ...files,
    makeDirectories: (parent: string, names: ReadonlyArray<string>, mode: number) =>
      files.makeDirectories(parent, names.slice(0, 1), mode)
  }))
)

class Place {
  readonly memory = new MemoryBucket()
  /** A disk for each folder: two hosts. */
  readonly disks = new Map<string, MemoryDisk>()

  bucket(server: Server = {}, title = "s3:here/bucket/store"): StoreBucket.StoreBucket {
    return StoreBucket.make({ objects: MemoryObjectStore.make(this.memory, server), name: "store", title })
  }

  on<A, E>(host: string, effect: Effect.Effect<A, E, Files | FileLocks>): Effect.Effect<A, E> {
    const disk = this.disks.get(host) ?? new MemoryDisk()
    this.disks.set(host, disk)
    const machine = Layer.merge(
      MemoryPlatform.layer({ disk }),
      Layer.succeed(Host, { nodeName: host, pid: 1, bootId: "boot", processStart: 1, userName: "root" })
    )
    return Effect.provide(effect, Layer.provideMerge(fewFolders, machine))
  }

  create(host: string, options: Partial<BucketDatastore.BucketCreateOptions> = {}) {
    return this.on(host, BucketDatastore.create({ path: "/cache", bucket: this.bucket(), ...options }))
  }

  check(host: string, bucket: StoreBucket.StoreBucket | undefined) {
    return this.on(host, BucketDatastore.checkFolder(layoutOf("/cache"), bucket))
  }

  refresh(host: string) {
    const plan = RefreshPlan.make({ path: "/cache", bucket: this.bucket() })
    return this.on(host, Effect.flatMap(plan, Refresh.run))
  }

  get inUse(): string {
    return Buffer.from(this.memory.find("store/.in-use")?.body ?? []).toString()
  }

  put(key: string, text: string): void {
    this.memory.put(key, Buffer.from(text), 0)
  }
}

describe("a new datastore in a bucket", () => {
  it.effect("has a folder that is ready and goes with the bucket, and a mark of use", () =>
    Effect.gen(function* () {
      const place = new Place()
      const { needsRefresh, report } = yield* place.create("one")
      assert.isFalse(needsRefresh)
      assert.strictEqual(report.conditionalPut, "honoured")
      assert.strictEqual(place.inUse, '{"hostname":"one"}')
      yield* place.check("one", place.bucket())
      const layout = layoutOf("/cache")
      const folder = yield* place.on("one", Generation.ofFolder(layout))
      const bucket = yield* Generation.current(place.bucket())
      assert.deepStrictEqual(folder, { ...bucket, boot: undefined })
      assert.match(bucket.collected, /^[0-9a-f]{32}$/)
      assert.deepStrictEqual(place.memory.keys(), [
        "store/.granary/generation",
        "store/.granary/id",
        "store/.in-use"
      ])
      const names =
        place.disks
          .get("one")
          ?.list("/cache", 0)
          .map(([name]) => name) ?? []
      assert.sameMembers([...names], [".chunks", ".lock", ".granary-bucket", ".granary-generation"])
    })
  )

  it.effect("is refused where one is in use, or is there, unless that is asked for", () =>
    Effect.gen(function* () {
      const place = new Place()
      yield* place.create("one")
      const used = yield* Effect.flip(place.create("two"))
      assert.strictEqual(used.reason, "InUse")
      assert.strictEqual(used.message, "s3:here/bucket/store: this datastore is in use by one")
      assert.strictEqual((yield* Effect.flip(place.create("two", { reuse: true }))).reason, "InUse")
      place.put(owner, "root@pam\n")
      const there = yield* Effect.flip(place.create("two", { overwriteInUse: true }))
      assert.strictEqual(there.reason, "InBucketAlready")
      assert.strictEqual(place.inUse, '{"hostname":"one"}')
      assert.throws(() => place.disks.get("two")?.stat("/cache"), /ENOENT/)
    })
  )

  it.effect("is refused where something else lies below its prefix", () =>
    Effect.gen(function* () {
      for (const key of ["holiday.jpg", ".chunks/0000/x", "a\nb", "deep/er"]) {
        const place = new Place()
        place.put(`store/${key}`, "x")
        place.put("store-2/x", "another one's")
        const error = yield* Effect.flip(place.create("one"))
        assert.strictEqual(error.reason, "InBucketAlready", key)
      }
      const place = new Place()
      for (const key of ["store-2/.cnt/x", "store/.granary-probe/x/y", "store/.granary/id"])
        place.put(key, "x")
      yield* place.create("one")
    })
  )

  it.effect("is found behind the first page", () =>
    Effect.gen(function* () {
      const place = new Place()
      for (let count = 0; count < 30; count++) place.put(`store/.granary-probe/x/${count}`, "x")
      place.put("store/zebra", "x")
      const error = yield* Effect.flip(place.create("one", { bucket: place.bucket({ pageSizeMax: 10 }) }))
      assert.strictEqual(error.reason, "InBucketAlready")
    })
  )

  it.effect.each([
    ["conditional put", { conditionalPut: "ignored" }],
    ["conditional put", { conditionalPut: "unsupported" }],
    ["list after write", { listing: "weak" }]
  ] as const)("is refused on a server without %s", ([check, server]) =>
    Effect.gen(function* () {
      const place = new Place()
      const error = yield* Effect.flip(place.create("one", { bucket: place.bucket(server) }))
      assert.strictEqual(error.reason, "Unsuitable")
      assert.include(error.message, `: ${check}: `)
      assert.notInclude(place.memory.keys().join(), ".in-use")
      assert.throws(() => place.disks.get("one")?.stat("/cache"), /ENOENT/)
    })
  )

  it.effect("trouble with the server is told as such", () =>
    Effect.gen(function* () {
      const place = new Place()
      const objects = {
        ...place.bucket().objects,
        get: (key: string) =>
          Effect.fail(new ObjectStoreError({ operation: "get", key, reason: "WrongKeys" }))
      }
      const error = yield* Effect.flip(place.create("one", { bucket: { ...place.bucket(), objects } }))
      assert.strictEqual(error.reason, "WrongKeys")
    })
  )

  it.effect("whatever is written in the mark of use, it is a mark", () =>
    Effect.gen(function* () {
      for (const text of ["", "{", "[]", '{"hostname":5}', '{"hostname":"\u001b[2J"}', "x".repeat(70_000)]) {
        const place = new Place()
        place.put("store/.in-use", text)
        const error = yield* Effect.flip(place.create("one"))
        assert.include(error.message, "in use by an unknown host")
        yield* place.create("one", { overwriteInUse: true })
        assert.strictEqual(place.inUse, '{"hostname":"one"}')
      }
    })
  )

  it.effect("goes on where it was interrupted, at any request", () =>
    Effect.gen(function* () {
      let [failures, total] = [0, 0]
      for (let nth = 0; ; nth++) {
        const place = new Place()
        let count = 0
        const server: Server = {
          faults: ["late failure"],
          decide: (_fault, key) => !key.includes("probe") && count++ === nth
        }
        const first = yield* Effect.exit(place.create("one", { bucket: place.bucket(server) }))
        total += 1
        if (first._tag === "Failure") {
          failures += 1
          const folder = yield* Effect.result(place.check("one", place.bucket()))
          assert.strictEqual(folder._tag, "Failure", `after request ${nth}`)
          yield* place.create("one", { overwriteInUse: place.inUse !== "" })
        }
        yield* place.check("one", place.bucket())
        assert.strictEqual(place.inUse, '{"hostname":"one"}')
        if (count <= nth) break
      }
      assert.isAtLeast(failures, 5)
      assert.isAbove(total, failures)
    })
  )
})

describe("a cache folder for a datastore that is there", () => {
  it.effect("needs a refresh before it is opened", () =>
    Effect.gen(function* () {
      const place = new Place()
      yield* place.create("one")
      place.put(owner, "root@pam\n")
      const { needsRefresh } = yield* place.create("two", { reuse: true, overwriteInUse: true })
      assert.isTrue(needsRefresh)
      assert.strictEqual(place.inUse, '{"hostname":"two"}')
      assert.strictEqual((yield* Effect.flip(place.check("two", place.bucket()))).reason, "NeedsRefresh")
      yield* place.refresh("two")
      yield* place.check("two", place.bucket())
      const bytes = yield* place.on("two", FolderMark.read(layoutOf("/cache")))
      assert.deepInclude(bytes, { store: "store", title: "s3:here/bucket/store", state: "ready" })
    })
  )

  it.effect("is refused where there is none", () =>
    Effect.gen(function* () {
      const place = new Place()
      assert.strictEqual((yield* Effect.flip(place.create("one", { reuse: true }))).reason, "NotADatastore")
    })
  )

  it.effect("takes over what Proxmox Backup Server has made, which knows neither ids nor generations", () =>
    Effect.gen(function* () {
      const place = new Place()
      place.put(owner, "root@pam\n")
      place.put("store/.in-use", '{"hostname":"pbs"}')
      yield* place.create("one", { reuse: true, overwriteInUse: true })
      yield* place.refresh("one")
      yield* place.check("one", place.bucket())
    })
  )
})

describe("the mark of a cache folder", () => {
  const made = Effect.gen(function* () {
    const place = new Place()
    yield* place.create("one")
    return place
  })

  it.effect("keeps it from being opened as another one's, or as a datastore of its own", () =>
    Effect.gen(function* () {
      const place = yield* made
      const alone = yield* Effect.flip(place.check("one", undefined))
      assert.strictEqual(
        alone.message,
        "/cache: this folder is only the cache of s3:here/bucket/store; name that instead of the folder"
      )
      const other = StoreBucket.make({ objects: place.bucket().objects, name: "other" })
      assert.strictEqual((yield* Effect.flip(place.check("one", other))).reason, "Refused")
      const elsewhere = new Place()
      elsewhere.disks.set("one", place.disks.get("one") ?? new MemoryDisk())
      elsewhere.put("store/.granary/id", "another")
      const renamed = elsewhere.bucket({}, "s3:there/bucket/store")
      assert.strictEqual((yield* Effect.flip(elsewhere.check("one", renamed))).reason, "Refused")
      elsewhere.memory.delete("store/.granary/id", 0)
      assert.strictEqual((yield* Effect.flip(elsewhere.check("one", renamed))).reason, "Refused")
      yield* place.check("one", place.bucket({}, "s3:renamed/bucket/store"))
    })
  )

  it.effect("is missing in a folder that is a datastore of its own", () =>
    Effect.gen(function* () {
      const place = yield* made
      place.disks.get("one")?.unlink("/cache/.granary-bucket", 0)
      yield* place.check("one", undefined)
      assert.strictEqual((yield* Effect.flip(place.check("one", place.bucket()))).reason, "Refused")
    })
  )

  it.effect("costs no request where the title is known", () =>
    Effect.gen(function* () {
      const place = yield* made
      const bucket = place.bucket({ faults: ["unavailable"] })
      yield* place.check("one", bucket)
    })
  )
})
