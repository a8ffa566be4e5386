/**
 * StatelessChunks: the chunks of a datastore in a bucket without any cache folder, for reading only (`FetchedChunks`).
 *
 * Invariant: a chunk is `Missing` only when the server says so.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Digest } from "../../model/Digest.ts"
import type { ChunkCodec } from "../../platform/ChunkCodec.ts"
import { largestBlobBytes } from "../../platform/chunkContent.ts"
import type { ChunkStore } from "../ChunkStore.ts"
import * as FetchedChunks from "../FetchedChunks.ts"
import { asFilesError, readOnlyAdvice } from "./bucketFailures.ts"
import { fileStat } from "./BucketFiles.ts"
import { keyOf, requestsInFlight, type StoreBucket } from "./StoreBucket.ts"

export const make = (
  bucket: StoreBucket
): Effect.Effect<ChunkStore["Service"], never, ChunkCodec | Scope.Scope> => {
  const keyOfChunk = (digest: Digest) => keyOf(bucket, { kind: "chunk", digest })
  return FetchedChunks.make({
    get: (digest) => bucket.objects.get(keyOfChunk(digest), largestBlobBytes),
    stat: (digest) =>
      bucket.objects.head(keyOfChunk(digest)).pipe(
        Effect.map(({ sizeBytes, lastModifiedSeconds }) => fileStat(sizeBytes, lastModifiedSeconds)),
        Effect.mapError((error) => asFilesError("stat", keyOfChunk(digest), error))
      ),
    nameOf: keyOfChunk,
    readOnly: readOnlyAdvice,
    requestsInFlight
  })
}
