/**
 * A datastore in a bucket of a server over HTTP, used through the library: hosts, each with a cache folder of its own,
 * and backups of images whose chunks are known before, so that a folder needs only few of its 65,536 places.
 *
 * Whoever asks for anything opens the store anew, as a process would, with a connection that may be spoiled.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as Backup from "../../src/backup/Backup.ts"
import { imageChunkSizeBytes } from "../../src/chunking/FixedChunker.ts"
import * as BucketDatastore from "../../src/datastore/BucketDatastore.ts"
import * as BucketReading from "../../src/datastore/BucketReading.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type { RetryOptions } from "../../src/objectstore/decorators/retrying.ts"
import { stack } from "../../src/objectstore/decorators/stack.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import * as S3ObjectStore from "../../src/objectstore/s3/S3ObjectStore.ts"
import { Files } from "../../src/platform/Files.ts"
import * as Refresh from "../../src/refresh/Refresh.ts"
import * as RefreshPlan from "../../src/refresh/RefreshPlan.ts"
import * as Restore from "../../src/restore/Restore.ts"
import * as SnapshotReader from "../../src/restore/SnapshotReader.ts"
import * as StoreBucket from "../../src/store/bucket/StoreBucket.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import { group, noise, owner } from "../backup/stores.ts"
import { type Place, settingsOf } from "../objectstore/s3/buckets.ts"
import { scratchFolder, wideFolder } from "../platform/scratch.ts"
import * as Rgw from "../s3/Rgw.ts"
import * as S3Endpoint from "../s3/S3Endpoint.ts"
import { sendSigned } from "../s3/sendSigned.ts"
import { platform } from "../store/stores.ts"

const root = Namespace.root

export type Version = 1 | 2 | 3

/** One image of two chunks, several of one; from version to version every other one changes. */
const names = ["large", "a", "b", "c", "d", "e", "f"]

const contentOf = (name: string, version: Version): Buffer => {
  const steady = names.indexOf(name) % 2 === 1
  const small = noise(`${name} ${steady ? 1 : version}`, name === "a" ? 300_000 : 40_000)
  return name === "large" ? Buffer.concat([Buffer.alloc(imageChunkSizeBytes), small]) : small
}

/** Archives of a version and what they hold. */
export const contents = (version: Version): ReadonlyMap<string, Buffer> =>
  new Map(names.map((name) => [`${name}.img`, contentOf(name, version)]))

const chunkDigests = (version: Version): ReadonlyArray<string> =>
  [...contents(version).values()].flatMap((content) =>
    [content.subarray(0, imageChunkSizeBytes), content.subarray(imageChunkSizeBytes)]
      .filter(({ length }) => length > 0)
      .map((chunk) => createHash("sha256").update(chunk).digest("hex"))
  )

/** Chunks that one version has and another one has not. */
export const chunksOnlyIn = (version: Version, other: Version): number =>
  chunkDigests(version).filter((digest) => !chunkDigests(other).includes(digest)).length

const places = new Set(([1, 2, 3] as const).flatMap(chunkDigests).map((digest) => digest.slice(0, 4)))

const fewFolders = Layer.effect(
  Files,
  Effect.map(Files, (files) => ({
    ...files,
    makeDirectories: (parent: string, all: ReadonlyArray<string>, mode: number) =>
      files.makeDirectories(
        parent,
        all.filter((name) => places.has(name)),
        mode
      )
  }))
)

const machine = Layer.fresh(Layer.provideMerge(fewFolders, platform))

/** Short waits: what a server does not recover from in some seconds it does not recover from here. */
const quickRetries: RetryOptions = { baseMillis: 20, capMillis: 200, attemptsMax: 6, timeLimitMillis: 8000 }

export interface Connection {
  readonly s3?: S3ObjectStore.S3Options
  readonly retries?: RetryOptions
  readonly decorate?: (objects: ObjectStore["Service"]) => ObjectStore["Service"]
}

const storeName = "store"

export interface Server extends Place {
  /** Lets time go by for everything in the bucket; only a double can. */
  readonly age: ((seconds: number) => void) | undefined
}

export type Start = Effect.Effect<Server, Rgw.RgwError, Scope.Scope>

export const double: Start = Effect.map(S3Endpoint.start(), (endpoint) => ({
  ...endpoint,
  age: (seconds) => endpoint.memory.age(seconds * 1000)
}))

let buckets = 0

/** One gateway for all tests, with a bucket for each. */
export const gateway: Start = Effect.gen(function* () {
  const shared = yield* Rgw.shared
  const bucket = `${shared.bucket}-${(buckets += 1)}`
  const made = yield* Effect.promise(() => sendSigned(shared, { method: "PUT", target: `/${bucket}` }))
  assert.strictEqual(made.status, 200, made.text)
  return { ...shared, bucket, age: undefined }
})

/** Where it is needed and not installed, tests of it fail. */
export const isGatewayTested = Rgw.available || Rgw.needed

/** The store as one process reaches it. */
export const bucketAt = (
  place: Place,
  { decorate = (objects) => objects, retries = quickRetries, s3 }: Connection = {}
) =>
  Effect.gen(function* () {
    const plain = yield* S3ObjectStore.make(settingsOf(place), s3)
    const objects = yield* stack(decorate(plain), { retries })
    return StoreBucket.make({ objects, name: storeName, title: `s3:here/${place.bucket}/${storeName}` })
  })

