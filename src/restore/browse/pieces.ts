/** Pieces of content as a Stream, for whoever does not want to care how long a piece is valid. */
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
