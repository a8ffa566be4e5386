/**
 * PieceStream: the bytes of an archive on their way out of a datastore, handed out in the pieces they come in
 * (chunks, as a rule). PayloadReader: the same from any offset.
 *
 * Obligations: a piece is never empty and is valid until the next call only, so that one buffer may serve
 * them all. After the end `next` answers undefined again and again. One call at a time.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface PieceStream<E = never> {
  /** The next piece; undefined at the end. */
  readonly next: Effect.Effect<Uint8Array | undefined, E>
  /**
   * Leaves out the next bytes, cheaply: what lies in between is not fetched. Skipping past the end leads to
   * the end.
   */
  readonly skip: (countBytes: number) => Effect.Effect<void, E>
}

export interface PayloadReader<E = never> {
  readonly sizeBytes: number
  /** The bytes from `offset` to `offset + lengthBytes`, which lie within `sizeBytes`. */
  readonly pieces: (offset: number, lengthBytes: number) => Effect.Effect<PieceStream<E>, never, Scope.Scope>
}
