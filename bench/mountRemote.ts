/**
 * Mounts of datastores in a bucket that is 50 ms away: images read from one end to the other beside a reader that
 * takes one chunk after the other, and how many requests it takes to see a large archive for the first time. The server
 * is the tests' own, in memory; it counts.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync } from "node:fs"
import * as path from "node:path"
import * as BucketReading from "../src/datastore/BucketReading.ts"
import * as Datastore from "../src/datastore/Datastore.ts"
import * as Mount from "../src/fuse/Mount.ts"
import * as ArchiveName from "../src/model/ArchiveName.ts"
import * as BackupGroup from "../src/model/BackupGroup.ts"
import * as Namespace from "../src/model/Namespace.ts"
import * as Snapshot from "../src/model/Snapshot.ts"
import { stack } from "../src/objectstore/decorators/stack.ts"
import * as S3ObjectStore from "../src/objectstore/s3/S3ObjectStore.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"
import * as SnapshotReader from "../src/restore/SnapshotReader.ts"
import * as StoreBucket from "../src/store/bucket/StoreBucket.ts"
import type { MemoryBucket } from "../src/testing/MemoryBucket.ts"
import { type Place, settingsOf } from "../test/objectstore/s3/buckets.ts"
import * as S3Endpoint from "../test/s3/S3Endpoint.ts"
import { storeName, uploadStore } from "../test/store/bucket/bucketScene.ts"
import { lateServer } from "./lateServer.ts"
import { makeTree, once, type Scale, sizes } from "./mountData.ts"
import { imageName, storeImage } from "./mountImages.ts"
import type { Figure } from "./mountLocal.ts"
import type { Places } from "./mountPeers.ts"
import { type Argv, run, usageOf } from "./mountProcesses.ts"

export const latencyMillis = 50

const KIB = 1024

/**
 * By their groups. Latency shall count, and not how fast one machine plays all the parts: so chunks take little room in
 * the bucket. Those of 4 MiB cost two processors so much by themselves (proving, copying) that little of the time is
 * latency; with those of 1 MiB it is nearly all.
 */
const images = {
  "image-small": { step: "sequential, 50 ms", chunkBytes: 1024 * KIB, noiseBytes: 16 * KIB, share: 4 },
  image: { step: "sequential, 50 ms, 4 MiB", chunkBytes: 4096 * KIB, noiseBytes: 64 * KIB, share: 1 }
} as const
type ImageId = keyof typeof images
const imageIds = Object.keys(images) as ReadonlyArray<ImageId>

interface Listed {
  readonly "backup-id": string
  readonly "backup-time": number
}

const makeStore = async (granary: Argv, folder: string, scale: Scale, tree: string): Promise<void> => {
  await run([...granary, "init", folder])
  for (const id of imageIds) {
    await storeImage(folder, id, { ...images[id], chunks: images[id].share * sizes[scale].remoteChunks })
  }
  const backup = ["backup", "--repository", folder, "--change-detection", "data", "--backup-id"]
  await run([...granary, ...backup, "tree", `tree.pxar:${tree}`])
}

const straight = (place: Place) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const objects = yield* stack(yield* S3ObjectStore.make(settingsOf(place)))
      return BucketReading.layer(StoreBucket.make({ objects, name: storeName, title: "the bucket" }))
    })
  )

const inSeconds = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const beginMillis = performance.now()
    yield* work
    return (performance.now() - beginMillis) / 1000
  })

/** Each chunk when the one before is there; the clock begins when the index is. */
const readOneByOne = (place: Place, snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const { chunks } = yield* Datastore.Datastore
    const reader = yield* SnapshotReader.open({ namespace: Namespace.root, snapshot })
    const index = yield* reader.index(yield* reader.find(ArchiveName.fromClient(imageName).client))
    return yield* inSeconds(
      Effect.gen(function* () {
        for (let chunk = 0; chunk < index.count; chunk++) {
          const sizeBytes = index.end(chunk) - index.start(chunk)
          yield* chunks.read({ digest: index.digest(chunk), sizeBytes, crypt: undefined })
        }
      })
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(straight(place), NodePlatform.layer)),
    Effect.scoped
  )

