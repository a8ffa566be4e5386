/**
 * SingleFlight: many want the same thing at once, one effect fetches it for all.
 *
 * Who starts it may lend memory of its own, where the thing is made without a copy; the others take theirs from there.
 *
 * Invariants: of one key at most one effect is under way; who comes while it is gets what it comes to. It belongs to
 * those who wait for it and to the scope: one who is interrupted leaves the others waiting, and the last one takes it
 * along. Memory that was lent is its owner's again only when nothing writes into it and nobody reads there any more.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

export interface Claim {
  /** It was this one's fetch, and its memory, if any was lent. */
  readonly isStarter: boolean
  /** Nobody who came for this value is still to get it: it may be kept without a copy. */
  readonly isLast: boolean
}

export interface Wish<A, B, E> {
  /**
   * Run when nobody fetches it yet. `borrow` says whether the memory of who started may be written to: it is asked
   * right before, once at most, and who has left by then wants its memory for something else.
   */
  readonly fetch: (borrow: () => boolean) => Effect.Effect<A, E>
  /** Takes what one wanted out of the value, in one step. The starter's turn is the last one. */
  readonly receive: (value: A, claim: Claim) => Exit.Exit<B, E>
}

export interface SingleFlight<A, E> {
  readonly share: <B>(key: string, wish: Wish<A, B, E>) => Effect.Effect<B, E>
}

/** One who waits. */
interface Passenger<A, E> {
  readonly land: (exit: Exit.Exit<A, E>, claim: Claim) => void
}

interface Flight<A, E> {
  readonly starter: Passenger<A, E>
  /** Those who wait, in the order in which they came. */
  readonly waiting: Set<Passenger<A, E>>
  isLent: boolean
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

const landAll = <A, E>({ starter, waiting }: Flight<A, E>, exit: Exit.Exit<A, E>): void => {
  const others = [...waiting].filter((passenger) => passenger !== starter)
  const inTurn = waiting.has(starter) ? [...others, starter] : others
  for (const [place, passenger] of inTurn.entries()) {
    passenger.land(exit, { isStarter: passenger === starter, isLast: place === inTurn.length - 1 })
  }
}

export const make = <A, E>(): Effect.Effect<SingleFlight<A, E>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const flights = new Map<string, Flight<A, E>>()

    const forget = (key: string, flight: Flight<A, E>): void => {
      if (flights.get(key) === flight) flights.delete(key)
    }

    const start = (
      key: string,
      starter: Passenger<A, E>,
      fetch: Wish<A, unknown, E>["fetch"]
    ): Effect.Effect<Flight<A, E>> => {
      const flight: Flight<A, E> = { starter, waiting: new Set([starter]), isLent: false, fiber: undefined }
      flights.set(key, flight)
      const borrow = (): boolean => (flight.isLent = flight.waiting.has(starter))
      return fetch(borrow).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            forget(key, flight)
            landAll(flight, exit)
          })
        ),
        Effect.forkIn(scope),
        Effect.map((fiber) => {
          flight.fiber = fiber
          // In a scope that is closed already nothing begins, and so nothing lands.
          if (scope.state._tag === "Closed") landAll(flight, Exit.interrupt())
          return flight
        })
      )
    }

    const join = (key: string, passenger: Passenger<A, E>, fetch: Wish<A, unknown, E>["fetch"]) =>
      Effect.suspend(() => {
        const known = flights.get(key)
        if (known === undefined) return start(key, passenger, fetch)
        known.waiting.add(passenger)
        return Effect.succeed(known)
      })

    const leave = (key: string, flight: Flight<A, E>, passenger: Passenger<A, E>) =>
      Effect.suspend(() => {
        flight.waiting.delete(passenger)
        const { fiber, isLent, starter, waiting } = flight
        if (fiber === undefined || flights.get(key) !== flight) return Effect.void
        if (waiting.size > 0) return isLent && passenger === starter ? Fiber.await(fiber) : Effect.void
        flights.delete(key)
        return Fiber.interrupt(fiber)
      })

    const share = <B>(key: string, wish: Wish<A, B, E>): Effect.Effect<B, E> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          const landing = Deferred.makeUnsafe<B, E>()
          let failedForStarter = false
          const passenger: Passenger<A, E> = {
            land: (exit, claim) => {
              failedForStarter = Exit.isFailure(exit) && !claim.isStarter
              const received = Exit.isSuccess(exit)
                ? wish.receive(exit.value, claim)
                : Exit.failCause(exit.cause)
              Deferred.doneUnsafe(landing, received)
            }
          }
          return Effect.flatMap(join(key, passenger, wish.fetch), (flight) => {
            // What does not fit into the memory of who started may still be what this one wants.
            const isOthersFailure = (): boolean => flight.isLent && failedForStarter
            return restore(Deferred.await(landing)).pipe(
              Effect.ensuring(leave(key, flight, passenger)),
              Effect.catchIf(isOthersFailure, () => restore(share(key, wish)))
            )
          })
        })
      )

    return { share }
  })
