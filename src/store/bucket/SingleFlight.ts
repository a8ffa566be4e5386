/**
 * SingleFlight: many want the same thing at once, one effect fetches it for all.
 *
 * Invariants: of one key at most one effect is under way; who comes while it is gets what it comes to. It belongs to
 * those who wait for it and to the scope: one who is interrupted leaves the others waiting, and the last one takes it
 * along.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

export interface Shared<A> {
  readonly value: A
  /** Nobody who came for this value is still to get it: it may be kept without a copy. */
  readonly isLast: boolean
}

export interface SingleFlight<A, E> {
  readonly share: (key: string, fetch: Effect.Effect<A, E>) => Effect.Effect<Shared<A>, E>
}

interface Flight<A, E> {
  readonly landing: Deferred.Deferred<A, E>
  waiting: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

export const make = <A, E>(): Effect.Effect<SingleFlight<A, E>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const flights = new Map<string, Flight<A, E>>()

    const forget = (key: string, flight: Flight<A, E>): void => {
      if (flights.get(key) === flight) flights.delete(key)
    }

    const join = (key: string): { readonly flight: Flight<A, E>; readonly isNew: boolean } => {
      const known = flights.get(key)
      const flight = known ?? { landing: Deferred.makeUnsafe<A, E>(), waiting: 0, fiber: undefined }
      flights.set(key, flight)
      flight.waiting += 1
      return { flight, isNew: known === undefined }
    }

    const start = (key: string, flight: Flight<A, E>, fetch: Effect.Effect<A, E>) =>
      fetch.pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            forget(key, flight)
            Deferred.doneUnsafe(flight.landing, exit)
          })
        ),
        Effect.forkIn(scope),
        Effect.flatMap((fiber) => {
          flight.fiber = fiber
          // In a scope that is closed already nothing begins, and so nothing lands.
          return scope.state._tag === "Closed" ? Deferred.interrupt(flight.landing) : Effect.void
        })
      )

    const leave = (key: string, flight: Flight<A, E>) =>
      Effect.suspend(() => {
        flight.waiting -= 1
        if (flight.waiting > 0 || flights.get(key) !== flight) return Effect.void
        flights.delete(key)
        return flight.fiber === undefined ? Effect.void : Fiber.interrupt(flight.fiber)
      })

    const share = (key: string, fetch: Effect.Effect<A, E>): Effect.Effect<Shared<A>, E> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const { flight, isNew } = join(key)
          const started = isNew ? start(key, flight, fetch) : Effect.void
          return Effect.andThen(started, restore(Deferred.await(flight.landing))).pipe(
            Effect.map((value) => ({ value, isLast: flight.waiting === 1 })),
            Effect.ensuring(leave(key, flight))
          )
        })
      )

    return { share }
  })
