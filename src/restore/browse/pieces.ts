/** Pieces of content in other forms: as a Stream, and content that is at hand as pieces. */
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

/** Content that is read at once, as pieces: a single one, or none. */
export const ofBytes = <E>(read: Effect.Effect<Uint8Array, E>): PieceStream<E> => {
  let skippedBytes = 0
  let isTaken = false
  const next = Effect.suspend(() => {
    if (isTaken) return Effect.succeed(undefined)
    isTaken = true
    return Effect.map(read, (bytes) =>
      skippedBytes < bytes.length ? bytes.subarray(skippedBytes) : undefined
    )
  })
  const skip = (countBytes: number) =>
    Effect.sync(() => {
      skippedBytes += countBytes
    })
  return { next, skip }
}