const mounted = <A>(place: Place, mountpoint: string, use: (handle: Mount.MountHandle) => Promise<A>) =>
  Effect.gen(function* () {
    mkdirSync(mountpoint, { recursive: true })
    const handle = yield* Mount.mount({
      store: { kind: "bucket", settings: settingsOf(place), store: storeName, title: "the bucket" },
      mountpoint,
      driver: "kernel"
    })
    return yield* Effect.promise(() => use(handle))
  }).pipe(Effect.scoped)

/** What stands in the snapshot's directory is looked at before the clock runs, as an index is for the other one. */
const readMounted = (place: Place, mountpoint: string, id: ImageId) =>
  mounted(place, mountpoint, async ({ pid }) => {
    const file = path.join(mountpoint, "host", id, "latest", imageName)
    await run(["stat", file])
    const before = usageOf(pid).processorSeconds
    const { wallSeconds } = await run(["dd", `if=${file}`, "of=/dev/null", "bs=1M", "status=none"])
    const { memoryPeakBytes, processorSeconds } = usageOf(pid)
    return { wallSeconds, memoryPeakBytes, processorSeconds: processorSeconds - before }
  })

const countRequests = (endpoint: S3Endpoint.S3Endpoint, place: Place, mountpoint: string) => {
  const ls = (step: string, flags: string) =>
    Effect.suspend(() => {
      const before = endpoint.served.length
      return mounted(place, mountpoint, async ({ pid }) => {
        const { wallSeconds } = await run([
          "sh",
          "-ec",
          `ls ${flags} "$0" > /dev/null`,
          path.join(mountpoint, "host/tree/latest/tree.pxar/")
        ])
        const { memoryPeakBytes } = usageOf(pid)
        return [
          { step: `requests of ${step}`, program: "granary", value: endpoint.served.length - before },
          { step, program: "granary", value: wallSeconds, memoryPeakBytes }
        ]
      })
    })
  return Effect.map(
    Effect.all([ls("first ls -l", "-l"), ls("first ls -lR", "-lR")]),
    (all): ReadonlyArray<Figure> => all.flat()
  )
}

const measureBucket = (
  memory: MemoryBucket,
  snapshots: Readonly<Record<ImageId, Snapshot.Snapshot>>,
  mountpoint: string,
  rounds: number
) =>
  Effect.gen(function* () {
    const endpoint = yield* S3Endpoint.start({ memory })
    const place: Place = { ...endpoint, url: yield* lateServer(endpoint.url, latencyMillis) }
    const figures: Array<Figure> = []
    const measure = (id: ImageId) =>
      Effect.gen(function* () {
        const { step } = images[id]
        const { wallSeconds: value, ...usage } = yield* readMounted(place, mountpoint, id)
        figures.push({ step, program: "granary", value, ...usage })
        const oneByOneSeconds = yield* readOneByOne(place, snapshots[id])
        figures.push({ step, program: "one by one", value: oneByOneSeconds })
      })
    for (let round = 0; round < rounds; round++) yield* Effect.forEach(imageIds, measure)
    return [...figures, ...(yield* countRequests(endpoint, place, mountpoint))]
  }).pipe(Effect.scoped)

export const measureRemote = async (
  granary: Argv,
  { mountpoint, store, tree }: Places,
  scale: Scale,
  rounds: number
): Promise<ReadonlyArray<Figure>> => {
  const local = `${store}-far-away`
  await once(tree, (folder) => {
    mkdirSync(folder)
    makeTree(folder, scale)
  })
  await once(local, (folder) => makeStore(granary, folder, scale, tree))
  const listed = await run([...granary, "snapshots", "--repository", local, "--output", "json"])
  const all = JSON.parse(listed.output) as ReadonlyArray<Listed>
  const snapshotOf = (id: ImageId): Snapshot.Snapshot => {
    const found = all.find((each) => each["backup-id"] === id)
    if (found === undefined) throw new Error(`no snapshot of ${id}: ${listed.output}`)
    return Snapshot.make(BackupGroup.make("host", id), found["backup-time"])
  }
  const snapshots = { image: snapshotOf("image"), "image-small": snapshotOf("image-small") }
  return Effect.runPromise(measureBucket(uploadStore(local), snapshots, mountpoint, rounds))
}
