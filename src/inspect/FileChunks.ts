/**
 * FileChunks: where a file would be cut into chunks, and under which digests these would be stored. Reads the
 * file once, in constant memory: at most one chunk and one block are held.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { type ChunkBoundary, chunkBoundariesAsync } from "../chunking/chunkBoundaries.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as Digest from "../model/Digest.ts"
import { Files, FilesError, type ReadHandle } from "../platform/Files.ts"

export interface FileChunk extends ChunkBoundary {
  readonly digest: Digest.Digest
}

export interface FileChunksOptions {
  /** A power of two. */
  readonly averageBytes: number
  /** Digests as of an encrypted backup with this key. */
  readonly crypt?: CryptConfig | undefined
}

const blockBytes = 1024 * 1024

/** The blocks of a file, from its beginning. */
const blocksOf = (handle: ReadHandle): Stream.Stream<Uint8Array, FilesError> =>
  Stream.unfold(0, (offset) => {
    const block = new Uint8Array(blockBytes)
    return Effect.map(handle.readAt(offset, block), (count) =>
      count === 0 ? undefined : ([block.subarray(0, count), offset + count] as const)
    )
  })

/** Bytes that were read and belong to chunks that have not ended yet. */
class Backlog {
  readonly #blocks: Array<Uint8Array> = []

  push(block: Uint8Array): void {
    this.#blocks.push(block)
  }

  /** Takes the next bytes off, piece by piece. */
  *take(countBytes: number): Generator<Uint8Array> {
    for (let missing = countBytes; missing > 0;) {
      const block = this.#blocks.shift()
      if (block === undefined) throw new Error("a chunk reaches beyond what was read")
      const piece = block.subarray(0, missing)
      missing -= piece.length
      if (piece.length < block.length) this.#blocks.unshift(block.subarray(piece.length))
      yield piece
    }
  }
}

const digestOf = (pieces: Iterable<Uint8Array>, crypt: CryptConfig | undefined): Digest.Digest => {
  const sum = createHash("sha256")
  for (const piece of pieces) sum.update(piece)
  if (crypt !== undefined) sum.update(crypt.idKey)
  return Digest.fromBytes(sum.digest())
}

const chunksOf = async function* (
  blocks: AsyncIterable<Uint8Array>,
  { averageBytes, crypt }: FileChunksOptions
): AsyncGenerator<FileChunk> {
  const backlog = new Backlog()
  const remembered = async function* () {
    for await (const block of blocks) {
      backlog.push(block)
      yield block
    }
  }
  for await (const { start, end } of chunkBoundariesAsync(remembered(), { averageBytes })) {
    yield { start, end, digest: digestOf(backlog.take(end - start), crypt) }
  }
}

/** The chunks of a file, in order. */
export const fileChunks = (
  path: string,
  options: FileChunksOptions
): Stream.Stream<FileChunk, FilesError, Files> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const files = yield* Files
      const handle = yield* files.openRead(path)
      const blocks = Stream.toAsyncIterable(blocksOf(handle))
      return Stream.fromAsyncIterable(chunksOf(blocks, options), (error) => {
        if (error instanceof FilesError) return error
        throw error
      })
    })
  )
