/**
 * ReadersInOrder: who has chunks fetched ahead at the moment, over all archives of a mount, so that what they hold can
 * be shared out evenly, and taken away from those who have stopped reading.
 *
 * Every few seconds it looks who has read since the last time; who has not lets go of everything, and is forgotten
 * until he reads again. Nothing runs while there is nobody.
 *
 * Invariant: who is in here has read within the last two looks.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface ReaderInOrder {
  /** Since the last look. Set by the reader, cleared here. */
  hasRead: boolean
  /** Lets go of all that was fetched ahead. */
  readonly stop: () => void
}

/** Between two looks. */
export const lookSeconds = 5

export class ReadersInOrder {
  readonly #scope: Scope.Scope
  readonly #readers = new Set<ReaderInOrder>()
  #isLooking = false

  constructor(scope: Scope.Scope) {
    this.#scope = scope
  }

  get count(): number {
    return this.#readers.size
  }

  enter(reader: ReaderInOrder): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#readers.add(reader)
      if (this.#isLooking) return Effect.void
      this.#isLooking = true
      return Effect.asVoid(Effect.forkIn(this.#look(), this.#scope))
    })
  }

  leave(reader: ReaderInOrder): void {
    if (this.#readers.delete(reader)) reader.stop()
  }

  /** The one who has been here longest goes; false when there is nobody. */
  dismissOne(): boolean {
    for (const reader of this.#readers) {
      this.leave(reader)
      return true
    }
    return false
  }

  #look(): Effect.Effect<void> {
    return Effect.sleep(lookSeconds * 1000).pipe(
      Effect.andThen(
        Effect.sync(() => {
          for (const reader of this.#readers) {
            if (!reader.hasRead) this.leave(reader)
            reader.hasRead = false
          }
          return this.#readers.size === 0
        })
      ),
      Effect.repeat({ until: (isOver) => isOver }),
      Effect.ensuring(Effect.sync(() => void (this.#isLooking = false)))
    )
  }
}
