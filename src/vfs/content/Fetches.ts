/**
 * Fetches: chunks on their way from the store, each once for all who wait for it.
 *
 * Invariants: of one chunk, with one length, at most one fetch is under way; it belongs to those who wait for it and
 * to the scope: one who leaves lets the others wait, and the last one takes it along. A failure is never kept. What
 * has come is kept, if there is room for it, and everybody who waits uses it in the same moment: later its memory may
 * be another chunk's.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { ChunkError } from "../../platform/ChunkCodec.ts"
import type { ReadError } from "../../restore/ArchiveReader.ts"
import type { ChunkStore } from "../../store/ChunkStore.ts"
import { type ChunkName, type KeptChunks, type Reservation, textOf } from "./KeptChunks.ts"
import type { Room } from "./Room.ts"

export interface SizedChunk extends ChunkName {
  /** As its index says. */
  readonly sizeBytes: number
}

/** One who waits: is told once what has come. */
type Waiter = (exit: Exit.Exit<Uint8Array, ReadError>) => void

interface Flight {
  readonly wanted: SizedChunk
  readonly waiting: Set<Waiter>
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  hasLanded: boolean
}

export const otherLength = ({ digest, sizeBytes }: SizedChunk, { length }: Uint8Array): ChunkError => {
  const detail = `its index says ${sizeBytes} bytes, it holds ${length}`
  return new ChunkError({ digest, reason: "Corrupt", detail })
}

/** Who names another length waits for another thing. */
const keyOf = (wanted: SizedChunk): string => `${textOf(wanted)} ${wanted.sizeBytes}`

const usedExit = <A>(
  exit: Exit.Exit<Uint8Array, ReadError>,
  use: (data: Uint8Array) => A
): Exit.Exit<A, ReadError> => {
  try {
    return Exit.map(exit, use)
  } catch (defect) {
    return Exit.die(defect)
  }
}

export class Fetches {
  readonly #chunks: ChunkStore["Service"]
  readonly #kept: KeptChunks
  readonly #room: Room
  readonly #scope: Scope.Scope
  readonly #flights = new Map<string, Flight>()

  constructor(chunks: ChunkStore["Service"], kept: KeptChunks, room: Room, scope: Scope.Scope) {
    this.#chunks = chunks
    this.#kept = kept
    this.#room = room
    this.#scope = scope
  }

  /** Waits for the chunk, and for what `use` makes of it, which is called once at most, and keeps nothing of it. */
  wait<A>(wanted: SizedChunk, use: (data: Uint8Array) => A): Effect.Effect<A, ReadError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const used = Deferred.makeUnsafe<A, ReadError>()
        const waiter: Waiter = (exit) => void Deferred.doneUnsafe(used, usedExit(exit, use))
        return Effect.flatMap(this.#join(wanted, waiter), (flight) =>
          Effect.ensuring(restore(Deferred.await(used)), this.#leave(flight, waiter))
        )
      })
    )
  }

  #join(wanted: SizedChunk, waiter: Waiter): Effect.Effect<Flight> {
    const known = this.#flights.get(keyOf(wanted))
    if (known === undefined) return this.#start(wanted, waiter)
    known.waiting.add(waiter)
    return Effect.succeed(known)
  }

  #start(wanted: SizedChunk, waiter: Waiter): Effect.Effect<Flight> {
    const flight: Flight = { wanted, waiting: new Set([waiter]), fiber: undefined, hasLanded: false }
    this.#flights.set(keyOf(wanted), flight)
    const { crypt, digest, sizeBytes } = wanted
    const read = (room: Reservation | undefined) =>
      Effect.filterOrFail(
        this.#chunks.read({ digest, crypt, sizeBytes }, room?.part),
        ({ length }) => length === sizeBytes,
        (data) => otherLength(wanted, data)
      )
    const fetch = this.#room.inTurn(sizeBytes, read, (exit, room) => this.#land(flight, exit, room))
    return Effect.map(Effect.forkIn(fetch, this.#scope), (fiber) => {
      flight.fiber = fiber
      // One that ends before it has begun does not land by itself.
      fiber.addObserver(() => this.#land(flight, Exit.interrupt(), undefined))
      return flight
    })
  }

  #land(flight: Flight, exit: Exit.Exit<Uint8Array, ReadError>, room: Reservation | undefined): void {
    if (flight.hasLanded) return
    flight.hasLanded = true
    this.#forget(flight)
    const { crypt, digest } = flight.wanted
    if (room !== undefined && Exit.isSuccess(exit)) this.#kept.add({ digest, crypt }, exit.value, room)
    for (const waiter of flight.waiting) waiter(exit)
  }

  #leave(flight: Flight, waiter: Waiter): Effect.Effect<void> {
    return Effect.suspend(() => {
      flight.waiting.delete(waiter)
      if (flight.waiting.size > 0 || flight.hasLanded || flight.fiber === undefined) return Effect.void
      this.#forget(flight)
      return Fiber.interrupt(flight.fiber)
    })
  }

  #forget(flight: Flight): void {
    const key = keyOf(flight.wanted)
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
