/**
 * Datastores for the comparison on S3: in a bucket with a cache folder, read straight from the bucket, and in a local
 * folder; and the work that is timed in them.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from "node:fs"
import { open, readFile, writeFile } from "node:fs/promises"
import * as path from "node:path"
import * as Backup from "../src/backup/Backup.ts"
import * as BucketDatastore from "../src/datastore/BucketDatastore.ts"
import * as BucketReading from "../src/datastore/BucketReading.ts"
import * as Datastore from "../src/datastore/Datastore.ts"
import type { ChunkIndex } from "../src/format/ChunkIndex.ts"
import * as ArchiveName from "../src/model/ArchiveName.ts"
import * as AuthId from "../src/model/AuthId.ts"
import * as BackupGroup from "../src/model/BackupGroup.ts"
import * as Namespace from "../src/model/Namespace.ts"
import type * as Snapshot from "../src/model/Snapshot.ts"
import { stack } from "../src/objectstore/decorators/stack.ts"
import * as S3ObjectStore from "../src/objectstore/s3/S3ObjectStore.ts"
import { ChunkCodec } from "../src/platform/ChunkCodec.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"
import * as ArchiveReader from "../src/restore/ArchiveReader.ts"
import * as Restore from "../src/restore/Restore.ts"
import * as SnapshotReader from "../src/restore/SnapshotReader.ts"
import * as StoreBucket from "../src/store/bucket/StoreBucket.ts"
import { chunkPath, layoutOf } from "../src/store/StoreLayout.ts"
import { type Place, settingsOf } from "../test/objectstore/s3/buckets.ts"
import { makeNoise } from "./SeededData.ts"
import { type Cost, getEach, type PlainObject, putEach, timed } from "./s3Plain.ts"

const MIB = 1024 * 1024
const chunkBytes = 4 * MIB
const archive = ArchiveName.fromClient("disk.img")

/** Each has done something, so that no thread is still starting when the clock runs. */
const warmUp = Effect.gen(function* () {
  const codec = yield* ChunkCodec
  const jobs = Array.from({ length: codec.parallelism }, (_, number) => new Uint8Array([number]))
  yield* Effect.forEach(jobs, (job) => codec.digest(job, undefined), {
    concurrency: "unbounded",
    discard: true
  })
})

/** Threads are there before the clock runs. */
const machine = Layer.tap(NodePlatform.layerWith({ startsEarly: true }), (context) =>
  Effect.provideContext(warmUp, context)
)

/** Every chunk is `noiseBytes` that do not compress, and something that takes next to no room. */
export const writeImage = (file: string, seed: string, chunkCount: number, noiseBytes: number): void => {
  const noise = makeNoise(seed)
  const chunk = Buffer.alloc(chunkBytes, "the same words again and again, ")
  const target = openSync(file, "w")
  for (let number = 0; number < chunkCount; number++) {
    noise(chunk.subarray(0, noiseBytes))
    writeSync(target, chunk)
  }
  closeSync(target)
}

export const openBucket = (place: Place) =>
  Effect.gen(function* () {
    const objects = yield* stack(yield* S3ObjectStore.make(settingsOf(place)))
    return StoreBucket.make({ objects, name: "store", title: `s3:bench/${place.bucket}/store` })
  })

/** A new store in the bucket, or in the folder alone. */
export const create = (folder: string, place: Place | undefined) =>
  Effect.gen(function* () {
    if (place === undefined) return yield* Datastore.create(folder)
    yield* BucketDatastore.create({ path: folder, bucket: yield* openBucket(place) })
  }).pipe(Effect.scoped, Effect.provide(machine))

/** With the store open. */
const inside = (folder: string, place: Place | undefined) =>
  place === undefined
    ? Datastore.layer({ path: folder })
    : Layer.unwrap(
        Effect.map(openBucket(place), (bucket) =>
          Datastore.layer({ path: folder, bucket, maxCacheBytes: 1e12 })
        )
      )

const straight = (place: Place) =>
  Layer.unwrap(Effect.map(openBucket(place), (bucket) => BucketReading.layer(bucket)))

/** Takes one group for each image, so that no backup has anything to build on. */
export const backUp = (folder: string, place: Place | undefined, image: string) =>
  Effect.gen(function* () {
    let snapshot: Snapshot.Snapshot | undefined
    const cost = yield* timed(
      Effect.map(
        Backup.run({
          namespace: Namespace.root,
          group: BackupGroup.make("host", path.basename(image)),
          owner: AuthId.parse("root@pam"),
          archives: [{ kind: "image", archive, path: image }]
        }),
        (summary) => void (snapshot = summary.snapshot)
      )
    )
    if (snapshot === undefined) throw new Error("the backup made no snapshot")
    return { cost, snapshot }
  }).pipe(Effect.provide(Layer.provideMerge(inside(folder, place), machine)), Effect.scoped)

const restoreTo = (snapshot: Snapshot.Snapshot, target: string) =>
  Effect.gen(function* () {
    const reader = yield* SnapshotReader.open({ namespace: Namespace.root, snapshot })
    yield* Restore.run(reader, { archive: archive.client, target, overwrite: "always" })
  }).pipe(Effect.scoped)

const intoFile = (snapshot: Snapshot.Snapshot, target: string) =>
  Effect.tap(timed(restoreTo(snapshot, target)), () => Effect.sync(() => rmSync(target)))

/** From the folder and what its cache has. */
export const restore = (
  folder: string,
  place: Place | undefined,
  snapshot: Snapshot.Snapshot,
  target: string
): Effect.Effect<Cost, unknown> =>
  intoFile(snapshot, target).pipe(
    Effect.provide(Layer.provideMerge(inside(folder, place), machine)),
    Effect.scoped
  )

