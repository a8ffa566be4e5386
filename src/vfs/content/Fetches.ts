/**
 * Fetches: chunks on their way from the store, each once for all who wait for it.
 *
 * Invariants: of one chunk, with one length, at most one fetch is under way; it belongs to those who wait for it and
 * to the scope: one who leaves lets the others wait, and the last one takes it along. A failure is never kept. What
 * has come is kept before anybody who waits goes on.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { ChunkError } from "../../platform/ChunkCodec.ts"
import type { ReadError } from "../../restore/ArchiveReader.ts"
import type { ChunkStore } from "../../store/ChunkStore.ts"
import { type ChunkName, type KeptChunks, textOf } from "./KeptChunks.ts"
import type { Room } from "./Room.ts"

export interface SizedChunk extends ChunkName {
  /** As its index says. */
  readonly sizeBytes: number
}

interface Flight {
  readonly wanted: SizedChunk
  readonly landing: Deferred.Deferred<Uint8Array, ReadError>
  waiting: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  hasLanded: boolean
}

export const otherLength = ({ digest, sizeBytes }: SizedChunk, { length }: Uint8Array): ChunkError => {
  const detail = `its index says ${sizeBytes} bytes, it holds ${length}`
  return new ChunkError({ digest, reason: "Corrupt", detail })
}

/** Who names another length waits for another thing. */
const keyOf = (wanted: SizedChunk): string => `${textOf(wanted)} ${wanted.sizeBytes}`

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

  wait(wanted: SizedChunk): Effect.Effect<Uint8Array, ReadError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(this.#join(wanted), (flight) =>
        Effect.ensuring(restore(Deferred.await(flight.landing)), this.#leave(flight))
      )
    )
  }

  #join(wanted: SizedChunk): Effect.Effect<Flight> {
    return Effect.suspend(() => {
      const known = this.#flights.get(keyOf(wanted))
      if (known === undefined) return this.#start(wanted)
      known.waiting += 1
      return Effect.succeed(known)
    })
  }

  #start(wanted: SizedChunk): Effect.Effect<Flight> {
    const flight: Flight = {
      wanted,
      landing: Deferred.makeUnsafe(),
      waiting: 1,
      fiber: undefined,
      hasLanded: false
    }
    this.#flights.set(keyOf(wanted), flight)
    const { crypt, digest, sizeBytes } = wanted
    const read = Effect.filterOrFail(
      this.#chunks.read({ digest, crypt, sizeBytes }),
      ({ length }) => length === sizeBytes,
      (data) => otherLength(wanted, data)
    )
    const fetch = this.#room.inTurn(sizeBytes, read, (exit, hasRoom) => this.#land(flight, exit, hasRoom))
    return Effect.map(Effect.forkIn(fetch, this.#scope), (fiber) => {
      flight.fiber = fiber
      // One that ends before it has begun does not land by itself.
      fiber.addObserver(() => this.#land(flight, Exit.interrupt(), false))
      return flight
    })
  }

  #land(flight: Flight, exit: Exit.Exit<Uint8Array, ReadError>, hasRoom: boolean): void {
    if (flight.hasLanded) return
    flight.hasLanded = true
    this.#forget(flight)
    const { crypt, digest } = flight.wanted
    if (hasRoom && Exit.isSuccess(exit)) this.#kept.add({ digest, crypt }, exit.value)
    Deferred.doneUnsafe(flight.landing, exit)
  }

  #leave(flight: Flight): Effect.Effect<void> {
    return Effect.suspend(() => {
      flight.waiting -= 1
      if (flight.waiting > 0 || flight.hasLanded || flight.fiber === undefined) return Effect.void
      this.#forget(flight)
      return Fiber.interrupt(flight.fiber)
    })
  }

  #forget(flight: Flight): void {
    const key = keyOf(flight.wanted)
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
