/**
 * StatelessChunks: the chunks of a datastore in a bucket without any cache folder, for reading only.
 *
 * A chunk that several want at once is fetched and decoded once. Nothing is kept.
 *
 * Invariant: a chunk is `Missing` only when the server says so, and judged by its content alone; whatever else goes
 * wrong on the way is the error of the object store.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Digest } from "../../model/Digest.ts"
import { isNotFound, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { ChunkCodec, ChunkError, verdictOf } from "../../platform/ChunkCodec.ts"
import { largestBlobBytes } from "../../platform/chunkContent.ts"
import { ChunkStore, type WantedChunk } from "../ChunkStore.ts"
import { storeError } from "../StoreError.ts"
import { asFilesError, readOnly, readOnlyDetail } from "./bucketFailures.ts"
import { fileStat } from "./BucketFiles.ts"
import * as SharedChunk from "./SharedChunk.ts"
import * as SingleFlight from "./SingleFlight.ts"
import { keyOf, requestsInFlight, type StoreBucket } from "./StoreBucket.ts"

const explain = (digest: Digest, error: ObjectStoreError): ChunkError | ObjectStoreError => {
  if (isNotFound(error)) return new ChunkError({ digest, reason: "Missing", detail: "" })
  return error.reason === "TooLarge"
    ? new ChunkError({ digest, reason: "Corrupt", detail: error.message })
    : error
}

export const make = (
  bucket: StoreBucket
): Effect.Effect<ChunkStore["Service"], never, ChunkCodec | Scope.Scope> =>
  Effect.gen(function* () {
    const codec = yield* ChunkCodec
    const flights = yield* SingleFlight.make<SharedChunk.SharedChunk, ChunkError | ObjectStoreError>()
    const requests = yield* Semaphore.make(requestsInFlight)
    const keyOfChunk = (digest: Digest) => keyOf(bucket, { kind: "chunk", digest })
    const get = (digest: Digest) => bucket.objects.get(keyOfChunk(digest), largestBlobBytes)

    /** Decodes it right where it is wanted, if that can be. */
    const fetch = ({ digest, crypt }: WantedChunk, target: Uint8Array | undefined, borrow: () => boolean) =>
      Effect.gen(function* () {
        const blob = yield* Effect.mapError(requests.withPermit(get(digest)), (error) =>
          explain(digest, error)
        )
        const lent = target !== undefined && borrow() ? target : undefined
        const request = { digest, sizeBytes: undefined, crypt, consumes: true }
        const data = yield* codec.decode(blob, lent === undefined ? request : { ...request, target: lent })
        return { data, isLent: lent !== undefined }
      })

    const read = (chunk: WantedChunk, target?: Uint8Array) =>
      flights.share(`${chunk.digest} ${chunk.crypt?.fingerprintText ?? ""}`, {
        fetch: (borrow) => fetch(chunk, target, borrow),
        receive: (shared, claim) => SharedChunk.receive(shared, chunk, target, claim)
      })

    const check = ({ crypt, digest, sizeBytes }: WantedChunk) =>
      get(digest).pipe(
        Effect.flatMap((blob) => codec.judge(blob, { digest, sizeBytes, crypt, consumes: true })),
        Effect.catch((error) => Effect.succeed(verdictOf(error)))
      )

    const stat = (digest: Digest) =>
      bucket.objects.head(keyOfChunk(digest)).pipe(
        Effect.map(({ sizeBytes, lastModifiedSeconds }) => fileStat(sizeBytes, lastModifiedSeconds)),
        Effect.mapError((error) => asFilesError("stat", keyOfChunk(digest), error))
      )

    const refuse = (digest: Digest) => Effect.fail(storeError("Refused", `chunk ${digest}`, readOnlyDetail))
    const refuseChange = (operation: string, digest: Digest) =>
      Effect.fail(readOnly(operation, keyOfChunk(digest)))

    return ChunkStore.of({
      digest: codec.digest,
      insert: ({ digest }) => refuse(digest),
      insertEncoded: refuse,
      touch: (digest) => refuseChange("touch", digest),
      read,
      readEncoded: get,
      check,
      stat,
      condemn: ({ digest }) => refuseChange("rename", digest),
      discard: (digest) => refuseChange("remove", digest),
      parallelism: Math.max(codec.parallelism, requestsInFlight)
    })
  })