/** Straight from the bucket: every chunk comes from there. */
export const restoreStraight = (place: Place, snapshot: Snapshot.Snapshot, target: string) =>
  intoFile(snapshot, target).pipe(Effect.provide(Layer.provideMerge(straight(place), machine)), Effect.scoped)

const indexOf = (snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const reader = yield* SnapshotReader.open({ namespace: Namespace.root, snapshot })
    return yield* reader.index(yield* reader.find(archive.client))
  })

const chunksOf = (index: ChunkIndex) =>
  Array.from({ length: index.count }, (_, chunk) => ({
    digest: index.digest(chunk),
    sizeBytes: index.end(chunk) - index.start(chunk),
    crypt: undefined
  }))

/** Straight from the bucket, from the first chunk asked for to the last one decoded; nothing is written. */
const readStraight = <E, R>(
  place: Place,
  snapshot: Snapshot.Snapshot,
  read: (index: ChunkIndex) => Effect.Effect<void, E, R>
) =>
  Effect.flatMap(indexOf(snapshot), (index) => timed(read(index))).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(straight(place), machine)),
    Effect.scoped
  )

/** Each chunk when the one before is there. */
export const readOneByOne = (place: Place, snapshot: Snapshot.Snapshot) =>
  readStraight(place, snapshot, (index) =>
    Effect.gen(function* () {
      const { chunks } = yield* Datastore.Datastore
      for (const wanted of chunksOf(index)) yield* chunks.read(wanted)
    })
  )

/** As a restore reads. */
export const readAhead = (place: Place, snapshot: Snapshot.Snapshot) =>
  readStraight(place, snapshot, (index) =>
    Effect.gen(function* () {
      const { chunks } = yield* Datastore.Datastore
      const reader = yield* ArchiveReader.make(chunks, index, undefined)
      const pieces = yield* reader.pieces()
      while ((yield* pieces.next) !== undefined);
    }).pipe(Effect.scoped)
  )

/** The chunks as objects: what they hold is in the cache folder. */
export const objectsOf = (folder: string, place: Place, snapshot: Snapshot.Snapshot, prefix: string) =>
  Effect.map(indexOf(snapshot), (index): ReadonlyArray<PlainObject> => {
    const layout = layoutOf(folder)
    return chunksOf(index).map(({ digest }) => ({
      key: `${prefix}/${digest}`,
      read: () => readFile(chunkPath(layout, digest))
    }))
  }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(inside(folder, place), machine)), Effect.scoped)

/** Memory for a chunk, used again: as many pieces come to be as are in use at once. */
const makeRooms = () => {
  const free: Array<Uint8Array> = []
  return {
    take: (): Uint8Array => free.pop() ?? new Uint8Array(new SharedArrayBuffer(chunkBytes)),
    giveBack: (room: Uint8Array): void => void free.push(room)
  }
}

/**
 * What a restore cannot do without, by the plain SDK: each object is got, decoded, proven, and written to its place in
 * a file. Nothing of the snapshot is read meanwhile.
 */
export const getAndWrite = (
  place: Place,
  folder: string,
  snapshot: Snapshot.Snapshot,
  prefix: string,
  target: string
) =>
  Effect.gen(function* () {
    const codec = yield* ChunkCodec
    const chunks = chunksOf(yield* indexOf(snapshot))
    const rooms = makeRooms()
    const write = Effect.acquireUseRelease(
      Effect.promise(() => open(target, "w")),
      (file) =>
        getEach(
          place,
          chunks.map(({ digest }) => `${prefix}/${digest}`),
          (blob, number) =>
            Effect.gen(function* () {
              const { digest } = chunks[number]!
              const target = rooms.take()
              const request = { digest, sizeBytes: chunkBytes, crypt: undefined, consumes: true, target }
              const data = yield* codec.decode(blob, request)
              yield* Effect.promise(() => file.write(data, 0, data.length, number * chunkBytes))
              rooms.giveBack(target)
            })
        ),
      (file) => Effect.promise(() => file.close())
    )
    return yield* timed(write)
  }).pipe(
    Effect.ensuring(Effect.sync(() => rmSync(target, { force: true }))),
    Effect.provide(Layer.provideMerge(inside(folder, place), machine)),
    Effect.scoped
  )

/**
 * What a backup cannot do without, by the plain SDK: each chunk is read, hashed and encoded, put, and kept in a folder.
 * Nothing is looked for, and no snapshot is made.
 */
export const readAndPut = (place: Place, image: string, folder: string, prefix: string) =>
  Effect.gen(function* () {
    const codec = yield* ChunkCodec
    mkdirSync(folder)
    const count = Math.ceil(statSync(image).size / chunkBytes)
    const rooms = makeRooms()
    const put = Effect.acquireUseRelease(
      Effect.promise(() => open(image, "r")),
      (file) =>
        putEach(place, count, (number) =>
          Effect.gen(function* () {
            const data = rooms.take()
            yield* Effect.promise(() => file.read(data, 0, chunkBytes, number * chunkBytes))
            const digest = Buffer.from(yield* codec.digest(data, undefined)).toString("hex")
            const { blob } = yield* codec.encode({ data, compress: true, crypt: undefined })
            rooms.giveBack(data)
            return {
              key: `${prefix}/${digest}`,
              body: blob,
              finish: Effect.promise(() => writeFile(path.join(folder, digest), blob))
            }
          })
        ),
      (file) => Effect.promise(() => file.close())
    )
    return yield* timed(put)
  }).pipe(
    Effect.ensuring(Effect.sync(() => rmSync(folder, { recursive: true, force: true }))),
    Effect.provide(machine),
    Effect.scoped
  )
