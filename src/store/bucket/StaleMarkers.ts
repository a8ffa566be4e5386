/**
 * StaleMarkers: makes the chunk files of a cache folder true again, content and markers alike, after others have
 * removed objects: files whose objects do not exist are dropped.
 *
 * The bucket's chunks are listed once, folder by folder beside the local ones. What the listing lacks is only a
 * candidate: it may have been stored meanwhile. While they are few, the server is asked for each of them under its
 * guard. Many are looked for in a second listing (`Existence`); what that lacks too goes, if it is still the file that
 * was there before, and is asked for under its guard otherwise. Nobody but who puts the file's own content back makes
 * an object without replacing the file: the object of a file that is dropped then is new, and no collection takes it
 * for old.
 *
 * What was collected is garbage. But where the bucket has a condemned object of the digest (`.N.bad`), a chunk that is
 * needed was found to be corrupt and set aside: good content of it in this folder may be all that is left, and is put
 * into the bucket again. Content of what was collected is never put back: then hosts would bring each other's garbage
 * back for ever.
 */
import * as Effect from "effect/Effect"
import * as Digest from "../../model/Digest.ts"
import { DigestTable } from "../../model/DigestTable.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { Files, isNotFound } from "../../platform/Files.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import type { StorageError } from "../StorageError.ts"
import { chunkPath, type StoreLayout } from "../StoreLayout.ts"
import { type ChunkObject, ChunkObjects, isWhole } from "./ChunkObjects.ts"
import * as Existence from "./Existence.ts"
import { type FileRow, FileRows } from "./FileRows.ts"
import type * as StoreBucket from "./StoreBucket.ts"
import * as UntrueFiles from "./UntrueFiles.ts"

export interface StaleMarkersOutcome {
  /** Chunks and condemned chunks in the bucket. */
  readonly listed: number
  readonly dropped: number
  /** Put into the bucket again. */
  readonly mended: number
}

const foldersAtOnce = 8
const filesAtOnce = 8

const folderPattern = /^[0-9a-f]{4}$/

/** The folders that are there, in order. */
const localFolders = (files: Files["Service"], layout: StoreLayout) =>
  Effect.map(files.readDirectory(layout.chunks), (entries) =>
    entries
      .map(({ name }) => name)
      .filter((name) => folderPattern.test(name))
      .toSorted()
  )

/** What one pass through folder and listing has found. */
interface Found {
  readonly unlisted: FileRows
  /** Digests of which the bucket has nothing but what was set aside. */
  readonly condemned: DigestTable
}

const lookInto = (
  files: Files["Service"],
  layout: StoreLayout,
  { condemned, unlisted }: Found,
  folder: string,
  objects: ReadonlyArray<ChunkObject>
) =>
  Effect.gen(function* () {
    const listed = new Set(objects.filter(isWhole).map(({ digest }) => digest))
    const entries = yield* files
      .readDirectory(`${layout.chunks}/${folder}`)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed([])))
    for (const { name } of entries) {
      if (!Digest.isDigest(name) || listed.has(name)) continue
      const stat = yield* files
        .stat(chunkPath(layout, name))
        .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
      if (stat?.kind === "file") unlisted.add(Digest.toBytes(name), stat)
    }
    for (const { digest, number } of objects) {
      if (number !== undefined && !listed.has(digest)) condemned.addDigest(digest)
    }
  })

/** The listing has come to `next`, or to its end. */
const isBefore = (folder: string | undefined, next: string | undefined): boolean =>
  folder !== undefined && (next === undefined || folder < next)

const compare = (files: Files["Service"], layout: StoreLayout, objects: ChunkObjects) =>
  Effect.gen(function* () {
    const found: Found = { unlisted: new FileRows(), condemned: new DigestTable() }
    const folders = yield* localFolders(files, layout)
    let at = 0
    while (at < folders.length) {
      const next = yield* objects.folder
      const begin = at
      while (isBefore(folders[at], next)) at += 1
      yield* Effect.forEach(
        folders.slice(begin, at),
        (folder) => lookInto(files, layout, found, folder, []),
        { concurrency: foldersAtOnce, discard: true }
      )
      if (next === undefined) return found
      const listed = yield* objects.take(next)
      if (folders[at] !== next) continue
      yield* lookInto(files, layout, found, next, listed)
      at += 1
    }
    // Nothing is here of what follows.
    for (let next = yield* objects.folder; next !== undefined; next = yield* objects.folder)
      yield* objects.take(next)
    return found
  })

/** Settles what may be untrue; answers how many were dropped and mended. */
const settleAll = (
  layout: StoreLayout,
  site: UntrueFiles.Site,
  { condemned, unlisted }: Found,
  pages: number
) =>
  Effect.gen(function* () {
    const counts = { dropped: 0, mended: 0 }
    const ask = ({ digest, sizeBytes }: FileRow) =>
      Effect.map(
        UntrueFiles.settle(layout, site, digest, sizeBytes > 0 && condemned.hasDigest(digest)),
        (outcome) => {
          if (outcome !== "true") counts[outcome] += 1
        }
      )
    const dropOrAsk = (row: FileRow) =>
      Effect.flatMap(UntrueFiles.drop(layout, site, row), (isDropped) => {
        if (isDropped) counts.dropped += 1
        return isDropped ? Effect.void : ask(row)
      })
    const inTurn = (
      rows: Iterable<FileRow>,
      settle: (row: FileRow) => Effect.Effect<void, StorageError, Files>
    ) => Effect.forEach(rows, settle, { concurrency: filesAtOnce, discard: true })
    if (Existence.asksEach(unlisted.count, pages)) {
      yield* inTurn(unlisted.rows(), ask)
      return counts
    }
    let failure: ObjectStoreError | undefined
    const absent = yield* Existence.findAbsent(site.bucket, [unlisted.digests], pages, (error) => {
      failure ??= error
    })
    if (failure !== undefined) return yield* failure
    const untrue = [...unlisted.rows()].filter(({ digest }) => absent.hasDigest(digest))
    yield* inTurn(untrue, (row) => (condemned.hasDigest(row.digest) ? ask(row) : dropOrAsk(row)))
    return counts
  })

export const drop = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket,
  guards: DigestGuards["Service"]
): Effect.Effect<StaleMarkersOutcome, StorageError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const objects = new ChunkObjects(bucket)
    const found = yield* compare(files, layout, objects)
    const counts = yield* settleAll(layout, { bucket, guards }, found, objects.pages)
    return { listed: objects.count, ...counts }
  })
