/**
 * ArchiveReader: the bytes of an archive that is stored as chunks, read in order with the next chunks already on their
 * way (`pieces`), or anywhere (`read`). Every chunk is proven against its digest and its length in the index.
 *
 * Chunks pass through a fixed set of buffers, so a restore takes the same memory whatever its size.
 */
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { type ChunkIndex, largestChunkBytes } from "../format/ChunkIndex.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import type { ChunkError } from "../platform/ChunkCodec.ts"
import type { ChunkStore } from "../store/ChunkStore.ts"
import type { PieceStream } from "./PieceStream.ts"
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

    const pieces = (offset = 0, lengthBytes = index.sizeBytes - offset) =>
      makePieces(index, fetch, chunks.parallelism, offset, offset + lengthBytes)

    return { sizeBytes: index.sizeBytes, read, pieces }
  })

interface Coming {
  readonly chunk: number
  readonly buffer: Uint8Array
  readonly fiber: Fiber.Fiber<Uint8Array, ReadError>
}

const makePieces = (
  index: ChunkIndex,
  fetch: (chunk: number, target: Uint8Array) => Effect.Effect<Uint8Array, ReadError>,
  parallelism: number,
  from: number,
  until: number
): Effect.Effect<PieceStream<ReadError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const bufferBytes = largestChunkBytes(index)
    // One buffer is with the reader, the others are being filled; two for each thread keep the threads busy.
    const ahead = Math.min(parallelism + 1, index.count)
    const free: Array<Uint8Array> = []
    const coming: Array<Coming> = []
    let position = from
    let nextChunk = from < until ? index.find(from) : index.count
    let held: Uint8Array | undefined

    const takeBuffer = (): Uint8Array => {
      const buffer = free.pop()
      if (buffer !== undefined) return buffer
      return new Uint8Array(new SharedArrayBuffer(bufferBytes))
    }

    const startFetching = Effect.gen(function* () {
      while (coming.length < ahead && nextChunk < index.count && index.start(nextChunk) < until) {
        const chunk = nextChunk++
        const buffer = takeBuffer()
        coming.push({ chunk, buffer, fiber: yield* Effect.forkIn(fetch(chunk, buffer), scope) })
      }
    })

    const giveBack = Effect.sync(() => {
      if (held !== undefined) free.push(held)
      held = undefined
    })

    const next: Effect.Effect<Uint8Array | undefined, ReadError> = Effect.gen(function* () {
      yield* giveBack
      yield* startFetching
      const first = coming.shift()
      if (first === undefined) return undefined
      held = first.buffer
      const data = yield* Fiber.join(first.fiber)
      const start = index.start(first.chunk)
      const piece = data.subarray(position - start, Math.min(data.length, until - start))
      position = start + data.length
      return piece
    })

    /** Chunks that lie entirely before the new position are not waited for, and not fetched if not yet asked for. */
    const skip = (countBytes: number) =>
      Effect.gen(function* () {
        position = Math.min(position + countBytes, until)
        while (coming[0] !== undefined && index.end(coming[0].chunk) <= position) {
          const passed = coming.shift()
          if (passed === undefined) break
          yield* Fiber.interrupt(passed.fiber)
          free.push(passed.buffer)
        }
        const chunk = position < until ? index.find(position) : index.count
        if (coming.length === 0 && chunk > nextChunk) nextChunk = chunk
      })

    return { next, skip }
  })
