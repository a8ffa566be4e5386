/**
 * ChunkPresence: whether the chunks of many digests are there, without reading any: a regular file that is not empty
 * under the chunk's name. A chunk that was condemned has another name and is not there. In the cache folder of a
 * bucket's datastore an empty file is a chunk as well: it marks an object that exists; and what the folder does not
 * know may exist (see `bucket/BucketPresence`).
 *
 * One look at a name that the system has in its cache takes some microseconds, and handing it to another thread and
 * back ten times as much. So names are looked at in the order of the folders they lie in, some dozens in one go. When
 * that turns out to be slow, the disk or a network has to be asked: then the next ones are looked at in other threads,
 * many at once, so that no other fiber waits for the disk.
 *
 * Going through all 65,536 folders instead is never faster: their listings do not tell what is empty, so that every
 * chunk has to be looked at in any case.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Digest from "../model/Digest.ts"
import { Files, type FilesError, isNotFound, type PathStat } from "../platform/Files.ts"
import type { StorageError } from "./StorageError.ts"
import { chunkPath, type StoreLayout } from "./StoreLayout.ts"

export class ChunkPresence extends Context.Service<
  ChunkPresence,
  {
    /**
     * Which of the digests, 32 bytes each in one row, have no chunk, or an empty one where that is none: their numbers
     * in the row, in ascending order. A name that cannot be looked at is a failure, and says nothing about the chunk.
     */
    readonly findAbsent: (digests: Uint8Array) => Effect.Effect<ReadonlyArray<number>, StorageError>
  }
>()("granary/store/ChunkPresence") {}

/** How names are looked at: quickly, in other threads, or quickly but few, to find out whether that works again. */
type Pace = "quick" | "patient" | "probe"

/** 64 quick looks take a quarter of a millisecond; patient ones are worth a switch when they are many. */
const batchCounts: Record<Pace, number> = { quick: 64, patient: 1024, probe: 8 }

const patientConcurrency = 16

/** A look that takes longer than this had to wait for a disk or a network. */
const slowNanos = 100_000

const nextPace = (pace: Pace, isSlow: boolean): Pace =>
  pace === "patient" ? "probe" : isSlow ? "patient" : "quick"

export interface ChunkPresenceOptions {
  /** Whether an empty file is a chunk. Default false. */
  readonly countsMarkers?: boolean
}

const isPresent = (stat: PathStat | undefined, countsMarkers: boolean): boolean =>
  stat?.kind === "file" && (countsMarkers || stat.sizeBytes > 0)

const keyUnit = 2 ** 32

/** The digests in the order of the folders that hold their chunks, as keys: a folder's number and a digest's. */
const inFolderOrder = (digests: Uint8Array): Float64Array => {
  const keys = new Float64Array(digests.length / Digest.lengthBytes)
  for (let number = 0, at = 0; number < keys.length; number++, at += Digest.lengthBytes) {
    const folder = (digests[at] ?? 0) * 0x100 + (digests[at + 1] ?? 0)
    keys[number] = folder * keyUnit + number
  }
  return keys.sort()
}

const lookPatiently = (files: Files["Service"], paths: ReadonlyArray<string>) =>
  Effect.forEach(
    paths,
    (path) => Effect.catchIf(files.stat(path), isNotFound, () => Effect.succeed(undefined)),
    { concurrency: patientConcurrency }
  )

export const make = (
  layout: StoreLayout,
  { countsMarkers = false }: ChunkPresenceOptions = {}
): Effect.Effect<ChunkPresence["Service"], never, Files> =>
  Effect.map(Files, (files) => {
    const pathOf = (digests: Uint8Array, number: number): string =>
      chunkPath(layout, Digest.fromBytes(digests, number * Digest.lengthBytes))

    const findAbsent = (digests: Uint8Array): Effect.Effect<ReadonlyArray<number>, FilesError> =>
      Effect.gen(function* () {
        const keys = inFolderOrder(digests)
        const absent: Array<number> = []
        let pace: Pace = "quick"
        for (let from = 0; from < keys.length;) {
          const batch = Array.from(keys.subarray(from, from + batchCounts[pace]), (key) => key % keyUnit)
          const paths = batch.map((number) => pathOf(digests, number))
          const startNanos = yield* Clock.currentTimeNanos
          const stats: ReadonlyArray<PathStat | undefined> =
            pace === "patient" ? yield* lookPatiently(files, paths) : yield* files.statEach(paths)
          const isSlow = (yield* Clock.currentTimeNanos) - startNanos > slowNanos * batch.length
          batch.forEach((number, place) => {
            if (!isPresent(stats[place], countsMarkers)) absent.push(number)
          })
          from += batch.length
          pace = nextPace(pace, isSlow)
          yield* Effect.yieldNow
        }
        return absent.sort((left, right) => left - right)
      })

    return ChunkPresence.of({ findAbsent })
  })

export const layer = (
  layout: StoreLayout,
  options?: ChunkPresenceOptions
): Layer.Layer<ChunkPresence, never, Files> => Layer.effect(ChunkPresence, make(layout, options))
