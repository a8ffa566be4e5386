/**
 * RestorePlan: what bringing an archive back would read and fetch, as a value, before any of it is read. It takes the
 * indexes, which are proven, and a look at the cache folder.
 *
 * What a selection by patterns leaves out cannot be known without reading, nor what the target has already: so of a
 * directory everything is counted, and the costs are the most that it can take.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import type { ManifestFile } from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import { Files, type FilesError } from "../platform/Files.ts"
import * as StoredSizes from "../store/bucket/StoredSizes.ts"
import type { StorageError } from "../store/StorageError.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import { chunkPath } from "../store/StoreLayout.ts"
import * as PxarParts from "./browse/PxarParts.ts"
import type { SnapshotReader } from "./SnapshotReader.ts"

export interface PlanOptions {
  /** As users know it: `root.pxar`, `disk.img`, `app.conf`. */
  readonly archive: string
  /** Only the bytes of the archive itself, as `Restore.stream` writes them: of a split one the entries. */
  readonly streams?: boolean
  /** Only a part of it is wanted. */
  readonly selects?: boolean
}

export interface RestorePlan {
  readonly archive: string
  /** Of the content. */
  readonly sizeBytes: number
  /** Different chunks, without those of zeros, which are never read. */
  readonly chunks: number
  readonly chunkBytes: number
  /** Those among them whose content the cache folder has; 0 for a store in a folder. */
  readonly cachedChunks: number
  /** From here on; undefined for a store in a folder. */
  readonly cost: RequestCosts.Expectation | undefined
}

type Failure = StorageError | StoreError

const statsTogether = 64

interface Wanted {
  readonly digest: Digest.Digest
  readonly sizeBytes: number
  /** How many places of the archive need it. */
  readonly places: number
}

/** Restoring knows a chunk of zeros by its digest, in an image whose chunks have one size. */
const zeroDigest = (reader: SnapshotReader, index: ChunkIndex): Effect.Effect<Digest.Digest | undefined> =>
  index.kind !== "fixed" || index.count < 2
    ? Effect.succeed(undefined)
    : Effect.map(reader.datastore.chunks.digest(new Uint8Array(index.end(0)), reader.crypt), (bytes) =>
        Digest.fromBytes(bytes)
      )

/** The different chunks of the indexes. */
const wantedOf = (reader: SnapshotReader, indexes: ReadonlyArray<ChunkIndex>) =>
  Effect.gen(function* () {
    const numbers = new DigestTable()
    const wanted: Array<{ digest: Digest.Digest; sizeBytes: number; places: number }> = []
    for (const index of indexes) {
      const zeros = yield* zeroDigest(reader, index)
      for (let chunk = 0; chunk < index.count; chunk++) {
        const sizeBytes = index.end(chunk) - index.start(chunk)
        const digest = index.digest(chunk)
        if (digest === zeros && sizeBytes === index.end(0)) continue
        const at = index.digestOffset(chunk)
        const known = wanted[numbers.get(index.entries, at) ?? -1]
        if (known !== undefined) known.places += 1
        else {
          numbers.set(index.entries, at, wanted.length)
          wanted.push({ digest, sizeBytes, places: 1 })
        }
      }
      yield* Effect.yieldNow
    }
    return wanted
  })

/** Those whose content the cache folder lacks. */
const notCached = (
  { datastore }: SnapshotReader,
  wanted: ReadonlyArray<Wanted>
): Effect.Effect<ReadonlyArray<Wanted>, FilesError, Files> =>
  Effect.gen(function* () {
    // Without a cache folder.
    if (datastore.records === undefined) return wanted
    const files = yield* Files
    const missing: Array<Wanted> = []
    for (let from = 0; from < wanted.length; from += statsTogether) {
      const some = wanted.slice(from, from + statsTogether)
      const stats = yield* files.statEach(some.map(({ digest }) => chunkPath(datastore.layout, digest)))
      missing.push(...some.filter((_, number) => (stats[number]?.sizeBytes ?? 0) === 0))
      yield* Effect.yieldNow
    }
    return missing
  })

const filesOf = (reader: SnapshotReader, { archive, streams = false }: PlanOptions) =>
  PxarParts.find(reader.manifest, archive).pipe(
    Effect.map(({ archive: own, name, payload }) => ({
      name,
      files: payload === undefined || streams ? [own] : [own, payload],
      isDirectory: !streams
    })),
    Effect.catch(() =>
      Effect.map(reader.find(archive), (file) => ({
        name: ArchiveName.fromFile(file.filename).client,
        files: [file],
        isDirectory: false
      }))
    )
  )

const indexOf = (reader: SnapshotReader, file: ManifestFile): Effect.Effect<ChunkIndex, Failure> =>
  Effect.flatMap(reader.index(file), (index) =>
    file.cryptMode === "encrypt" && reader.crypt === undefined
      ? Effect.fail(storeError("KeyNeeded", file.filename, "this archive is encrypted"))
      : Effect.succeed(index)
  )

/** A chunk that the archive needs again far behind is fetched again, unless the cache folder has kept it. */
const fetchCost = (
  reader: SnapshotReader,
  missing: ReadonlyArray<Wanted>,
  isSelective: boolean
): Effect.Effect<RequestCosts.Expectation> =>
  Effect.gen(function* () {
    const { records } = reader.datastore
    const keeps = records !== undefined
    const storedSize = yield* StoredSizes.load(records)
    let get = 0
    let receivedBytes = 0
    for (const { digest, places, sizeBytes } of missing) {
      const fetches = keeps ? 1 : places
      get += fetches
      receivedBytes += fetches * storedSize(Digest.toBytes(digest), 0, sizeBytes)
    }
    const repeats = missing.some(({ places }) => places > 1)
    const bound = isSelective || (repeats && !keeps) ? "at most" : "exactly"
    return RequestCosts.expectation(RequestCosts.make({ get, receivedBytes }), {
      requestsAre: repeats && keeps ? "about" : bound,
      bytesAre: repeats && keeps ? "about" : "at most"
    })
  })

const planBlob = (reader: SnapshotReader, name: string, { sizeBytes }: ManifestFile): RestorePlan => {
  const { bucket, records } = reader.datastore
  const hasFile = records !== undefined
  const fetch = hasFile ? RequestCosts.none : RequestCosts.make({ get: 1, receivedBytes: sizeBytes })
  const cost = bucket === undefined ? undefined : RequestCosts.expectation(fetch)
  return { archive: name, sizeBytes, chunks: 0, chunkBytes: 0, cachedChunks: 0, cost }
}

export const make = (
  reader: SnapshotReader,
  options: PlanOptions
): Effect.Effect<RestorePlan, Failure, Files> =>
  Effect.gen(function* () {
    const { files, isDirectory, name } = yield* filesOf(reader, options)
    const [first] = files
    if (first !== undefined && ArchiveName.fromFile(first.filename).kind === "blob") {
      return planBlob(reader, name, first)
    }
    const indexes = yield* Effect.forEach(files, (file) => indexOf(reader, file))
    const wanted = yield* wantedOf(reader, indexes)
    const isInBucket = reader.datastore.bucket !== undefined
    const missing = isInBucket ? yield* notCached(reader, wanted) : wanted
    const isSelective = isDirectory || options.selects === true
    return {
      archive: name,
      sizeBytes: indexes.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
      chunks: wanted.length,
      chunkBytes: wanted.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
      cachedChunks: wanted.length - missing.length,
      cost: isInBucket ? yield* fetchCost(reader, missing, isSelective) : undefined
    }
  })
