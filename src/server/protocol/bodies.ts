/**
 * bodies: what a request carries, as one piece of memory. A length that is announced is a bound and nothing more; who
 * sends nothing for a minute is not waited for.
 */
import * as Effect from "effect/Effect"
import type { Readable } from "node:stream"
import { copyInto } from "../../platform/sharedCopy.ts"
import { type ApiError, badRequest } from "../ApiError.ts"

const stallMillis = 60_000

const closedEarly = badRequest("the connection was closed before the request was complete")

/** Pieces are taken as they come; `take` answers why no more is wanted. */
const collect = (
  body: Readable,
  take: (piece: Buffer) => ApiError | undefined
): Effect.Effect<void, ApiError> =>
  Effect.callback((resume) => {
    const settle = (outcome: Effect.Effect<void, ApiError>): void => {
      body.off("data", onData)
      body.off("end", onEnd)
      body.off("close", onClose)
      body.off("error", onClose)
      // Nobody reads what is left: it is thrown away as it comes, bounded by the window.
      resume(outcome)
    }
    const onData = (piece: Buffer): void => {
      const refusal = take(piece)
      if (refusal !== undefined) settle(Effect.fail(refusal))
    }
    const onEnd = (): void => settle(Effect.void)
    const onClose = (): void => settle(body.readableEnded ? Effect.void : Effect.fail(closedEarly))
    if (body.readableEnded) return resume(Effect.void)
    if (body.destroyed) return resume(Effect.fail(closedEarly))
    body.on("end", onEnd)
    body.on("close", onClose)
    body.on("error", onClose)
    body.on("data", onData)
    return Effect.sync(() => settle(Effect.void))
  })

/** Notices when nothing has come for a minute. */
const unlessStalled = (progress: () => number) => (effect: Effect.Effect<void, ApiError>) => {
  const watch: Effect.Effect<never, ApiError> = Effect.gen(function* () {
    for (;;) {
      const before = progress()
      yield* Effect.sleep(stallMillis)
      if (progress() === before) return yield* badRequest("timed out while waiting for the request's body")
    }
  })
  return Effect.raceFirst(effect, watch)
}

/** A body of unknown size, up to a bound. */
export const read = (
  body: Readable,
  maxBytes: number,
  tooLarge: ApiError = badRequest("Request body too large")
): Effect.Effect<Uint8Array, ApiError> =>
  Effect.suspend(() => {
    const pieces: Array<Buffer> = []
    let count = 0
    const take = (piece: Buffer): ApiError | undefined => {
      count += piece.length
      if (count > maxBytes) return tooLarge
      pieces.push(piece)
      return undefined
    }
    return collect(body, take).pipe(
      unlessStalled(() => count),
      Effect.map(() => (pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)))
    )
  })

/** A body right into memory that is there, as large as the body may be; answers how much came. */
export const readInto = (
  body: Readable,
  target: Uint8Array,
  tooLarge: ApiError
): Effect.Effect<number, ApiError> =>
  Effect.suspend(() => {
    let count = 0
    const take = (piece: Buffer): ApiError | undefined => {
      if (count + piece.length > target.length) return tooLarge
      copyInto(target.subarray(count), piece)
      count += piece.length
      return undefined
    }
    return Effect.map(unlessStalled(() => count)(collect(body, take)), () => count)
  })

/** A body that is to be dropped; answers how much there was. */
export const drop = (body: Readable): Effect.Effect<number, ApiError> =>
  Effect.suspend(() => {
    let count = 0
    const take = (piece: Buffer): undefined => void (count += piece.length)
    return Effect.map(unlessStalled(() => count)(collect(body, take)), () => count)
  })
