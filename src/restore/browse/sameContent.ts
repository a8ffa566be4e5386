/**
 * Whether two files hold the same bytes. Chunks are named by their content, so ranges that lie at the same place in the
 * same chunks are equal without a look at them; only what is not shared is read.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../../format/ChunkIndex.ts"
import type { FileBytes, TreeError } from "../ArchiveTree.ts"
import type { PieceStream } from "../PieceStream.ts"

interface Place {
  readonly index: ChunkIndex
  readonly offset: number
}

/** How many bytes of the range lie in the same chunks on both sides, from its beginning on. */
export const sharedBytes = (left: Place, right: Place, sizeBytes: number): number => {
  let done = 0
  while (done < sizeBytes) {
    const leftChunk = left.index.find(left.offset + done)
    const rightChunk = right.index.find(right.offset + done)
    const within = left.offset + done - left.index.start(leftChunk)
    const isShared =
      within === right.offset + done - right.index.start(rightChunk) &&
      left.index.digest(leftChunk) === right.index.digest(rightChunk)
    if (!isShared) break
    done += left.index.end(leftChunk) - left.index.start(leftChunk) - within
  }
  return Math.min(done, sizeBytes)
}

/** Takes pieces off both streams as they come; they need not be cut alike. */
const equalStreams = (
  left: PieceStream<TreeError>,
  right: PieceStream<TreeError>
): Effect.Effect<boolean, TreeError> =>
  Effect.gen(function* () {
    let leftPiece = yield* left.next
    let rightPiece = yield* right.next
    while (leftPiece !== undefined && rightPiece !== undefined) {
      const lengthBytes = Math.min(leftPiece.length, rightPiece.length)
      if (Buffer.compare(leftPiece.subarray(0, lengthBytes), rightPiece.subarray(0, lengthBytes)) !== 0)
        return false
      leftPiece = leftPiece.length > lengthBytes ? leftPiece.subarray(lengthBytes) : yield* left.next
      rightPiece = rightPiece.length > lengthBytes ? rightPiece.subarray(lengthBytes) : yield* right.next
    }
    return leftPiece === undefined && rightPiece === undefined
  })

/** Compares two files; reads from the first chunk on that they do not share. */
export const sameContent = (left: FileBytes, right: FileBytes): Effect.Effect<boolean, TreeError> => {
  if (left.sizeBytes !== right.sizeBytes) return Effect.succeed(false)
  const shared = sharedBytes(left, right, left.sizeBytes)
  if (shared === left.sizeBytes) return Effect.succeed(true)
  return Effect.scoped(
    Effect.gen(function* () {
      const leftPieces = yield* left.pieces
      const rightPieces = yield* right.pieces
      yield* leftPieces.skip(shared)
      yield* rightPieces.skip(shared)
      return yield* equalStreams(leftPieces, rightPieces)
    })
  )
}
