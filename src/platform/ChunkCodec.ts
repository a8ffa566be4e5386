/**
 * ChunkCodec: the heavy work on one chunk: compress, encrypt and write it, or read, check and decode it; in files, and
 * in memory for chunks that come from a bucket or go there.
 *
 * A port, because where the work runs is a matter of the machine: worker threads over shared memory in production
 * (`NodeChunkCodec`), the calling fiber over any Files in tests and simulations (`layerInline`).
 *
 * Obligations of every implementation:
 * - `stage` writes a new file `temporaryPath` holding exactly the encoded blob of `data`; when it fails, or its
 *   fiber is interrupted, the file is gone or about to go, and `data` is not read any more.
 * - `digest` answers the SHA-256 of `data`, followed by the id key where there is a key; when it ends, or its fiber is
 *   interrupted, `data` is not read any more.
 * - `load` answers the decoded bytes only when CRC and, if `digest` is given, digest and length are right. With
 *   a `target`, the bytes are a view of the target.
 * - `check` reads the whole file and never fails for what it finds: its verdict separates wrong content from a
 *   file that could not be read, for only the former condemns a chunk.
 * - `encode` answers in memory what `stage` would have written, at the beginning of `room` if there is one. `data`
 *   stays as it is; it is not read, and the room not written to, when it has ended or its fiber was interrupted.
 * - `receive` judges a blob as `judge` does and, when it is good, writes it as it is to the new file `temporaryPath`;
 *   of any other nothing is written. The blob is given away, but for a failure with `NotFound`: where the folder is
 *   missing, the same blob can be received again.
 * - `copy` comes to the same as `receive` of what the file `from` holds, of whatever store it is; also where that is
 *   encrypted and should not be, or the other way round, nothing is written. A codec that does not read the machine's
 *   own files has no such way.
 * - `decode` and `judge` come to the same as `load` and `check` of a file that holds `blob`. It stays as it is, and
 *   what `decode` answers is never a part of it, unless it was given away with `consumes`.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import type { Digest } from "../model/Digest.ts"
import {
  checkBlob,
  decodeChunk,
  digestBytesOf,
  encodeChunk,
  largestBlobBytes,
  type Unusable,
  type Verdict
} from "./chunkContent.ts"
import { Files, type FilesError } from "./Files.ts"

export interface StageRequest {
  readonly data: Uint8Array
  readonly temporaryPath: string
  readonly compress: boolean
  readonly crypt: CryptConfig | undefined
  /** Flush the file to the disk. */
  readonly sync: boolean
  /** The memory around `data`, as a `SlotPool` lays it out, may be used while this lasts. `data` itself stays. */
  readonly hasMargins?: boolean
}

export interface Staged {
  readonly encodedSizeBytes: number
  readonly kind: DataBlob.BlobKind
}

export interface LoadRequest {
  readonly path: string
  readonly digest: Digest
  /** Decoded length, where it is known. */
  readonly sizeBytes: number | undefined
  readonly crypt: CryptConfig | undefined
  readonly target?: Uint8Array
}

export interface CheckRequest {
  readonly path: string
  readonly digest: Digest
  readonly sizeBytes: number | undefined
  readonly crypt: CryptConfig | undefined
}

export interface EncodeRequest {
  readonly data: Uint8Array
  readonly compress: boolean
  readonly crypt: CryptConfig | undefined
  /** Where the blob goes, as large as it can become (`DataBlob.encodedSizeMax`). Memory of its own when absent. */
  readonly room?: Uint8Array
}

export interface Encoded {
  readonly blob: Uint8Array
  readonly kind: DataBlob.BlobKind
}

interface MemoryRequest {
  /** The blob's memory is given away: nobody uses it afterwards, and it may be gone. Saves a copy. */
  readonly consumes?: boolean
}

export interface DecodeRequest extends Omit<LoadRequest, "path">, MemoryRequest {}

export interface ReceiveRequest {
  readonly blob: Uint8Array
  readonly digest: Digest
  /** Decoded length, where it is known. */
  readonly sizeBytes: number | undefined
  readonly temporaryPath: string
  /** Flush the file to the disk. */
  readonly sync: boolean
}

export interface CopyRequest extends Omit<ReceiveRequest, "blob"> {
  readonly from: string
  /** Whether it has to be. */
  readonly encrypted: boolean
}

export interface JudgeRequest extends Omit<CheckRequest, "path">, MemoryRequest {}

/** A chunk that is there but cannot be used. */
export class ChunkError extends Data.TaggedError("ChunkError")<{
  readonly digest: Digest
  readonly reason: "Missing" | "Corrupt" | "KeyNeeded"
  readonly detail: string
}> {
  override get message(): string {
    const what = { Missing: "is missing", Corrupt: "is corrupt", KeyNeeded: "cannot be decrypted" }[
      this.reason
    ]
    return `chunk ${this.digest} ${what}${this.detail === "" ? "" : `: ${this.detail}`}`
  }

  get hint(): string {
    return this.reason === "KeyNeeded"
      ? "give the right key with --keyfile"
      : "run verify on this datastore; an older snapshot or a copy elsewhere may still hold the data"
  }
}

