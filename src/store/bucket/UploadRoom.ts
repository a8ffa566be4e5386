/**
 * UploadRoom: the memory in which encoded chunks wait for the server. It is the same all the time, so that a backup
 * does not ask for some MiB for every chunk, and bounds what waits there.
 *
 * Invariant: who waits for room gets it in turn, however little the next one needs. What lies there while a request has
 * it is not touched until the request is over.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { ChunkRoom } from "../../platform/ChunkRoom.ts"

/** Less is soon made anew. */
const worthwhileBytes = 1024 * 1024

export interface Lent {
  /** Undefined for what is small, or larger than all the room: it has memory of its own. */
  readonly memory: Uint8Array | undefined
  /** Gives back what is behind the first bytes of it. */
  readonly shrink: (sizeBytes: number) => Effect.Effect<void>
}

export interface UploadRoom {
  /** Runs `use` with so much memory. */
  readonly lend: <A, E, R>(
    sizeBytes: number,
    use: (lent: Lent) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
}

const nothing: Lent = { memory: undefined, shrink: () => Effect.void }

export const make = (totalBytes: number): Effect.Effect<UploadRoom> =>
  Effect.sync(() => {
    const room = new ChunkRoom(totalBytes)
    const line = Semaphore.makeUnsafe(1)
    let freed = Deferred.makeUnsafe<void>()

    const announce = (): void => {
      const changed = freed
      freed = Deferred.makeUnsafe()
      Deferred.doneUnsafe(changed, Effect.void)
    }

    const acquire = (sizeBytes: number, restore: <A>(wait: Effect.Effect<A>) => Effect.Effect<A>) => {
      const takeInTime = Effect.gen(function* () {
        for (;;) {
          const memory = room.take(sizeBytes)
          if (memory !== undefined) return memory
          yield* restore(Deferred.await(freed))
        }
      })
      return Effect.andThen(restore(line.take(1)), Effect.ensuring(takeInTime, line.release(1)))
    }

    const lend: UploadRoom["lend"] = (sizeBytes, use) =>
      sizeBytes < worthwhileBytes || sizeBytes > totalBytes
        ? use(nothing)
        : Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(acquire(sizeBytes, restore), (memory) => {
              let held = memory
              const shrink = (wantedBytes: number) =>
                Effect.sync(() => {
                  held = room.shrink(held, wantedBytes)
                  announce()
                })
              const giveBack = Effect.sync(() => {
                room.giveBack(held)
                announce()
              })
              return Effect.ensuring(restore(use({ memory, shrink })), giveBack)
            })
          )

    return { lend }
  })
