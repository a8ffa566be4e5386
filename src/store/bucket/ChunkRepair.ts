/**
 * ChunkRepair: what becomes of a chunk whose object is no good or is not there. A good copy in the cache folder takes
 * its place; without one nothing in the folder says any more that the chunk is present, so that the next backup stores
 * it.
 *
 * Everything happens under the digest's guard, and is judged again there: meanwhile somebody may have stored the chunk.
 * Another host does not share the guard. So the object is looked at once more right before it is deleted, and stays
 * when it is not the one that was judged.
 *
 * Invariant: nothing is lost by stopping at any step. The corrupt object is copied first. Then the name in the folder
 * goes, for good, and only then the object: from there on until the end nobody knows of the chunk, and who has its
 * content uploads it.
 */
import * as Effect from "effect/Effect"
import type { Digest } from "../../model/Digest.ts"
import { deleteOne } from "../../objectstore/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { ChunkCodec, verdictOf } from "../../platform/ChunkCodec.ts"
import { largestBlobBytes } from "../../platform/chunkContent.ts"
import { Files, type FilesError, isNotFound as isNoFile } from "../../platform/Files.ts"
import * as badNames from "../badNames.ts"
import type { WantedChunk } from "../ChunkStore.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import type { StorageError } from "../StorageError.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import type { ChunkUpload } from "./ChunkUpload.ts"
import type { LocalChunks } from "./LocalChunks.ts"
import * as StoreBucket from "./StoreBucket.ts"

type Subject = Pick<WantedChunk, "digest" | "crypt">

export interface ChunkRepair {
  /** As `condemn` of the ChunkStore. The name is that of the copy in the bucket, and in the folder. */
  readonly condemn: (chunk: Subject) => Effect.Effect<string | undefined, StorageError>
  /** The server said that there is no object. True when there is one now. */
  readonly mend: (chunk: Subject) => Effect.Effect<boolean, StorageError>
}

export interface ChunkRepairParts {
  readonly bucket: StoreBucket.StoreBucket
  readonly layout: StoreLayout
  readonly local: LocalChunks
  readonly guards: DigestGuards["Service"]
  readonly uploads: Pick<ChunkUpload, "replace">
  /** Told before an object goes: the markers of other hosts are not to be relied on any more. */
  readonly condemning: Effect.Effect<void, StorageError>
}

export const make = ({
  bucket,
  condemning,
  guards,
  layout,
  local,
  uploads
}: ChunkRepairParts): Effect.Effect<ChunkRepair, never, Files | ChunkCodec> =>
  Effect.gen(function* () {
    const files = yield* Files
    const codec = yield* ChunkCodec
    const { objects } = bucket
    const keyOf = (digest: Digest) => StoreBucket.keyOf(bucket, { kind: "chunk", digest })
    const badKeyOf = (digest: Digest, number: number) =>
      StoreBucket.keyOf(bucket, { kind: "bad chunk", digest, number })

    const head = (key: ReturnType<typeof keyOf>) =>
      objects.head(key).pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))

    /** Judged by its digest alone, as everywhere where a chunk is condemned. */
    const isCorrupt = ({ digest, crypt }: Subject): Effect.Effect<boolean, ObjectStoreError> =>
      objects.get(keyOf(digest), largestBlobBytes).pipe(
        Effect.flatMap((blob) => codec.judge(blob, { digest, sizeBytes: undefined, crypt, consumes: true })),
        Effect.catch((error) => {
          const verdict = verdictOf(error)
          return verdict.state === "unreadable" ? Effect.fail(error) : Effect.succeed(verdict)
        }),
        Effect.map(({ state }) => state === "corrupt")
      )

    /** The content in the folder, when it is good. */
    const goodCopy = ({ digest, crypt }: Subject): Effect.Effect<Uint8Array | undefined, FilesError> =>
      Effect.gen(function* () {
        const blob = yield* files.readFile(local.pathOf(digest), largestBlobBytes)
        const { state } = yield* codec.judge(blob, { digest, sizeBytes: undefined, crypt })
        return state === "good" ? blob : undefined
      }).pipe(
        Effect.catchIf(
          (error) => isNoFile(error) || isUnfit(error),
          () => Effect.succeed(undefined)
        )
      )

    /** Free in the bucket and in the folder. */
    const freeNumber = (digest: Digest) =>
      badNames.freeNumber(files, layout, digest, (number) =>
        Effect.map(head(badKeyOf(digest, number)), (found) => found !== undefined)
      )

    /** With nothing to put in its place. */
    const withdraw = (digest: Digest, name: string, etag: string) =>
      Effect.gen(function* () {
        yield* condemning
        yield* local.setAside(digest, name)
        if ((yield* head(keyOf(digest)))?.etag === etag) yield* deleteOne(objects, keyOf(digest))
      })

    const condemn = (chunk: Subject) =>
      guards.guard(chunk.digest)(
        Effect.gen(function* () {
          const { digest } = chunk
          const info = yield* head(keyOf(digest))
          if (info === undefined || !(yield* isCorrupt(chunk))) return undefined
          const number = yield* freeNumber(digest)
          yield* objects.copy(keyOf(digest), badKeyOf(digest, number))
          const good = yield* goodCopy(chunk)
          if (good === undefined) yield* withdraw(digest, badNames.badName(digest, number), info.etag)
          else yield* uploads.replace(digest, good)
          return badNames.badName(digest, number)
        })
      )

    const mend = (chunk: Subject) =>
      guards.guard(chunk.digest)(
        Effect.gen(function* () {
          const { digest } = chunk
          if ((yield* local.look(digest)) === undefined) return false
          if ((yield* head(keyOf(digest))) !== undefined) return true
          const good = yield* goodCopy(chunk)
          if (good === undefined) yield* local.remove(digest)
          else yield* uploads.replace(digest, good)
          return good !== undefined
        })
      )

    return { condemn, mend }
  })

/** What lies there cannot be a chunk. Trouble with the disk is another matter. */
const isUnfit = ({ reason }: FilesError): boolean => reason === "TooLarge" || reason === "IsADirectory"
