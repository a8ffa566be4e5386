/**
 * MoveJournal: where groups went that were moved to another namespace.
 *
 * Garbage collection walks one namespace after the other. A group that moves from one it has not reached to one it has
 * passed would be seen in neither. So a mover writes the new place into `.granary-moves` before it renames, and keeps
 * the journal's lock from before the entry until after the rename; the collection, when its walk is over, takes the
 * lock, looks at every place in the journal, and empties it.
 *
 * Invariant: under the lock, every group that was moved since a walk began is in the journal under its last place, or
 * is where it was when the walk began. An entry whose rename never came (a crash) names a place that does not exist,
 * which is harmless.
 */
import * as Effect from "effect/Effect"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { StoreError } from "./StoreError.ts"
import type { StoreLayout } from "./StoreLayout.ts"
import type { StoreLocks } from "./StoreLocks.ts"

export interface MoveJournal {
  /** Enters the new place of a group (relative to the store), then runs `move`, both under the journal's lock. */
  readonly record: <A, E, R>(
    place: string,
    move: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | FilesError | StoreError, R>
  /** Runs `visit` with all places under the lock; empties the journal when that went well. */
  readonly drain: <A, E, R>(
    visit: (places: ReadonlyArray<string>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | FilesError | StoreError, R>
  /** What is in the journal, without a lock and without changing anything. */
  readonly peek: Effect.Effect<ReadonlyArray<string>, FilesError>
}

const lockName = "move journal"
const journalMaxBytes = 256 * 1024 * 1024

export const make = (
  layout: StoreLayout,
  locks: StoreLocks["Service"]
): Effect.Effect<MoveJournal, never, Files> =>
  Effect.map(Files, (files) => {
    const peek = files.readFile(layout.moveJournal, journalMaxBytes).pipe(
      Effect.map((bytes) => [
        ...new Set(
          Buffer.from(bytes)
            .toString()
            .split("\n")
            .filter((line) => line !== "")
        )
      ]),
      Effect.catchIf(isNotFound, () => Effect.succeed([]))
    )

    const locked = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.scoped(Effect.andThen(locks.holdSoon(lockName, "exclusive"), effect))

    return {
      peek,
      record: (place, move) =>
        locked(
          Effect.gen(function* () {
            const places = new Set([...(yield* peek), place])
            const text = `${[...places].join("\n")}\n`
            // Flushed: after a power loss a torn one would stop every collection.
            yield* files.replaceFile(layout.moveJournal, [Buffer.from(text)], { sync: true })
            return yield* move
          })
        ),
      drain: (visit) =>
        locked(
          Effect.gen(function* () {
            const places = yield* peek
            const result = yield* visit(places)
            if (places.length > 0) yield* files.replaceFile(layout.moveJournal, [])
            return result
          })
        )
    }
  })
