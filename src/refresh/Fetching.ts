/**
 * Fetching: makes a folder agree with a listing of the bucket, and goes on until both hold still.
 *
 * Manifests are fetched last and removed first, so that a snapshot never counts as finished without its files. A
 * listing of many pages is not of one moment, and an object may be gone when it is asked for; so after the files come
 * a second listing, and each folder in which anything differs is listed by itself until two listings say the same.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as MetadataListing from "./MetadataListing.ts"
import type { MetadataFile } from "./MetadataListing.ts"
import * as Workplace from "./Workplace.ts"

type Failure = StorageError | StoreError
type FileMap = ReadonlyMap<string, MetadataFile>

export interface FetchCounts {
  objects: number
  bytes: number
  /** Objects that were gone when they were asked for. */
  vanished: number
  /** Requests that read objects, and such that list. */
  gets: number
  lists: number
}

export interface FetchScene {
  readonly bucket: StoreBucket
  readonly counts: FetchCounts
  readonly onFetched: (file: MetadataFile) => void
  /** Around the reading and writing of a manifest, which finishes this snapshot. */
  readonly whileManifest: (
    finished: NonNullable<MetadataFile["finishes"]>
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Failure, R>
}

const fetchesAtOnce = 16
/** Bodies that are in memory at once. */
const memoryBytes = 256 * 1024 * 1024
const memoryUnitBytes = 64 * 1024
const objectMaxBytes = 2 ** 31 - 1
const roundsMax = 10

/** One folder that is being made the same as the bucket's metadata. */
export class Target {
  /** What the folder holds, as it was listed. */
  readonly #held: Map<string, MetadataFile>
  readonly #root: string
  readonly #scene: FetchScene
  readonly #memory = Semaphore.makeUnsafe(memoryBytes / memoryUnitBytes)
  /** Folders that are known to be there. */
  readonly #folders = new Set<string>()

  constructor(root: string, scene: FetchScene, held: FileMap) {
    this.#root = root
    this.#scene = scene
    this.#held = new Map(held)
  }

  get held(): FileMap {
    return this.#held
  }

  /** Answers whether the object was there. */
  #fetch(file: MetadataFile): Effect.Effect<boolean, Failure, Files> {
    const { bucket, counts, onFetched, whileManifest } = this.#scene
    const place = `${this.#root}/${file.path}`
    const move = Effect.gen({ self: this }, function* () {
      const files = yield* Files
      counts.gets += 1
      const body = yield* bucket.objects.get(file.key, objectMaxBytes)
      yield* this.#ensureFolder(MetadataListing.folderOf(file.path))
      yield* files.replaceFile(place, [body])
      counts.objects += 1
      counts.bytes += body.length
      this.#held.set(file.path, file)
      onFetched(file)
      return true
    })
    const share = Math.min(memoryBytes, Math.max(1, file.sizeBytes)) / memoryUnitBytes
    return (file.finishes === undefined ? move : whileManifest(file.finishes)(move)).pipe(
      Effect.catchIf(
        (error) => error._tag === "ObjectStoreError" && error.reason === "NotFound",
        () => this.#forget(file.path)
      ),
      this.#memory.withPermits(Math.ceil(share))
    )
  }

  #ensureFolder(folder: string): Effect.Effect<void, FilesError, Files> {
    return Effect.suspend(() =>
      this.#folders.has(folder)
        ? Effect.void
        : Effect.tap(Workplace.ensureFolder(this.#root, folder), () =>
            Effect.sync(() => this.#folders.add(folder))
          )
    )
  }

  #forget(path: string): Effect.Effect<false, FilesError, Files> {
    this.#scene.counts.vanished += 1
    return Effect.as(this.#remove(path), false)
  }

  #remove(path: string): Effect.Effect<void, FilesError, Files> {
    return Effect.flatMap(Files, (files) => {
      this.#held.delete(path)
      return files.unlink(`${this.#root}/${path}`).pipe(Effect.catchIf(isNotFound, () => Effect.void))
    })
  }

  /** Removes a folder, and those around it, if nothing is left in them. To be called while nothing is fetched. */
  #prune(from: string): Effect.Effect<void, never, Files> {
    return Effect.gen({ self: this }, function* () {
      const files = yield* Files
      this.#folders.clear()
      // A type folder stays: it is what is put into place.
      for (let folder = from; folder.includes("/"); folder = MetadataListing.folderOf(folder)) {
        const removed = yield* Effect.result(files.removeDirectory(`${this.#root}/${folder}`))
        if (removed._tag === "Failure" && removed.failure.reason !== "NotFound") return
      }
    })
  }

  /** Fetches what the listing has and the folder has not, and removes the others, in the folders of `covers`. */
  bring(
    wanted: FileMap,
    covers: (folder: string) => boolean
  ): Effect.Effect<ReadonlySet<string>, Failure, Files> {
    return Effect.gen({ self: this }, function* () {
      const isCovered = (path: string) => covers(MetadataListing.folderOf(path))
      const gone = [...this.#held.values()].filter(({ path }) => !wanted.has(path) && isCovered(path))
      yield* Effect.forEach(manifestsFirst(gone), ({ path }) => this.#remove(path), { discard: true })
      const missing = [...wanted.values()].filter(
        (file) => !MetadataListing.isSame(file, this.#held.get(file.path)) && isCovered(file.path)
      )
      const vanished = new Set<string>()
      const fetchAll = (files: ReadonlyArray<MetadataFile>) =>
        Effect.forEach(
          files,
          (file) =>
            Effect.map(this.#fetch(file), (isThere) => {
              if (!isThere) vanished.add(MetadataListing.folderOf(file.path))
            }),
          { concurrency: fetchesAtOnce, discard: true }
        )
      yield* fetchAll(missing.filter(({ finishes }) => finishes === undefined))
      yield* fetchAll(missing.filter(({ finishes }) => finishes !== undefined))
      const emptied = new Set([...vanished, ...gone.map(({ path }) => MetadataListing.folderOf(path))])
      for (const folder of emptied) yield* this.#prune(folder)
      return vanished
    })
  }

  /** Lists one folder until two listings in a row say the same, and everything of the first could be fetched. */
  settle(folder: string): Effect.Effect<void, Failure, Files> {
    return Effect.gen({ self: this }, function* () {
      let before: FileMap | undefined
      let isWhole = false
      for (let round = 0; round < roundsMax; round++) {
        const { files, requests } = yield* MetadataListing.listFolder(this.#scene.bucket, folder)
        this.#scene.counts.lists += requests
        const isQuiet = before !== undefined && MetadataListing.changedFolders(before, files).size === 0
        if (isQuiet && isWhole) return
        isWhole = (yield* this.bring(files, (name) => name === folder)).size === 0
        before = files
      }
      const detail = "it changes faster in the bucket than it can be read"
      return yield* storeError("Busy", folder, detail)
    })
  }

  /** Makes the folder agree with a listing that was made after everything it holds; then nothing moves any more. */
  follow(
    listing: MetadataListing.MetadataListing,
    unsure: ReadonlySet<string>
  ): Effect.Effect<void, Failure, Files> {
    return Effect.gen({ self: this }, function* () {
      const folders = new Set([...unsure, ...MetadataListing.changedFolders(this.#held, listing.files)])
      for (const folder of folders) yield* this.settle(folder)
    })
  }
}

const manifestsFirst = (files: ReadonlyArray<MetadataFile>): ReadonlyArray<MetadataFile> => [
  ...files.filter(({ finishes }) => finishes !== undefined),
  ...files.filter(({ finishes }) => finishes === undefined)
]
