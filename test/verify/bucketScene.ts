/**
 * A datastore in a bucket, in memory, for verifications: backups of short texts, requests that are counted and may fail,
 * and what is found afterwards. The cache folder keeps no content, so that only the bucket has it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import * as BucketReading from "../../src/datastore/BucketReading.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import { digestOf } from "../../src/platform/chunkContent.ts"
import * as StoreBucket from "../../src/store/bucket/StoreBucket.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import * as MemoryPlatform from "../../src/testing/MemoryPlatform.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import { markAsCache } from "../store/bucket/cacheMark.ts"

export const base = "/store"
const root = Namespace.root
const index = ArchiveName.fromFile("texts.didx")
const blob = ArchiveName.fromFile("note.conf.blob")

export interface World {
  readonly disk: MemoryDisk
  readonly bucket: MemoryBucket
}

export const digestOfText = (text: string): Digest.Digest => digestOf(Buffer.from(text), undefined)

export const keyOfText = (text: string): string => {
  const digest = digestOfText(text)
  return `store/.chunks/${Digest.prefix(digest)}/${digest}`
}

export const texts = (from: number, to: number): ReadonlyArray<string> =>
  Array.from({ length: to - from }, (_, number) => `text ${from + number}`)

export interface Hooks {
  /** Fails a request before it is sent. */
  readonly before?: (request: string) => Effect.Effect<void, ObjectStoreError>
  readonly server?: MemoryObjectStore.MemoryObjectStoreOptions
}

/** Notes the operations of every request, and its key. */
const counted = (objects: ObjectStore["Service"], { before }: Hooks, requests: Array<string>) => {
  const around = <A>(request: string, effect: Effect.Effect<A, ObjectStoreError>) =>
    Effect.suspend(() => {
      requests.push(request)
      return Effect.andThen(before?.(request) ?? Effect.void, effect)
    })
  return ObjectStore.of({
    put: (key, body) => around(`put ${key}`, objects.put(key, body)),
    putIfAbsent: (key, body) => around(`put ${key}`, objects.putIfAbsent(key, body)),
    get: (key, maxSizeBytes) => around(`get ${key}`, objects.get(key, maxSizeBytes)),
    getRange: (key, range) => around(`get ${key}`, objects.getRange(key, range)),
    head: (key) => around(`head ${key}`, objects.head(key)),
    list: (request) => around(`list ${request.prefix}`, objects.list(request)),
    deleteMany: (keys) => around(`delete ${keys.join(" ")}`, objects.deleteMany(keys)),
    copy: (from, to) => around(`copy ${from} ${to}`, objects.copy(from, to))
  })
}

const inStore =
  ({ bucket, disk }: World, hooks: Hooks, requests: Array<string>) =>
  <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.provide(
      Effect.scoped(work),
      Layer.provideMerge(
        Layer.fresh(
          Datastore.layer({
            path: base,
            maxCacheBytes: 0,
            bucket: StoreBucket.make({
              name: "store",
              objects: counted(MemoryObjectStore.make(bucket, hooks.server), hooks, requests)
            })
          })
        ),
        MemoryPlatform.layer({ disk })
      )
    )

/** Folders for the chunks of these texts, and nothing else. */
export const newWorld = (all: ReadonlyArray<string>): World => {
  const disk = new MemoryDisk()
  disk.makeDirectory(base, 0o755, 0)
  disk.makeDirectory(`${base}/.chunks`, 0o750, 0)
  for (const prefix of new Set(all.map((text) => Digest.prefix(digestOfText(text))))) {
    disk.makeDirectory(`${base}/.chunks/${prefix}`, 0o750, 0)
  }
  disk.create(`${base}/.lock`, 0o644, 0)
  markAsCache(disk, base, "store")
  disk.syncAll()
  return { disk, bucket: new MemoryBucket() }
}

const snapshotOf = (id: string): Snapshot.Snapshot =>
  Snapshot.make(BackupGroup.make("host", id), 1_700_000_000)

/** A finished snapshot of the group: an index of these texts, and a blob. */
export const backUp = (world: World, id: string, all: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { group, time } = snapshotOf(id)
    const owner = AuthId.parse("root@pam")
    const session = yield* BackupSession.open({ namespace: root, group, owner, time })
    const { datastore, snapshot } = session
    const entries: Array<DynamicIndex.DynamicEntry> = []
    for (const text of all) {
      const data = Buffer.from(text)
      const digest = digestOfText(text)
      if (session.known.add(Digest.toBytes(digest))) {
        yield* datastore.chunks.insert({ digest, data, compress: false, crypt: undefined })
      }
      entries.push({ end: (entries.at(-1)?.end ?? 0) + data.length, digest })
    }
    const encoded = DynamicIndex.encode({ uuid: Buffer.alloc(16, 1), ctime: time, entries })
    yield* datastore.snapshotFiles.write(root, snapshot, index.file, encoded.bytes)
    const { checksum: csum, sizeBytes } = encoded
    yield* session.addFile({ filename: index.file, cryptMode: "none", sizeBytes, csum })
    yield* session.uploadBlob(blob, Buffer.from("a note"))
    yield* session.finish
  }).pipe(inStore(world, {}, []))