export class ChunkCodec extends Context.Service<
  ChunkCodec,
  {
    /** How many chunks are worked on at once. */
    readonly parallelism: number
    readonly digest: (data: Uint8Array, crypt: CryptConfig | undefined) => Effect.Effect<Uint8Array>
    readonly stage: (request: StageRequest) => Effect.Effect<Staged, FilesError>
    readonly load: (request: LoadRequest) => Effect.Effect<Uint8Array, ChunkError | FilesError>
    readonly check: (request: CheckRequest) => Effect.Effect<Verdict>
    readonly encode: (request: EncodeRequest) => Effect.Effect<Encoded>
    readonly decode: (blob: Uint8Array, request: DecodeRequest) => Effect.Effect<Uint8Array, ChunkError>
    readonly judge: (blob: Uint8Array, request: JudgeRequest) => Effect.Effect<Verdict>
    readonly receive: (request: ReceiveRequest) => Effect.Effect<Verdict, FilesError>
    readonly copy?: (request: CopyRequest) => Effect.Effect<Verdict, FilesError>
  }
>()("granary/platform/ChunkCodec") {}

/** Copies decoded bytes into the target; what does not fit there is no chunk of the caller's. */
export const intoTarget = (
  data: Uint8Array,
  target: Uint8Array,
  digest: Digest
): Effect.Effect<Uint8Array, ChunkError> =>
  Effect.suspend(() => {
    if (data.length > target.length) {
      const detail = `it holds ${data.length} bytes, more than the ${target.length} expected`
      return Effect.fail(new ChunkError({ digest, reason: "Corrupt", detail }))
    }
    target.set(data)
    return Effect.succeed(target.subarray(0, data.length))
  })

const missing = (digest: Digest): ChunkError => new ChunkError({ digest, reason: "Missing", detail: "" })

/** What decoding came to, as an effect. */
const usable = (
  outcome: Uint8Array | Unusable,
  { digest, target }: Pick<LoadRequest, "digest" | "target">
): Effect.Effect<Uint8Array, ChunkError> => {
  if (!(outcome instanceof Uint8Array)) return Effect.fail(new ChunkError({ digest, ...outcome }))
  return target === undefined ? Effect.succeed(outcome) : intoTarget(outcome, target, digest)
}

const decodeInline = (blob: Uint8Array, request: DecodeRequest): Effect.Effect<Uint8Array, ChunkError> =>
  Effect.suspend(() => {
    const outcome = decodeChunk(blob, request, request.consumes === true)
    const isPart = outcome instanceof Uint8Array && outcome.buffer === blob.buffer
    const keepsBlob = request.consumes !== true && request.target === undefined
    return usable(isPart && keepsBlob ? new Uint8Array(outcome) : outcome, request)
  })

/** Decodes on the calling fiber, over whatever Files is there. */
export const layerInline: Layer.Layer<ChunkCodec, never, Files> = Layer.effect(
  ChunkCodec,
  Effect.gen(function* () {
    const files = yield* Files
    const load = (request: LoadRequest): Effect.Effect<Uint8Array, ChunkError | FilesError> =>
      Effect.gen(function* () {
        const blob = yield* files.readFile(request.path, largestBlobBytes)
        return yield* usable(decodeChunk(blob, request), request)
      }).pipe(
        Effect.catchIf(
          (error): error is FilesError => error._tag === "FilesError" && error.reason === "NotFound",
          () => Effect.fail(missing(request.digest))
        )
      )
    return ChunkCodec.of({
      parallelism: 1,
      digest: (data, crypt) => Effect.sync(() => digestBytesOf(data, crypt)),
      stage: ({ data, temporaryPath, compress, crypt, sync }) =>
        Effect.suspend(() => {
          const { header, body, kind } = DataBlob.encodeParts(data, { compress, ...(crypt ? { crypt } : {}) })
          return Effect.as(files.createFile(temporaryPath, Buffer.concat([header, body]), { sync }), {
            encodedSizeBytes: header.length + body.length,
            kind
          })
        }),
      load,
      check: (request) =>
        files.readFile(request.path, largestBlobBytes).pipe(
          Effect.map((blob) => checkBlob(blob, request)),
          Effect.catch((error) => Effect.succeed(verdictOf(error)))
        ),
      encode: (request) => Effect.sync(() => encodeChunk(request)),
      decode: decodeInline,
      judge: (blob, request) => Effect.sync(() => checkBlob(blob, request, request.consumes === true)),
      receive: ({ blob, sync, temporaryPath, ...expected }) =>
        Effect.gen(function* () {
          const verdict = checkBlob(blob, { ...expected, crypt: undefined })
          if (verdict.state === "good") yield* files.createFile(temporaryPath, blob, { sync })
          return verdict
        })
    })
  })
)

/** What a failed read means: a file or object that is gone, one that is far too large, or trouble on the way to it. */
export const verdictOf = (error: { readonly reason: string; readonly message: string }): Verdict =>
  error.reason === "NotFound"
    ? { state: "missing" }
    : error.reason === "TooLarge"
      ? { state: "corrupt", detail: error.message }
      : { state: "unreadable", detail: error.message }
