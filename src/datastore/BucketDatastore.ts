/**
 * BucketDatastore: makes a datastore in a bucket, or a cache folder for one that is there.
 *
 * Nothing is written before it is clear that nobody else uses the store, and that the server keeps what a datastore
 * needs. The mark of use is written last: what was interrupted before goes on where it was, when it is run again.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as path from "node:path"
import * as CapabilityProbe from "../objectstore/CapabilityProbe.ts"
import type * as ObjectKey from "../objectstore/ObjectKey.ts"
import { ObjectStore, pages } from "../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../objectstore/ObjectStoreError.ts"
import type { Files } from "../platform/Files.ts"
import { Host } from "../platform/Host.ts"
import * as FolderMark from "../store/bucket/FolderMark.ts"
import * as Generation from "../store/bucket/Generation.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"
import type { StorageError } from "../store/StorageError.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as StoreLayout from "../store/StoreLayout.ts"

export interface BucketCreateOptions {
  /** The cache folder: missing or empty. */
  readonly path: string
  readonly bucket: StoreBucket.StoreBucket
  /** Go on although the store is marked as in use. Default false. */
  readonly overwriteInUse?: boolean
  /** Take over the store that is in the bucket. Default false: there must be none. */
  readonly reuse?: boolean
  readonly onProgress?: (progress: StoreLayout.CreateProgress) => Effect.Effect<void>
  readonly probe?: CapabilityProbe.ProbeOptions
}

export interface BucketCreated {
  readonly layout: StoreLayout.StoreLayout
  /** What was found out about the server. */
  readonly report: CapabilityProbe.CapabilityReport
  /** The store was there: its metadata has to be fetched (`Refresh`) before it can be opened. */
  readonly needsRefresh: boolean
}

type Failure = StorageError | StoreError
type Bucket = StoreBucket.StoreBucket

const inUseMaxBytes = 64 * 1024

const printable = /^[\x20-\x7e]{1,255}$/

const hostIn = (body: Uint8Array): string => {
  try {
    const { hostname } = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>
    return typeof hostname === "string" && printable.test(hostname) ? hostname : "an unknown host"
  } catch {
    return "an unknown host"
  }
}

const inUseKey = (bucket: Bucket): ObjectKey.ObjectKey => StoreBucket.keyOf(bucket, { kind: "in use" })

/** The host that uses the store; undefined for none. */
export const usedBy = (bucket: Bucket): Effect.Effect<string | undefined, ObjectStoreError> =>
  bucket.objects.get(inUseKey(bucket), inUseMaxBytes).pipe(
    Effect.map(hostIn),
    Effect.catch((error) => {
      if (error.reason === "NotFound") return Effect.succeed(undefined)
      return error.reason === "TooLarge" ? Effect.succeed("an unknown host") : Effect.fail(error)
    })
  )

const refuseUsed = (bucket: Bucket, host: string): StoreError =>
  storeError("InUse", bucket.title, `this datastore is in use by ${host}`)

/** What hosts leave behind without there being a datastore: their marks, and the probe's objects. */
const isLeftover = (bucket: Bucket, key: string): boolean =>
  key === inUseKey(bucket) || /^\.granary(?:-probe)?\//.test(key.slice(bucket.prefix.length))

/** Whether anything lies below the store's prefix, foreign objects included. */
const isTaken = (bucket: Bucket): Effect.Effect<boolean, ObjectStoreError> =>
  pages(bucket.objects, bucket.prefix).pipe(
    Stream.map(({ foreignKeys, objects }) =>
      [...foreignKeys, ...objects.map(({ key }) => key)].some((key) => !isLeftover(bucket, key))
    ),
    Stream.filter((found) => found),
    Stream.take(1),
    Stream.runCollect,
    Effect.map((found) => found.length > 0)
  )

/** Refuses what would take somebody's store away. Only reads. */
const checkPlace = ({ bucket, overwriteInUse = false, reuse = false }: BucketCreateOptions) =>
  Effect.gen(function* () {
    const host = yield* usedBy(bucket)
    if (host !== undefined && !overwriteInUse) return yield* refuseUsed(bucket, host)
    const taken = yield* isTaken(bucket)
    if (taken && !reuse) {
      const detail = "there is a datastore of this name in the bucket, or something else below its prefix"
      return yield* storeError("InBucketAlready", bucket.title, detail)
    }
    if (reuse && !taken && host === undefined) {
      const detail = "there is no datastore of this name in the bucket"
      return yield* storeError("NotADatastore", bucket.title, detail)
    }
  })

const needed: ReadonlyArray<CapabilityProbe.Check> = [
  "read after write",
  "conditional put",
  "list after write"
]

/** Several hosts on a store are kept apart, and chunks kept from being lost, by what the server promises. */
const checkServer = ({ bucket, probe }: BucketCreateOptions) =>
  Effect.gen(function* () {
    const report = yield* CapabilityProbe.probe(bucket.prefix, probe).pipe(
      Effect.provideService(ObjectStore, bucket.objects)
    )
    const failing = report.verdicts.find(({ check, ok }) => !ok && needed.includes(check))
    if (failing === undefined) return report
    const detail = `this server cannot keep a datastore safely: ${failing.check}: ${failing.detail}`
    return yield* storeError("Unsuitable", bucket.title, detail)
  })

/** The folder of an interrupted creation is taken up again. From here on it says whose cache it will be. */
const prepareFolder = ({ bucket, onProgress, path: folder }: BucketCreateOptions, id: string) =>
  Effect.gen(function* () {
    const layout = StoreLayout.layoutOf(path.resolve(folder))
    const found = yield* FolderMark.read(layout)
    if (found?.state !== "creating" || found.store !== bucket.name)
      yield* StoreLayout.create(folder, onProgress)
    const mark = { store: bucket.name, title: bucket.title, id }
    yield* FolderMark.write(layout, { ...mark, state: "creating" })
    return { layout, mark }
  })

/** Says that this host uses the store; refuses when another one says so, unless that is to be overwritten. */
export const markUse = ({
  bucket,
  overwriteInUse = false
}: Pick<BucketCreateOptions, "bucket" | "overwriteInUse">) =>
  Effect.gen(function* () {
    const { nodeName } = yield* Host
    const key = inUseKey(bucket)
    const body = Buffer.from(JSON.stringify({ hostname: nodeName }))
    if (overwriteInUse) return yield* Effect.asVoid(bucket.objects.put(key, body))
    const { outcome } = yield* bucket.objects.putIfAbsent(key, body)
    if (outcome === "created") return
    const host = yield* usedBy(bucket)
    if (host !== nodeName) return yield* refuseUsed(bucket, host ?? "an unknown host")
  })

/** Makes the datastore; see `needsRefresh` for what is left to do. */
export const create = (options: BucketCreateOptions): Effect.Effect<BucketCreated, Failure, Files> =>
  Effect.gen(function* () {
    const { bucket, reuse = false } = options
    yield* checkPlace(options)
    const report = yield* checkServer(options)
    const generation = yield* Generation.ensure(bucket)
    const { layout, mark } = yield* prepareFolder(options, yield* FolderMark.ensureId(bucket))
    // There are no markers in the folder: they go with any generation.
    yield* Generation.remember(layout, generation)
    yield* markUse(options)
    yield* FolderMark.write(layout, { ...mark, state: reuse ? "incomplete" : "ready" })
    return { layout, report, needsRefresh: reuse }
  })

/** To be asked whenever a folder is opened as a datastore; without a bucket it must not be a cache. */
export const checkFolder = FolderMark.check
