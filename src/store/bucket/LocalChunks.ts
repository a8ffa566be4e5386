/**
 * LocalChunks: what the cache folder says of the chunks of a datastore in a bucket, and how that is changed.
 *
 * A file of a chunk's name says that the object exists. If it has content, that is what the object holds; if it is
 * empty it is a marker. `<digest>.using` says nothing about existence, and goes when a file or marker comes.
 *
 * What power losses and sick disks can do to a file does not matter for what its name says. It got that name after the
 * server had answered, and no power loss gives a name to a file that did not have it before. So chunks in doubt (see
 * `store/Doubts`) need no proof here: that the object exists is true whatever the file holds, and its content is proven
 * by whoever reads it. What a power loss can do is bring a name back that was taken away. So whoever is about to delete
 * an object takes the name away first, and flushes the folder (`setAside`).
 *
 * Invariant: everything that makes a name, or takes one away, is called under the digest's guard.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { Digest } from "../../model/Digest.ts"
import { Files, type FilesError, type FileStat, isNotFound, type WriteOptions } from "../../platform/Files.ts"
import type { Inserted } from "../ChunkStore.ts"
import { storeError, type StoreError } from "../StoreError.ts"
import { chunkPath, inChunkFolder, type StoreLayout } from "../StoreLayout.ts"

export interface LocalChunks {
  readonly pathOf: (digest: Digest) => string
  /** Undefined when there is nothing of that name. */
  readonly look: (digest: Digest) => Effect.Effect<FileStat | undefined, FilesError>
  /** Renews the time of what is there; undefined when nothing is. */
  readonly reuse: (digest: Digest) => Effect.Effect<Inserted | undefined, FilesError | StoreError>
  /** Replaces whatever is there by a marker. */
  readonly mark: (digest: Digest) => Effect.Effect<void, FilesError>
  /** The object exists and holds this. False when there was no room for it, and a marker was made instead. */
  readonly keep: (digest: Digest, blob: Uint8Array) => Effect.Effect<boolean, FilesError>
  /** Writes content beside, to be put in place later or removed; undefined when that cannot be done. */
  readonly writeBeside: (digest: Digest, blob: Uint8Array) => Effect.Effect<string | undefined>
  /** Gives what was written beside the chunk's name. */
  readonly settle: (digest: Digest, temporary: string) => Effect.Effect<void, FilesError>
  readonly remove: (digest: Digest) => Effect.Effect<void, FilesError>
  /** Renames what is there, a marker as well, for good: no power loss brings it back. */
  readonly setAside: (digest: Digest, name: string) => Effect.Effect<void, FilesError>
}

export const make = (layout: StoreLayout, writing: WriteOptions): Effect.Effect<LocalChunks, never, Files> =>
  Effect.map(Files, (files) => {
    const pathOf = (digest: Digest) => chunkPath(layout, digest)

    const look = (digest: Digest) =>
      files.stat(pathOf(digest)).pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))

    const reuse = (digest: Digest) =>
      Effect.gen(function* () {
        const stat = yield* look(digest)
        if (stat === undefined) return undefined
        if (stat.kind !== "file") {
          return yield* storeError("Damaged", pathOf(digest), "a chunk must be a regular file")
        }
        const isThere = yield* files.touch(pathOf(digest))
        return isThere ? { duplicate: true, encodedSizeBytes: stat.sizeBytes } : undefined
      })

    /** One that stays wants what is there, and does no harm. */
    const dropWish = (digest: Digest) => {
      const wish = `${pathOf(digest)}.using`
      return Effect.ignore(
        Effect.flatMap(files.statEach([wish]), ([stat]) =>
          stat === undefined ? Effect.void : files.unlink(wish)
        )
      )
    }

    const write = (digest: Digest, parts: ReadonlyArray<Uint8Array>) =>
      Effect.andThen(
        inChunkFolder(files, layout, digest, files.replaceFile(pathOf(digest), parts, writing)),
        dropWish(digest)
      )

    const mark = (digest: Digest) => write(digest, [])

    const setAside = (digest: Digest, name: string) =>
      Effect.gen(function* () {
        const folder = path.dirname(pathOf(digest))
        const isThere = (yield* look(digest)) !== undefined
        if (isThere) yield* files.rename(pathOf(digest), `${folder}/${name}`)
        yield* files.syncDirectory(folder)
      })

    return {
      pathOf,
      look,
      reuse,
      mark,
      keep: (digest, blob) =>
        write(digest, [blob]).pipe(
          Effect.as(true),
          Effect.catch(() => Effect.as(mark(digest), false))
        ),
      writeBeside: (digest, blob) =>
        files.temporaryName(pathOf(digest)).pipe(
          Effect.tap((temporary) => inChunkFolder(files, layout, digest, files.createFile(temporary, blob))),
          Effect.catch(() => Effect.succeed(undefined))
        ),
      settle: (digest, temporary) =>
        Effect.andThen(files.rename(temporary, pathOf(digest)), dropWish(digest)),
      remove: (digest) => files.unlink(pathOf(digest)).pipe(Effect.catchIf(isNotFound, () => Effect.void)),
      setAside
    }
  })
