/** once: what is found out one time for all who ask; a failure is found out anew by the next one who asks. */
import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** One for each key. It is under way only while somebody waits for it. */
export const onceEach = <A, E>(
  find: (key: string) => Effect.Effect<A, E>
): Effect.Effect<(key: string) => Effect.Effect<A, E>> =>
  Effect.map(
    Cache.makeWith(find, {
      capacity: Number.POSITIVE_INFINITY,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? Number.POSITIVE_INFINITY : 0)
    }),
    (cache) => (key) => Cache.get(cache, key)
  )

export const once = <A, E>(find: Effect.Effect<A, E>): Effect.Effect<Effect.Effect<A, E>> =>
  Effect.map(
    onceEach(() => find),
    (get) => get("")
  )
