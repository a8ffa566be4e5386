/**
 * RecodingWork: who decodes, hashes and encodes the chunks of a sync that encrypts or decrypts: the worker threads of a
 * `ChunkCodec`, or the calling thread where nobody gave one.
 */
import * as Effect from "effect/Effect"
import { type ChunkCodec, ChunkError } from "../platform/ChunkCodec.ts"
import { decodeChunk, digestBytesOf, encodeChunk } from "../platform/chunkContent.ts"

export type RecodingWork = Pick<ChunkCodec["Service"], "decode" | "digest" | "encode">

export const onThisThread: RecodingWork = {
  decode: (blob, request) =>
    Effect.suspend(() => {
      const outcome = decodeChunk(blob, request)
      return outcome instanceof Uint8Array
        ? Effect.succeed(outcome)
        : Effect.fail(new ChunkError({ digest: request.digest, ...outcome }))
    }),
  digest: (data, crypt) => Effect.sync(() => digestBytesOf(data, crypt)),
  encode: (request) => Effect.sync(() => encodeChunk(request))
}
