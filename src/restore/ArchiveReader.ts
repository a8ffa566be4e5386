/**
 * ArchiveReader: the bytes of an archive that is stored as chunks, read in order with the next chunks already on their
 * way (`pieces`, see `Prefetch`), or anywhere (`read`). Every chunk is proven against its digest and its length in the
 * index.
 */
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as Digest from "../model/Digest.ts"
import type { ChunkError } from "../platform/ChunkCodec.ts"
import type { ChunkStore } from "../store/ChunkStore.ts"
import type { PieceStream } from "./PieceStream.ts"
import * as Prefetch from "./Prefetch.ts"
import type { StorageError } from "../store/StorageError.ts"

export type ReadError = ChunkError | StorageError

export interface ArchiveReader {
  readonly sizeBytes: number
  /** Exactly `lengthBytes` bytes from `offset` on; the range must lie inside the archive. */
  readonly read: (offset: number, lengthBytes: number) => Effect.Effect<Uint8Array, ReadError>
  /** The archive from `offset` on, `lengthBytes` of it (default: to its end), fetched ahead. */
  readonly pieces: (
    offset?: number,
    lengthBytes?: number
  ) => Effect.Effect<PieceStream<ReadError>, never, Scope.Scope>
}

/**
 * Chunks that have come from a store that is far away are still decoded, or wait for the reader, while others are asked
 * for: so many more are on their way, that the store has always something to do.
 */
const shareOnTheWay = 1 / 3

/** Decoded chunks kept for random access. */
const cachedChunks = 6

export const make = (
  chunks: ChunkStore["Service"],
  index: ChunkIndex,
  crypt: CryptConfig | undefined
): Effect.Effect<ArchiveReader> =>
  Effect.gen(function* () {
    const fetch = (chunk: number, target?: Uint8Array) => {
      const sizeBytes = index.end(chunk) - index.start(chunk)
      return chunks.read({ digest: index.digest(chunk), sizeBytes, crypt }, target)
    }

    const cache = yield* Cache.makeWith((chunk: number) => fetch(chunk), {
      capacity: cachedChunks,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? "1 hour" : 0)
    })

    const read = (offset: number, lengthBytes: number): Effect.Effect<Uint8Array, ReadError> =>
      Effect.gen(function* () {
        if (offset < 0 || lengthBytes < 0 || offset + lengthBytes > index.sizeBytes) {
          throw new RangeError(`${lengthBytes} bytes at ${offset} are outside of ${index.sizeBytes}`)
        }
        const result = new Uint8Array(lengthBytes)
        let done = 0
        while (done < lengthBytes) {
          const chunk = index.find(offset + done)
          const start = offset + done - index.start(chunk)
          const piece = (yield* Cache.get(cache, chunk)).subarray(start, start + lengthBytes - done)
          result.set(piece, done)
          done += piece.length
        }
        return result
      })

    const zeros = yield* Effect.cached(zeroChunk(chunks, index, crypt))

    const parallelism = chunks.parallelism + Math.floor(chunks.parallelism * shareOnTheWay)
    const pieces = (offset = 0, lengthBytes = index.sizeBytes - offset) =>
      Prefetch.pieces({ index, fetch, parallelism, zeros }, offset, offset + lengthBytes)

    return { sizeBytes: index.sizeBytes, read, pieces }
  })

/**
 * Images are full of zeros, in chunks of one size. The memory is never written to, so the system gives none for it. The
 * end of an image is read like any other chunk.
 */
const zeroChunk = (
  chunks: ChunkStore["Service"],
  index: ChunkIndex,
  crypt: CryptConfig | undefined
): Effect.Effect<Prefetch.ZeroChunk | undefined> =>
  Effect.suspend(() => {
    if (index.kind !== "fixed" || index.count < 2) return Effect.succeed(undefined)
    const data = new Uint8Array(new SharedArrayBuffer(index.end(0)))
    return Effect.map(chunks.digest(data, crypt), (digest) => ({ digest: Digest.fromBytes(digest), data }))
  })
