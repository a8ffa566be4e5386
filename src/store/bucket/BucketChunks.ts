/**
 * BucketChunks: the ChunkStore of a datastore in a bucket with a cache folder beside it.
 *
 * Invariants (docs/s3.md): a file or marker of a chunk in the folder says that its object exists; it is made under the
 * digest's guard, which is held from before the server is asked until the name is there. So a sweep never sees an
 * object without its mark, and a failed upload leaves nothing that says that the chunk is present. A guard is one
 * digest's: while one chunk is on its way, the others go on.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as Scope from "effect/Scope"
import { encodedSizeMax } from "../../format/DataBlob.ts"
import type { Digest } from "../../model/Digest.ts"
import { ChunkCodec } from "../../platform/ChunkCodec.ts"
import { kindOf } from "../../platform/chunkContent.ts"
import { Files } from "../../platform/Files.ts"
import { ChunkStore, type Inserted, makeDiscard, type NewChunk, type SyncLevel } from "../ChunkStore.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import type { StorageError } from "../StorageError.ts"
import { storeError, type StoreError } from "../StoreError.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import type { ChunkCache } from "./ChunkCache.ts"
import * as ChunkReading from "./ChunkReading.ts"
import * as ChunkRepair from "./ChunkRepair.ts"
import * as ChunkUpload from "./ChunkUpload.ts"
import * as LocalChunks from "./LocalChunks.ts"
import { chunksInFlight, requestsInFlight, type StoreBucket } from "./StoreBucket.ts"
import type { UploadRecords } from "./UploadRecords.ts"
import * as UploadRoom from "./UploadRoom.ts"

export interface BucketChunksOptions {
  /** Those of the open store: whoever changes a chunk in it must share them. */
  readonly guards: DigestGuards["Service"]
  /** `file` flushes every file and marker of the cache folder. Objects are durable in any case. */
  readonly syncLevel: SyncLevel
  /** `bypass`: what is stored or read leaves a marker and no content. Default `use`. */
  readonly cache?: "use" | "bypass"
  /** Where the ETags of uploads are noted. */
  readonly records?: Pick<UploadRecords, "record">
  /** Run before an object is set aside (`Hosts.condemning`). */
  readonly condemning?: Effect.Effect<void, StorageError>
}

/** What encoded chunks may take that wait for the server. */
const uploadBytes = 64 * 1024 * 1024

export const make = (
  layout: StoreLayout,
  bucket: StoreBucket,
  cache: ChunkCache,
  options: BucketChunksOptions
): Effect.Effect<ChunkStore["Service"], never, Files | ChunkCodec | Scope.Scope> =>
  Effect.gen(function* () {
    const { condemning = Effect.void, guards, records, syncLevel } = options
    const keeps = (options.cache ?? "use") === "use"
    const files = yield* Files
    const codec = yield* ChunkCodec
    const local = yield* LocalChunks.make(layout, { sync: syncLevel === "file" })
    const uploads = yield* ChunkUpload.make(bucket, { records })
    const repair = yield* ChunkRepair.make({ bucket, condemning, guards, layout, local, uploads })
    const reading = yield* ChunkReading.make({ bucket, cache, guards, keeps, local, repair })

    const room = yield* UploadRoom.make(uploadBytes)
    const inTurn = yield* Semaphore.make(chunksInFlight)
    const requests = yield* Semaphore.make(requestsInFlight)

    /** Uploads a chunk that nobody here knows of, and says so. What the object is not is never kept as its content. */
    const bring = (chunk: ChunkUpload.ProvenBlob) =>
      Effect.gen(function* () {
        const { blob, digest } = chunk
        const there = yield* requests.withPermit(uploads.upload(chunk))
        const isKept =
          there.state !== "another" && keeps && cache.keepsContent
            ? yield* local.keep(digest, blob)
            : yield* Effect.as(local.mark(digest), false)
        const encodedSizeBytes = there.state === "another" ? there.sizeBytes : blob.length
        return { duplicate: there.state !== "ours", encodedSizeBytes, isKept }
      })

    const settle = (chunk: ChunkUpload.ProvenBlob): Effect.Effect<Inserted, StorageError | StoreError> =>
      Effect.gen(function* () {
        const brought = yield* guards.guard(chunk.digest)(
          Effect.gen(function* () {
            const found = yield* local.reuse(chunk.digest)
            return found === undefined ? yield* bring(chunk) : { ...found, isKept: false }
          })
        )
        const { duplicate, encodedSizeBytes, isKept } = brought
        // The guard has been given back: making room takes those of other chunks.
        if (isKept) yield* Effect.ignore(cache.added(encodedSizeBytes))
        return { duplicate, encodedSizeBytes }
      })

    /** The content is let go of only when its blob may take its place. */
    const insert = ({ compress, crypt, data, digest, letGo = Effect.void }: NewChunk) =>
      Effect.gen(function* () {
        const found = yield* guards.guard(digest)(local.reuse(digest))
        if (found !== undefined) return found
        return yield* room.lend(encodedSizeMax(data.length), ({ memory, shrink }) =>
          Effect.gen(function* () {
            const request = { data, compress, crypt, ...(memory === undefined ? {} : { room: memory }) }
            const { blob, kind } = yield* codec.encode(request)
            yield* shrink(blob.length)
            const chunk = { digest, blob, kind, crypt }
            return yield* inTurn.withPermit(Effect.andThen(letGo, settle(chunk)))
          })
        )
      })

    const insertEncoded = (digest: Digest, blob: Uint8Array) =>
      Effect.suspend(() => {
        const kind = kindOf(blob)
        if (kind !== undefined) return settle({ digest, blob, kind, crypt: undefined })
        return Effect.fail(storeError("Refused", local.pathOf(digest), "what came is not a data blob"))
      })

    return ChunkStore.of({
      digest: codec.digest,
      insert,
      insertEncoded,
      touch: (digest) => guards.guard(digest)(files.touch(local.pathOf(digest))),
      read: reading.read,
      readEncoded: reading.readEncoded,
      check: reading.check,
      stat: (digest) => files.stat(local.pathOf(digest)),
      condemn: repair.condemn,
      // Only what is here; the object stays.
      discard: makeDiscard(files, guards, layout),
      parallelism: Math.max(codec.parallelism, requestsInFlight)
    })
  })
