/**
 * UntrueFiles: chunk files of the cache folder that say that an object exists, after the server was found not to have
 * it. Such a name must go: the next backup would take the chunk for stored. Good content that is wanted is put into the
 * bucket again instead, and the name is true.
 *
 * Invariant: whatever is done happens under the digest's guard; either the server is asked there, or it is done to
 * nothing but the file that was there before the server was asked. One that was replaced since may be true.
 */
import * as Effect from "effect/Effect"
import type { Digest } from "../../model/Digest.ts"
import { isNotFound as isNoObject } from "../../objectstore/ObjectStoreError.ts"
import { checkBlob, largestBlobBytes } from "../../platform/chunkContent.ts"
import { Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import type { StorageError } from "../StorageError.ts"
import { chunkPath, type StoreLayout } from "../StoreLayout.ts"
import type { FileRow } from "./FileRows.ts"
import { keyOf, type StoreBucket } from "./StoreBucket.ts"

export interface Site {
  readonly bucket: StoreBucket
  readonly guards: DigestGuards["Service"]
}

/** Judged by its digest, or by its checksum where it is encrypted: as an upload would be believed. */
export const readGood = (
  layout: StoreLayout,
  digest: Digest
): Effect.Effect<Uint8Array | undefined, FilesError, Files> =>
  Effect.flatMap(Files, (files) => files.readFile(chunkPath(layout, digest), largestBlobBytes)).pipe(
    Effect.map((blob) => {
      const { state } = checkBlob(blob, { digest, sizeBytes: undefined, crypt: undefined })
      return state === "good" ? blob : undefined
    }),
    Effect.catchIf(
      (error) => isNotFound(error) || error.reason === "TooLarge",
      () => Effect.succeed(undefined)
    )
  )

/** The file may have been used since, but not replaced. */
const isStillThere = (layout: StoreLayout, { digest, mtimeSeconds, sizeBytes }: FileRow) =>
  Effect.gen(function* () {
    const files = yield* Files
    const stat = yield* files
      .stat(chunkPath(layout, digest))
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    return stat?.kind === "file" && stat.mtimeSeconds === mtimeSeconds && stat.sizeBytes === sizeBytes
  })

/** True when the file is gone now, which said what is not true. */
export const drop = (
  layout: StoreLayout,
  { guards }: Pick<Site, "guards">,
  row: FileRow
): Effect.Effect<boolean, FilesError, Files> =>
  guards.guard(row.digest)(
    Effect.gen(function* () {
      const files = yield* Files
      if (!(yield* isStillThere(layout, row))) return false
      yield* files.unlink(chunkPath(layout, row.digest))
      return true
    })
  )

/** If another host has put it meanwhile, it is the same content. False without good content. */
const putBack = (layout: StoreLayout, bucket: StoreBucket, digest: Digest) =>
  Effect.gen(function* () {
    const blob = yield* readGood(layout, digest)
    if (blob === undefined) return false
    yield* bucket.objects.put(keyOf(bucket, { kind: "chunk", digest }), blob)
    return true
  })

/** True when the bucket has the content now. */
export const mend = (
  layout: StoreLayout,
  { bucket, guards }: Site,
  row: FileRow
): Effect.Effect<boolean, StorageError, Files> =>
  guards.guard(row.digest)(
    Effect.gen(function* () {
      if (!(yield* isStillThere(layout, row))) return false
      return yield* putBack(layout, bucket, row.digest)
    })
  )

/**
 * What becomes of a file that may be untrue, by asking the server while the guard is held. `isWanted`: good content of
 * it goes into the bucket again.
 */
export const settle = (
  layout: StoreLayout,
  { bucket, guards }: Site,
  digest: Digest,
  isWanted: boolean
): Effect.Effect<"true" | "mended" | "dropped", StorageError, Files> =>
  guards.guard(digest)(
    Effect.gen(function* () {
      const files = yield* Files
      const isThere = yield* bucket.objects.head(keyOf(bucket, { kind: "chunk", digest })).pipe(
        Effect.map(({ sizeBytes }) => sizeBytes > 0),
        Effect.catchIf(isNoObject, () => Effect.succeed(false))
      )
      if (isThere) return "true"
      if (isWanted && (yield* putBack(layout, bucket, digest))) return "mended"
      return yield* files.unlink(chunkPath(layout, digest)).pipe(
        Effect.as("dropped" as const),
        // Somebody was quicker.
        Effect.catchIf(isNotFound, () => Effect.succeed("true" as const))
      )
    })
  )