type Machine = Layer.Success<typeof machine>

/** A cache folder on the store at `place`; the server may be reached through something else later. */
export class Host {
  readonly folder: string
  readonly place: Place

  constructor(folder: string, place: Place) {
    this.folder = folder
    this.place = place
  }

  /** With the store open, as a process of its own. */
  readonly on =
    (connection: Connection = {}, place: Place = this.place) =>
    <A, E>(work: Effect.Effect<A, E, Datastore.Datastore | Machine | Scope.Scope>) =>
      Effect.gen({ self: this }, function* () {
        const bucket = yield* bucketAt(place, connection)
        const store = Datastore.layer({ path: this.folder, bucket, maxCacheBytes: 1e9 })
        return yield* Effect.provide(work, Layer.fresh(store))
      }).pipe(Effect.scoped, Effect.provide(machine))

  /** A day and a half goes by for the chunks in the folder. */
  age(seconds: number): void {
    const chunks = path.join(this.folder, ".chunks")
    for (const name of readdirSync(chunks, { recursive: true, encoding: "utf8" })) {
      if (!name.includes("/")) continue
      const time = Math.floor(Date.now() / 1000) - seconds
      utimesSync(path.join(chunks, name), time, time)
    }
  }
}

/** Makes the store, with this host as its first, or takes it over as `granary init --reuse` does. */
export const newHost = (place: Place, mode: "create" | "reuse" = "create") =>
  Effect.gen(function* () {
    const folder = path.join(yield* wideFolder, "cache")
    yield* Effect.gen(function* () {
      const bucket = yield* bucketAt(place)
      const reuse = mode === "reuse"
      // What a probe finds with more rounds is not of interest here.
      const probe = { rounds: 1 }
      yield* BucketDatastore.create({ path: folder, bucket, reuse, overwriteInUse: reuse, probe })
      if (reuse) yield* Effect.flatMap(RefreshPlan.make({ path: folder, bucket }), Refresh.run)
    }).pipe(Effect.scoped, Effect.provide(machine))
    return new Host(folder, place)
  })

let clock = 1_700_000_000

/** Backs a version up, an hour after the backup before. */
export const backUp = (version: Version) =>
  Effect.gen(function* () {
    const folder = yield* scratchFolder
    const archives = [...contents(version)].map(([name, content]) => {
      const file = path.join(folder, name)
      writeFileSync(file, content)
      return { kind: "image", archive: ArchiveName.fromClient(name), path: file } as const
    })
    return yield* Backup.run({ namespace: root, group, owner, time: (clock += 3600), archives })
  })

export const restored = (snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const folder = yield* scratchFolder
    const reader = yield* SnapshotReader.open({ namespace: root, snapshot })
    const found = new Map<string, Buffer>()
    for (const name of contents(1).keys()) {
      const target = path.join(folder, name)
      yield* Restore.run(reader, { archive: name, target })
      found.set(name, readFileSync(target))
    }
    return found
  })

/** Names of the archives that came back as something else. */
export const differences = (snapshot: Snapshot.Snapshot, version: Version) =>
  Effect.map(restored(snapshot), (found) =>
    [...contents(version)].flatMap(([name, content]) => (found.get(name)?.equals(content) ? [] : [name]))
  )

export const verify = (options: Partial<VerifyPlan.VerifyOptions> = {}) =>
  Effect.flatMap(VerifyPlan.make({ namespace: root, ...options }), (plan) => Verify.run(plan))

export const statesOf = ({ snapshots }: Verify.VerifySummary): Readonly<Record<string, string>> =>
  Object.fromEntries(snapshots.map(({ snapshot, state }) => [Snapshot.format(snapshot), state]))

/** Reads the store at `place` as a machine does that has nothing but its address. */
export const withoutFolder = <A, E>(
  place: Place,
  work: Effect.Effect<A, E, Datastore.Datastore | Machine | Scope.Scope>,
  connection: Connection = {}
) =>
  Effect.gen(function* () {
    const bucket = yield* bucketAt(place, connection)
    return yield* Effect.provide(work, Layer.fresh(BucketReading.layer(bucket)))
  }).pipe(Effect.scoped, Effect.provide(machine))

export type Acknowledged = ReadonlyArray<readonly [Snapshot.Snapshot, Version]>

/** The server as it is met through something in between. */
export const through = <P extends Place>(place: P, { url }: { readonly url: string }): P => ({
  ...place,
  url
})

/** What was acknowledged is in the bucket: it verifies, and is restored byte for byte, without any folder. */
export const assertKept = (place: Place, acknowledged: Acknowledged) =>
  withoutFolder(
    place,
    Effect.gen(function* () {
      const states = statesOf(yield* verify())
      for (const [snapshot, version] of acknowledged) {
        assert.strictEqual(states[Snapshot.format(snapshot)], "ok", Snapshot.format(snapshot))
        assert.deepStrictEqual(yield* differences(snapshot, version), [])
      }
      assert.deepStrictEqual(
        Object.values(states).filter((state) => state !== "ok"),
        []
      )
    })
  )
