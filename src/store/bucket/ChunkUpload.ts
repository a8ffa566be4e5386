/**
 * ChunkUpload: puts a chunk's blob into the bucket, whatever is there and whatever happens on the way.
 *
 * Equal digests mean equal content, so it never matters who wrote the object, and writing it twice is harmless. What is
 * there already stays if it has our size. If not, it may be the same content compressed in another way, or something
 * torn or foreign: then what is empty or, unencrypted, larger than ours is replaced (the rules of Proxmox Backup
 * Server), and anything else is read and replaced if it is corrupt or not what our key opens.
 *
 * Invariant: it succeeds only when the object was there during the call, and fails without having counted on anything
 * that was not answered: after attempts whose outcome is open, and after conflicts that do not end, the last one is
 * unconditional.
 */
import * as Effect from "effect/Effect"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import * as DataBlob from "../../format/DataBlob.ts"
import type { Digest } from "../../model/Digest.ts"
import { isNotFound, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { ChunkCodec } from "../../platform/ChunkCodec.ts"
import { largestBlobBytes } from "../../platform/chunkContent.ts"
import * as StoreBucket from "./StoreBucket.ts"
import type { UploadRecords } from "./UploadRecords.ts"

/** A blob that was proven. */
export interface ProvenBlob {
  readonly digest: Digest
  readonly blob: Uint8Array
  readonly kind: DataBlob.BlobKind
  /** The key it was encrypted with, where that is known. */
  readonly crypt: CryptConfig | undefined
}

/** `ours` was written, something like it was there, or another form of the same content is there. */
export type UploadOutcome =
  | { readonly state: "ours" | "alike" }
  | { readonly state: "another"; readonly sizeBytes: number }

export interface ChunkUpload {
  /** Called under the digest's guard. */
  readonly upload: (chunk: ProvenBlob) => Effect.Effect<UploadOutcome, ObjectStoreError>
  /** Writes it over whatever is there. */
  readonly replace: (digest: Digest, blob: Uint8Array) => Effect.Effect<void, ObjectStoreError>
}

export interface ChunkUploadOptions {
  /** Where uploads are noted. */
  readonly records: Pick<UploadRecords, "record"> | undefined
}

export const make = (
  bucket: StoreBucket.StoreBucket,
  { records }: ChunkUploadOptions
): Effect.Effect<ChunkUpload, never, ChunkCodec> =>
  Effect.map(ChunkCodec, (codec) => {
    const { objects } = bucket
    const keyOf = (digest: Digest) => StoreBucket.keyOf(bucket, { kind: "chunk", digest })
    const ours = { state: "ours" } as const

    const note = (digest: Digest, blob: Uint8Array, etag: string) =>
      records === undefined ? Effect.void : records.record(digest, { sizeBytes: blob.length, etag })

    const replace = (digest: Digest, blob: Uint8Array) =>
      Effect.flatMap(objects.put(keyOf(digest), blob), ({ etag }) => note(digest, blob, etag))

    const overwrite = ({ digest, blob }: ProvenBlob) => Effect.as(replace(digest, blob), ours)

    /** It has another size than ours. */
    const isWorse = ({ digest, blob, crypt, kind }: ProvenBlob, sizeBytes: number) =>
      Effect.gen(function* () {
        if (sizeBytes === 0 || (!DataBlob.isEncrypted(kind) && sizeBytes > blob.length)) return true
        const there = yield* objects.get(keyOf(digest), largestBlobBytes)
        const verdict = yield* codec.judge(there, { digest, sizeBytes: undefined, crypt, consumes: true })
        if (verdict.state !== "good") return true
        if (DataBlob.isEncrypted(verdict.kind) !== DataBlob.isEncrypted(kind)) return true
        return crypt !== undefined && !verdict.isProven
      }).pipe(
        Effect.catchIf(
          ({ reason }) => reason === "NotFound" || reason === "TooLarge",
          () => Effect.succeed(true)
        )
      )

    const compare = (chunk: ProvenBlob): Effect.Effect<UploadOutcome, ObjectStoreError> =>
      Effect.gen(function* () {
        const info = yield* objects
          .head(keyOf(chunk.digest))
          .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
        // Somebody has deleted it since.
        if (info === undefined) return yield* overwrite(chunk)
        const { sizeBytes } = info
        if (sizeBytes === chunk.blob.length) return { state: "alike" } as const
        if (yield* isWorse(chunk, sizeBytes)) return yield* overwrite(chunk)
        return { state: "another", sizeBytes } as const
      })

    const upload = (chunk: ProvenBlob): Effect.Effect<UploadOutcome, ObjectStoreError> => {
      const { blob, digest } = chunk
      return objects.putIfAbsent(keyOf(digest), blob).pipe(
        Effect.matchEffect({
          onSuccess: (answer) =>
            answer.outcome === "created" ? Effect.as(note(digest, blob, answer.etag), ours) : compare(chunk),
          onFailure: (error) =>
            error.outcomeUnknown || error.reason === "Conflict" ? overwrite(chunk) : Effect.fail(error)
        })
      )
    }

    return { upload, replace }
  })
