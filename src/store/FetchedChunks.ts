/**
 * FetchedChunks: the chunks of a datastore that lies elsewhere, in a bucket or on a server, for reading only.
 *
 * A chunk that several want at once is fetched and decoded once. Nothing is kept.
 *
 * Invariant: a chunk is `Missing` only when the source says so, and judged by its content alone; whatever else goes
 * wrong on the way is the source's error.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Digest } from "../model/Digest.ts"
import { ChunkCodec, ChunkError, verdictOf } from "../platform/ChunkCodec.ts"
import { FilesError, type FileStat } from "../platform/Files.ts"
import * as SharedChunk from "./bucket/SharedChunk.ts"
import * as SingleFlight from "./bucket/SingleFlight.ts"
import { ChunkStore, type WantedChunk } from "./ChunkStore.ts"
import type { StorageError } from "./StorageError.ts"
import { storeError } from "./StoreError.ts"

export interface ChunkSource {
  /** The stored blob; no more than a blob may have. */
  readonly get: (digest: Digest) => Effect.Effect<Uint8Array, StorageError>
  readonly stat: (digest: Digest) => Effect.Effect<FileStat, FilesError>
  /** As messages name the chunk. */
  readonly nameOf: (digest: Digest) => string
  /** Why nothing can be written, and what to do about it. */
  readonly readOnly: { readonly message: string; readonly hint: string }
  readonly requestsInFlight: number
}

const explain = (digest: Digest, error: StorageError): ChunkError | StorageError => {
  if (error.reason === "NotFound") return new ChunkError({ digest, reason: "Missing", detail: "" })
  return error.reason === "TooLarge"
    ? new ChunkError({ digest, reason: "Corrupt", detail: error.message })
    : error
}

export const make = (
  source: ChunkSource
): Effect.Effect<ChunkStore["Service"], never, ChunkCodec | Scope.Scope> =>
  Effect.gen(function* () {
    const { get, nameOf, requestsInFlight } = source
    const codec = yield* ChunkCodec
    const flights = yield* SingleFlight.make<SharedChunk.SharedChunk, ChunkError | StorageError>()
    const requests = yield* Semaphore.make(requestsInFlight)

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

    const refuse = (digest: Digest) =>
      Effect.fail(storeError("Refused", `chunk ${digest}`, source.readOnly.message))
    const refuseChange = (operation: string, digest: Digest) =>
      Effect.fail(
        new FilesError({
          operation,
          path: nameOf(digest),
          reason: "ReadOnlyFileSystem",
          detail: source.readOnly
        })
      )

    return ChunkStore.of({
      digest: codec.digest,
      insert: ({ digest }) => refuse(digest),
      insertEncoded: refuse,
      touch: (digest) => refuseChange("touch", digest),
      read,
      readEncoded: get,
      check,
      stat: source.stat,
      condemn: ({ digest }) => refuseChange("rename", digest),
      discard: (digest) => refuseChange("remove", digest),
      parallelism: Math.max(codec.parallelism, requestsInFlight)
    })
  })
