/** Pieces of content in other forms: as a Stream, and small content that is read at once as pieces. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { PieceStream } from "../PieceStream.ts"

/** The pieces as copies of their own, one an element. */
export const streamOf = <E, E2, R>(
  open: Effect.Effect<PieceStream<E>, E2, R>
): Stream.Stream<Uint8Array, E | E2, Exclude<R, Scope.Scope>> =>
  Stream.unwrap(
    Effect.map(open, (pieces) =>
      Stream.unfold(undefined, () =>
        Effect.map(pieces.next, (piece) =>
          piece === undefined ? undefined : ([piece.slice(), undefined] as const)
        )
      )
    )
  )

/** Content that is read at once, as pieces: a single one, or none. What is skipped is not read. */
export const readAtOnce = <E>(
  sizeBytes: number,
  read: (offset: number, lengthBytes: number) => Effect.Effect<Uint8Array, E>
): PieceStream<E> => {
  let position = 0
  const next = Effect.suspend(() => {
    const start = position
    position = sizeBytes
    return start < sizeBytes ? read(start, sizeBytes - start) : Effect.succeed(undefined)
  })
  const skip = (countBytes: number) =>
    Effect.sync(() => {
      position = Math.min(position + countBytes, sizeBytes)
    })
  return { next, skip }
}
