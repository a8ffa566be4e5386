/**
 * Lifts decoders into Effect. It stands apart from `FormatError`, so that worker threads, which only decode, start
 * without loading Effect.
 */
import * as Effect from "effect/Effect"
import { FormatError } from "./FormatError.ts"

/** Runs a decoder (or encoder) and turns its `FormatError` into a typed failure. */
export const attempt = <A>(decode: () => A): Effect.Effect<A, FormatError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(decode())
    } catch (error) {
      return error instanceof FormatError ? Effect.fail(error) : Effect.die(error)
    }
  })
