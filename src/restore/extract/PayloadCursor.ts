/**
 * Reads the payload stream of a split archive at rising offsets. Many small files lie in one piece, so what
 * is at hand is given out without an effect (`view`), and only the next piece takes one. Going back is
 * possible but opens a new stream.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { attempt } from "../../format/attempt.ts"
import { fail, type FormatError } from "../../format/FormatError.ts"
import type { PayloadReader, PieceStream } from "../PieceStream.ts"

const NONE = new Uint8Array(0)

interface Opened<E> {
  readonly stream: PieceStream<E>
  readonly scope: Scope.Closeable
}

export class PayloadCursor<E> {
  readonly #reader: PayloadReader<E>
  readonly #scope: Scope.Scope
  #opened: Opened<E> | undefined
  #piece: Uint8Array = NONE
  #pieceStart = 0

  static make<E>(reader: PayloadReader<E>): Effect.Effect<PayloadCursor<E>, never, Scope.Scope> {
    return Effect.map(Effect.scope, (scope) => new PayloadCursor(reader, scope))
  }

  private constructor(reader: PayloadReader<E>, scope: Scope.Scope) {
    this.#reader = reader
    this.#scope = scope
  }

  /** The bytes at `offset`, `limit` at most, as far as they are at hand; valid until `fetch`. */
  view(offset: number, limit: number): Uint8Array {
    const start = offset - this.#pieceStart
    return start < 0 ? NONE : this.#piece.subarray(start, start + limit)
  }

  /** Brings the byte at `offset` to hand, and what comes with it. */
  fetch(offset: number): Effect.Effect<void, E | FormatError> {
    return Effect.gen({ self: this }, function* () {
      if (offset >= this.#reader.sizeBytes) return yield* outside(offset, this.#reader.sizeBytes)
      const end = this.#pieceStart + this.#piece.length
      const opened = this.#opened
      const { stream } = opened === undefined || offset < end ? yield* this.#open(offset, opened) : opened
      const position = this.#pieceStart + this.#piece.length
      if (offset > position) yield* stream.skip(offset - position)
      const piece = yield* stream.next
      if (piece === undefined) return yield* outside(offset, position)
      this.#piece = piece
      this.#pieceStart = offset
    })
  }

  #open(offset: number, previous: Opened<E> | undefined): Effect.Effect<Opened<E>> {
    return Effect.gen({ self: this }, function* () {
      if (previous !== undefined) yield* Scope.close(previous.scope, Exit.void)
      const scope = yield* Scope.fork(this.#scope)
      const lengthBytes = this.#reader.sizeBytes - offset
      const stream = yield* Scope.provide(this.#reader.pieces(offset, lengthBytes), scope)
      const opened = { stream, scope }
      this.#opened = opened
      this.#piece = NONE
      this.#pieceStart = offset
      return opened
    })
  }
}

const outside = (offset: number, sizeBytes: number): Effect.Effect<never, FormatError> =>
  attempt(() => fail("pxar archive", offset, "a payload inside its stream", `its end at ${sizeBytes}`))
