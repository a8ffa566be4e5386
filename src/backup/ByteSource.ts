/**
 * ByteSource: bytes of an archive on their way into a datastore, pulled into buffers of the one who stores them.
 *
 * Obligations: `read` fills the beginning of `target` and answers how many bytes it put there, 0 only when the source
 * has ended; it never keeps `target` after it has answered. One `read` at a time.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** A source that cannot go on. What can be passed over is a warning and no failure. */
export class SourceError extends Data.TaggedError("SourceError")<{
  /** The file, folder or stream that is being read. */
  readonly subject: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.subject}: ${this.detail}`
  }

  get hint(): string {
    return "check that the source exists and may be read"
  }
}

export interface ByteSource<E = SourceError> {
  readonly read: (target: Uint8Array) => Effect.Effect<number, E>
}

/** Bytes from anywhere: any stream of byte arrays becomes a source. */
export const fromStream = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>
): Effect.Effect<ByteSource<E>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const pull = yield* Stream.toPull(stream)
    let pending: Array<Uint8Array> = []

    /** False when the stream has ended. */
    const refill: Effect.Effect<boolean, E> = pull.pipe(
      Effect.map((pieces) => {
        pending = pieces.filter(({ length }) => length > 0)
        return true
      }),
      Pull.catchDone(() => Effect.succeed(false))
    )

    return {
      read: (target) =>
        Effect.gen(function* () {
          while (pending.length === 0) {
            if (!(yield* refill)) return 0
          }
          return take(pending, target)
        })
    }
  })

const take = (pending: Array<Uint8Array>, target: Uint8Array): number => {
  const first = pending[0] ?? target
  const count = Math.min(first.length, target.length)
  target.set(first.subarray(0, count))
  if (count === first.length) pending.shift()
  else pending[0] = first.subarray(count)
  return count
}
