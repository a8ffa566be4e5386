/**
 * KeptLists: answers to questions whose answers change, each asked for again when it is some seconds old, and once for
 * all who want it at the same time.
 *
 * Invariant: while the store cannot be reached, what was known last goes on being the answer, so that all that is here
 * can be found still. Whoever asks waits for a store that is slow or away for two seconds at most; its answer is taken
 * whenever it comes. What was never known is waited for, and failures are never kept.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { VfsError } from "../VfsError.ts"

export interface KeptListsOptions {
  readonly validSeconds: number
  /** How many answers are kept; those asked for longest ago go. */
  readonly max: number
}

interface Kept<A> {
  readonly answer: A
  /** Until then nobody asks again. */
  readonly validUntilMillis: number
}

/** So long is somebody kept waiting who could have an answer that is a little old. */
const patience = "2 seconds"

/** A store that is away is asked again after this time, or after that of validity. */
const awayMillis = 5000

/** `find` is told the key. */
export const make = <A>(
  { max, validSeconds }: KeptListsOptions,
  find: (key: string) => Effect.Effect<A, VfsError>
): Effect.Effect<(key: string) => Effect.Effect<A, VfsError>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const validMillis = validSeconds * 1000
    const kept = new Map<string, Kept<A>>()
    const underWay = new Map<string, Fiber.Fiber<A, VfsError>>()

    const keep = (key: string, answer: A, nowMillis: number, forMillis: number): void => {
      kept.delete(key)
      kept.set(key, { answer, validUntilMillis: nowMillis + forMillis })
      const [oldest] = kept.keys()
      if (kept.size > max && oldest !== undefined) kept.delete(oldest)
    }

    const ask = (key: string): Effect.Effect<Fiber.Fiber<A, VfsError>> =>
      Effect.suspend(() => {
        const asked = underWay.get(key)
        if (asked !== undefined) return Effect.succeed(asked)
        return find(key).pipe(
          Effect.tap((answer) =>
            Effect.map(Clock.currentTimeMillis, (now) => keep(key, answer, now, validMillis))
          ),
          Effect.ensuring(Effect.sync(() => void underWay.delete(key))),
          Effect.forkIn(scope),
          // The fiber has not begun yet: nothing was forgotten before it is remembered.
          Effect.tap((fiber) => Effect.sync(() => void underWay.set(key, fiber)))
        )
      })

    const orOld = (key: string, answer: A, asked: Fiber.Fiber<A, VfsError>): Effect.Effect<A, VfsError> => {
      const old = Effect.map(Clock.currentTimeMillis, (now) => {
        keep(key, answer, now, Math.max(validMillis, awayMillis))
        return answer
      })
      return Fiber.join(asked).pipe(
        Effect.timeoutOrElse({ duration: patience, orElse: () => old }),
        Effect.catchIf(
          ({ reason }) => reason === "Unreachable",
          () => old
        )
      )
    }

    return (key) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const known = kept.get(key)
        if (known !== undefined && now < known.validUntilMillis) return Effect.succeed(known.answer)
        return Effect.flatMap(ask(key), (asked) =>
          known === undefined ? Fiber.join(asked) : orOld(key, known.answer, asked)
        )
      })
  })
