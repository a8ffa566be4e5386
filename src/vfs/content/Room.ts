/**
 * Room: who may fetch a chunk now. A fetch has room reserved for its chunk before it begins; until there is some it
 * waits its turn.
 *
 * Invariants: turns are taken in the order in which they were asked for; somebody always has one while anybody waits,
 * so a chunk that is larger than all the room is fetched when nothing else is, and not kept; room is released once,
 * even when the fetch was interrupted while it was being given.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { KeptChunks, Reservation } from "./KeptChunks.ts"

interface Place {
  readonly sizeBytes: number
  readonly given: Deferred.Deferred<void>
  isGiven: boolean
  room: Reservation | undefined
}

export class Room {
  readonly #kept: KeptChunks
  /** Makes somebody give up what he holds; false when nobody holds anything. */
  readonly #dismissHolder: () => boolean
  readonly #waiting = new Set<Place>()
  #placesGiven = 0
  #isServing = false

  constructor(kept: KeptChunks, dismissHolder: () => boolean) {
    this.#kept = kept
    this.#dismissHolder = dismissHolder
  }

  /** Whether a place of that size would be given at once. */
  hasRoom(sizeBytes: number): boolean {
    return this.#waiting.size === 0 && this.#kept.fits(sizeBytes)
  }

  /**
   * Runs `fetch` in its turn, with the room that it got. `settle` hears at once what it came to, and may take the room
   * for it; with what is left then others go on.
   */
  inTurn<A, E>(
    sizeBytes: number,
    fetch: (room: Reservation | undefined) => Effect.Effect<A, E>,
    settle: (exit: Exit.Exit<A, E>, room: Reservation | undefined) => void
  ): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const place: Place = { sizeBytes, given: Deferred.makeUnsafe(), isGiven: false, room: undefined }
        this.#waiting.add(place)
        this.serve()
        const waits = place.isGiven ? Effect.void : Deferred.await(place.given)
        const fetched = Effect.suspend(() => fetch(place.room))
        return restore(Effect.andThen(waits, fetched)).pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              this.#waiting.delete(place)
              if (place.isGiven) this.#placesGiven -= 1
              settle(exit, place.room)
              if (place.room !== undefined) this.#kept.release(place.room)
              this.serve()
            })
          )
        )
      })
    )
  }

  /** To be called when there may be more room than before. */
  serve(): void {
    // Who is given a place begins at once, may be done at once, and come by here again.
    if (this.#isServing) return
    this.#isServing = true
    this.#serveAll()
    this.#isServing = false
  }

  #serveAll(): void {
    for (const place of this.#waiting) {
      place.room = this.#kept.reserve(place.sizeBytes)
      while (place.room === undefined) {
        if (this.#placesGiven > 0) return
        if (!this.#dismissHolder()) break
        place.room = this.#kept.reserve(place.sizeBytes)
      }
      this.#waiting.delete(place)
      this.#placesGiven += 1
      place.isGiven = true
      Deferred.doneUnsafe(place.given, Exit.void)
    }
  }
}
