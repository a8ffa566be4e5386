/**
 * ReaderSessions: sessions of the reader protocol, one for each snapshot that is being read. A session is opened when
 * it is wanted, and closed when nobody has used it for a while: as long as it is open, nobody can remove the snapshot
 * on the server.
 *
 * Invariants: whoever uses a session has it open until the use has ended. One that broke is replaced, and the use begun
 * once more, once. Idle sessions above eight are closed at once, the one that was used least recently first.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import { keyOf, type SnapshotPlace, snapshotParameters } from "./places.ts"
import type { Remote } from "./Remote.ts"
import type { RemoteError } from "./RemoteError.ts"
import type { RemoteSession } from "./RemoteSession.ts"

/** A session that is open, with what was done in it. */
export interface ReaderSession {
  readonly session: RemoteSession
  /** Indexes that were asked for: only their chunks can be had. Each with a turn, so that it is asked for once. */
  readonly indexes: Map<string, IndexTurn>
}

export interface IndexTurn {
  readonly turn: Semaphore.Semaphore
  isThere: boolean
}

export interface ReaderSessions {
  readonly use: <A>(
    place: SnapshotPlace,
    run: (opened: ReaderSession) => Effect.Effect<A, RemoteError>
  ) => Effect.Effect<A, RemoteError>
  /** Whether a session is there already. */
  readonly isOpen: (place: SnapshotPlace) => boolean
}

interface Held extends ReaderSession {
  readonly scope: Scope.Closeable
  users: number
  usedMillis: number
}

/** One snapshot's session, or the place where one will be. */
interface Seat {
  held: Held | undefined
  /** While one is being opened: all who want it wait for the same. */
  opening: Deferred.Deferred<void, RemoteError> | undefined
}

export interface ReaderSessionsOptions {
  /** How long a session stays open that nobody uses. Default 20. */
  readonly idleSeconds?: number | undefined
}

const idleMax = 8
const defaultIdleSeconds = 20
const looksInTime = 4
const lookMillisMin = 100

const openings = Schedule.exponential("200 millis").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 3 }),
  Schedule.setInputType<RemoteError>(),
  Schedule.while(({ input }) => input.isTransient)
)

/** Those that nobody uses, the one that was used least recently first. */
const idleOf = (seats: ReadonlyMap<string, Seat>): ReadonlyArray<readonly [Seat, Held]> =>
  [...seats.values()]
    .flatMap((seat) => (seat.held?.users === 0 ? [[seat, seat.held] as const] : []))
    .toSorted(([, left], [, right]) => left.usedMillis - right.usedMillis)

const end = (held: Held): Effect.Effect<void> => Scope.close(held.scope, Exit.void)

export const make = (
  remote: Remote,
  { idleSeconds = defaultIdleSeconds }: ReaderSessionsOptions = {}
): Effect.Effect<ReaderSessions, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const seats = new Map<string, Seat>()

    const seatOf = (place: SnapshotPlace): Seat => {
      const key = keyOf(place)
      const seat = seats.get(key) ?? { held: undefined, opening: undefined }
      seats.set(key, seat)
      return seat
    }

    /** Nobody gets what is being closed. Not waited for: a server that does not answer must not hold others up. */
    const retire = (retiring: ReadonlyArray<readonly [Seat, Held]>) =>
      Effect.forEach(
        retiring,
        ([seat, held]) => {
          if (seat.held === held) seat.held = undefined
          return held.users === 0 ? Effect.forkIn(end(held), scope) : Effect.void
        },
        { discard: true }
      )

    const begin = (place: SnapshotPlace): Effect.Effect<Held, RemoteError> =>
      Effect.gen(function* () {
        const own = yield* Scope.fork(scope)
        const session = yield* remote.begin("reader", { ...snapshotParameters(place), debug: true }).pipe(
          Effect.retry(openings),
          Scope.provide(own),
          Effect.onError(() => Scope.close(own, Exit.void))
        )
        const usedMillis = yield* Clock.currentTimeMillis
        return { session, indexes: new Map(), scope: own, users: 0, usedMillis }
      })

    /** Goes on when whoever wanted it has left: the next one will want it too. */
    const open = (seat: Seat, place: SnapshotPlace) =>
      Effect.gen(function* () {
        const opening = yield* Deferred.make<void, RemoteError>()
        seat.opening = opening
        yield* retire(idleOf(seats).slice(0, -idleMax))
        const opened = begin(place).pipe(
          Effect.map((held) => void (seat.held = held)),
          Effect.onExit((exit) => {
            seat.opening = undefined
            return Deferred.done(opening, exit)
          })
        )
        yield* Effect.forkIn(Effect.ignore(opened), scope)
        return opening
      })

    /** The seat's session with one user more; a broken one is replaced. */
    const enter = (
      seat: Seat,
      place: SnapshotPlace,
      wait: (opening: Deferred.Deferred<void, RemoteError>) => Effect.Effect<void, RemoteError>
    ): Effect.Effect<Held, RemoteError> =>
      Effect.gen(function* () {
        for (;;) {
          const known = seat.held
          if (known !== undefined && (yield* known.session.isOpen)) {
            known.users += 1
            return known
          }
          if (known !== undefined) yield* retire([[seat, known]])
          yield* wait(seat.opening ?? (yield* open(seat, place)))
        }
      })

    const leave = (seat: Seat, held: Held): Effect.Effect<void> =>
      Effect.gen(function* () {
        held.users -= 1
        held.usedMillis = yield* Clock.currentTimeMillis
        if (seat.held !== held) yield* retire([[seat, held]])
      })

    const once = <A>(place: SnapshotPlace, run: (opened: ReaderSession) => Effect.Effect<A, RemoteError>) =>
      Effect.uninterruptibleMask((interruptibly) =>
        Effect.gen(function* () {
          const seat = seatOf(place)
          const held = yield* enter(seat, place, (opening) => interruptibly(Deferred.await(opening)))
          return yield* Effect.ensuring(interruptibly(run(held)), leave(seat, held))
        })
      )

    const use: ReaderSessions["use"] = (place, run) =>
      once(place, run).pipe(
        Effect.catchIf(
          ({ reason }) => reason === "Disconnected",
          () => once(place, run)
        )
      )

    const closeIdle = Effect.gen(function* () {
      const beforeMillis = (yield* Clock.currentTimeMillis) - idleSeconds * 1000
      yield* retire(idleOf(seats).filter(([, { usedMillis }]) => usedMillis <= beforeMillis))
      for (const [key, { held, opening }] of seats) {
        if (held === undefined && opening === undefined) seats.delete(key)
      }
    })
    const lookMillis = Math.max(lookMillisMin, (idleSeconds * 1000) / looksInTime)
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(lookMillis), closeIdle)))

    const isOpen = (place: SnapshotPlace): boolean => seats.get(keyOf(place))?.held !== undefined
    return { use, isOpen }
  })
