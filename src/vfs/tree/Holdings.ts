/**
 * Holdings: things that are open for as long as somebody uses them, and a while longer.
 *
 * Invariants: a thing is never closed while it is used; what nobody has used for the idle time is closed; beyond so
 * many things the one that was used longest ago is closed before another one is opened. An opening that failed is
 * forgotten. All is closed with the scope.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

export interface HoldingsOptions<K, A, E> {
  readonly keyOf: (wanted: K) => string
  readonly open: (wanted: K) => Effect.Effect<A, E, Scope.Scope>
  readonly idleSeconds: number
  /** How many are open at most, those in use not counted. */
  readonly openMax: number
}

export interface Holdings<K, A, E> {
  readonly use: <B, E2>(wanted: K, use: (thing: A) => Effect.Effect<B, E2>) => Effect.Effect<B, E | E2>
  /** The thing if it is open, for this moment: whoever goes on with it later may find it closed. Counts as a use. */
  readonly now: (wanted: K) => A | undefined
}

interface Holding<A, E> {
  readonly scope: Scope.Closeable
  readonly opening: Deferred.Deferred<A, E>
  isOpen: boolean
  thing: A | undefined
  users: number
  lastUsedMillis: number
}

/** How many times in its idle time a thing is looked at. */
const looksPerIdleTime = 4

export const make = <K, A, E>(
  options: HoldingsOptions<K, A, E>
): Effect.Effect<Holdings<K, A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const clock = yield* Clock.Clock
    const { idleSeconds, keyOf, open, openMax } = options
    /** In the order of their last use, the longest ago first. */
    const held = new Map<string, Holding<A, E>>()

    const close = (key: string, holding: Holding<A, E>): Effect.Effect<void> => {
      if (held.get(key) === holding) held.delete(key)
      holding.thing = undefined
      return Scope.close(holding.scope, Exit.void)
    }

    const isIdle = (holding: Holding<A, E>): boolean => holding.users === 0 && holding.isOpen

    const closeIdle = Effect.suspend(() => {
      const since = clock.currentTimeMillisUnsafe() - idleSeconds * 1000
      const idle = [...held].filter(([, holding]) => isIdle(holding) && holding.lastUsedMillis <= since)
      return Effect.forEach(idle, ([key, holding]) => close(key, holding), { discard: true })
    })

    /** Closes those used longest ago, until one more may be opened. */
    const makeRoom = Effect.suspend(() => {
      const idle = [...held].filter(([, holding]) => isIdle(holding))
      const surplus = idle.slice(0, Math.max(0, idle.length + 1 - openMax))
      return Effect.forEach(surplus, ([key, holding]) => close(key, holding), { discard: true })
    })

    /** Opened beside whoever asked first: when he leaves, the others still want it. */
    const begin = (key: string, wanted: K): Effect.Effect<Holding<A, E>> =>
      Effect.gen(function* () {
        const scope = yield* Scope.fork(outer)
        const holding: Holding<A, E> = {
          scope,
          opening: Deferred.makeUnsafe<A, E>(),
          isOpen: false,
          thing: undefined,
          users: 1,
          lastUsedMillis: 0
        }
        held.set(key, holding)
        const opened = Effect.andThen(makeRoom, Scope.provide(open(wanted), scope)).pipe(
          Effect.onExit((exit) => {
            holding.isOpen = Exit.isSuccess(exit)
            holding.thing = Exit.isSuccess(exit) ? exit.value : undefined
            Deferred.doneUnsafe(holding.opening, exit)
            return holding.isOpen ? Effect.void : close(key, holding)
          })
        )
        yield* Effect.forkIn(opened, outer)
        return holding
      })

    const enter = (wanted: K): Effect.Effect<Holding<A, E>> =>
      Effect.suspend(() => {
        const key = keyOf(wanted)
        const known = held.get(key)
        if (known === undefined) return begin(key, wanted)
        known.users += 1
        held.delete(key)
        held.set(key, known)
        return Effect.succeed(known)
      })

    const leave = (holding: Holding<A, E>): Effect.Effect<void> =>
      Effect.sync(() => {
        holding.users -= 1
        holding.lastUsedMillis = clock.currentTimeMillisUnsafe()
      })

    yield* Effect.forkScoped(
      Effect.forever(
        Effect.andThen(Effect.sleep(`${(idleSeconds * 1000) / looksPerIdleTime} millis`), closeIdle)
      )
    )

    const now = (wanted: K): A | undefined => {
      const key = keyOf(wanted)
      const holding = held.get(key)
      if (holding?.thing === undefined) return undefined
      holding.lastUsedMillis = clock.currentTimeMillisUnsafe()
      held.delete(key)
      held.set(key, holding)
      return holding.thing
    }

    return {
      now,
      use: (wanted, use) =>
        Effect.acquireUseRelease(
          enter(wanted),
          ({ opening }) => Effect.flatMap(Deferred.await(opening), use),
          leave
        )
    }
  })
