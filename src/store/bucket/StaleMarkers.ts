/**
 * StaleMarkers: drops the chunk files of a cache folder, content and markers alike, whose objects do not exist.
 *
 * The bucket's chunks are listed once, folder by folder beside the local ones; both go in the order of their digests,
 * so never more than one folder's names are in memory. What the listing lacks is only a candidate: it may have been
 * stored meanwhile. Under its guard the server is asked for that one object, and a definite no drops the file. A file
 * that was wrongly dropped would be worse than one kept: a collection goes by it.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Digest from "../../model/Digest.ts"
import { pages } from "../../objectstore/ObjectStore.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import { Files, isNotFound } from "../../platform/Files.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import type { StorageError } from "../StorageError.ts"
import { chunkPath, type StoreLayout } from "../StoreLayout.ts"
import * as StoreBucket from "./StoreBucket.ts"

export interface StaleMarkersOutcome {
  /** Chunks in the bucket. */
  readonly listed: number
  readonly dropped: number
}

const folderCount = 0x1_0000
const foldersAtOnce = 8
const questionsAtOnce = 8

const folderName = (folder: number): string => folder.toString(16).padStart(4, "0")

const none: ReadonlySet<Digest.Digest> = new Set()

const makeDropper = (
  files: Files["Service"],
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket,
  guards: DigestGuards["Service"]
) => {
  const dropUnlessThere = (digest: Digest.Digest) =>
    guards.guard(digest)(
      bucket.objects.head(StoreBucket.keyOf(bucket, { kind: "chunk", digest })).pipe(
        Effect.as(false),
        Effect.catchIf(
          ({ reason }) => reason === "NotFound",
          () => Effect.as(files.unlink(chunkPath(layout, digest)), true)
        ),
        // Somebody was quicker.
        Effect.catchIf(
          (error) => error._tag === "FilesError" && isNotFound(error),
          () => Effect.succeed(false)
        )
      )
    )

  /** Answers how many of the folder's files are gone now. */
  return (folder: number, listed: ReadonlySet<Digest.Digest>): Effect.Effect<number, StorageError> =>
    Effect.gen(function* () {
      const entries = yield* files
        .readDirectory(`${layout.chunks}/${folderName(folder)}`)
        .pipe(Effect.catchIf(isNotFound, () => Effect.succeed([])))
      const candidates = entries
        .map(({ name }) => name)
        .filter((name): name is Digest.Digest => Digest.isDigest(name) && !listed.has(name))
      const dropped = yield* Effect.forEach(candidates, dropUnlessThere, { concurrency: questionsAtOnce })
      return dropped.filter((isDropped) => isDropped).length
    })
}

const folderPattern = /^[0-9a-f]{4}$/

/** The folders that are there, in order. */
const localFolders = (files: Files["Service"], layout: StoreLayout) =>
  Effect.map(files.readDirectory(layout.chunks), (entries) =>
    entries
      .filter(({ name }) => folderPattern.test(name))
      .map(({ name }) => Number.parseInt(name, 16))
      .toSorted((left, right) => left - right)
  )

export const drop = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket,
  guards: DigestGuards["Service"]
): Effect.Effect<StaleMarkersOutcome, StorageError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const dropFrom = makeDropper(files, layout, bucket, guards)
    const folders = yield* localFolders(files, layout)
    let next = 0
    let current = 0
    let ofCurrent = new Set<Digest.Digest>()
    let [listed, dropped] = [0, 0]

    /** Everything below the folder `end` has been listed. */
    const finishUntil = (end: number) =>
      Effect.gen(function* () {
        const begin = next
        while (next < folders.length && (folders[next] ?? end) < end) next += 1
        const counts = yield* Effect.forEach(
          folders.slice(begin, next),
          (folder) => dropFrom(folder, folder === current ? ofCurrent : none),
          { concurrency: foldersAtOnce }
        )
        dropped += counts.reduce((sum, count) => sum + count, 0)
        current = end
        ofCurrent = new Set()
      })

    yield* Stream.runForEach(pages(bucket.objects, StoreKeys.chunksPrefix(bucket.prefix)), ({ objects }) =>
      Effect.gen(function* () {
        for (const { key } of objects) {
          const object = StoreKeys.read(bucket.prefix, key)
          if (object?.kind !== "chunk") continue
          const folder = Number.parseInt(Digest.prefix(object.digest), 16)
          if (folder > current) yield* finishUntil(folder)
          ofCurrent.add(object.digest)
          listed += 1
        }
      })
    )
    yield* finishUntil(folderCount)
    return { listed, dropped }
  })