/** How often each operation was asked for, beyond the opening of the store. */
export interface Counts {
  readonly list: number
  readonly get: number
  readonly head: number
  readonly put: number
}

export interface Outcome {
  readonly plan: VerifyPlan.VerifyPlan
  readonly summary: Verify.VerifySummary
  /** Of each group's snapshot. */
  readonly states: Readonly<Record<string, string>>
  readonly errors: ReadonlyArray<string>
  readonly counts: Counts
  readonly requests: ReadonlyArray<string>
}

const countsOf = (requests: ReadonlyArray<string>): Counts => {
  const of = (operation: string): number =>
    requests.filter((request) => request.startsWith(`${operation} `)).length
  return { list: of("list"), get: of("get"), head: of("head"), put: of("put") }
}

const looked = (options: Partial<VerifyPlan.VerifyOptions>, requests: Array<string>) =>
  Effect.gen(function* () {
    const plan = yield* VerifyPlan.make({ namespace: root, ...options })
    requests.splice(0)
    const summary = yield* Verify.run(plan)
    const outcome: Outcome = {
      plan,
      summary,
      states: Object.fromEntries(summary.snapshots.map(({ snapshot, state }) => [snapshot.group.id, state])),
      errors: summary.snapshots.flatMap(({ files }) => files.flatMap(({ errors }) => errors)),
      counts: countsOf(requests),
      requests: [...requests]
    }
    return outcome
  })

export const verify = (world: World, options: Partial<VerifyPlan.VerifyOptions> = {}, hooks: Hooks = {}) => {
  const requests: Array<string> = []
  return looked(options, requests).pipe(inStore(world, hooks, requests))
}

/** The same without a cache folder, as on a machine that has nothing but the bucket. */
export const verifyWithoutFolder = (
  { bucket }: World,
  options: Partial<VerifyPlan.VerifyOptions> = {},
  hooks: Hooks = {}
) => {
  const requests: Array<string> = []
  const objects = counted(MemoryObjectStore.make(bucket), hooks, requests)
  const store = StoreBucket.make({ name: "store", objects })
  return looked(options, requests).pipe(
    Effect.scoped,
    Effect.provide(Layer.provide(Layer.fresh(BucketReading.layer(store)), MemoryPlatform.layer()))
  )
}

/** What is recorded of a group's snapshot: `ok`, `failed` or nothing. */
export const recordedState = (world: World, id: string) =>
  Effect.flatMap(Datastore.Datastore, ({ snapshotFiles }) =>
    Effect.map(
      snapshotFiles.manifest(root, snapshotOf(id)),
      (manifest) => ManifestNotes.verifyState(manifest)?.state
    )
  ).pipe(inStore(world, {}, []))

/** The object of a file of a group's snapshot. */
export const fileKey = (id: string, fileName: string): string =>
  `store/.cnt/${Snapshot.format(snapshotOf(id))}/${fileName}`

export const filePath = (id: string, fileName: string): string =>
  `${base}/${Snapshot.format(snapshotOf(id))}/${fileName}`

export const bodyOf = ({ bucket }: World, key: string): Uint8Array => {
  const object = bucket.find(key)
  if (object === undefined) throw new Error(`there is no ${key}`)
  return Uint8Array.from(object.body)
}

/** Puts another body in an object's place, behind everybody's back. */
export const change = (world: World, key: string, make: (body: Uint8Array) => Uint8Array): void =>
  void world.bucket.put(key, make(bodyOf(world, key)), 0)

export const flipped = (body: Uint8Array): Uint8Array => body.with(body.length - 1, (body.at(-1) ?? 0) ^ 1)

export const fork = ({ bucket, disk }: World): World => ({ disk: disk.fork(), bucket: bucket.clone() })

const all = texts(0, 2300)

/** Two snapshots that share some chunks, of 2,300 together, and one of three chunks. */
const makeLarge = Effect.gen(function* () {
  const world = newWorld(all)
  yield* backUp(world, "one", all.slice(0, 1500))
  yield* backUp(world, "two", all.slice(1000))
  yield* backUp(world, "small", [all[0] ?? "", all[1200] ?? "", all[2200] ?? ""])
  return world
})

let large: World | undefined

export const largeWorld = Effect.gen(function* () {
  large ??= yield* makeLarge
  return fork(large)
})

export const few = texts(0, 12)

/** Twelve chunks in two snapshots: `even` has the even ones, `all` has all. */
export const smallWorld = Effect.gen(function* () {
  const world = newWorld(few)
  yield* backUp(
    world,
    "even",
    few.filter((_, number) => number % 2 === 0)
  )
  yield* backUp(world, "all", few)
  return world
})

export const [zero = "", one = "", two = ""] = few

export const badKeys = ({ bucket }: World): ReadonlyArray<string> =>
  bucket.keys().filter((key) => key.endsWith(".bad"))

export const chunkGets = ({ requests }: Outcome): number =>
  requests.filter((request) => request.startsWith("get store/.chunks/")).length

/** How a server in trouble answers. */
export const failed = (request: string) => {
  const [operation = "", key = ""] = request.split(" ")
  return Effect.fail(
    new ObjectStoreError({
      operation: operation === "list" ? "list" : operation === "head" ? "head" : "get",
      key: ObjectKey.isObjectKey(key) ? key : "",
      reason: "Unavailable"
    })
  )
}
