/**
 * Admission: how much of what clients send and get is in memory at once: of one connection, and of all together. Who
 * wants more waits, and what a waiting request's client sends stays in the client: that is the back-pressure.
 *
 * Chunks that come in lie in one stretch of shared memory, which is used round and round: memory of its own for each
 * would have to be asked for, filled with zeros and collected again, and copied for the thread that looks at it.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { ChunkRoom } from "../../platform/ChunkRoom.ts"

/** Permits stand for pieces of this size. */
const pieceBytes = 64 * 1024

const allMaxBytes = 256 * 1024 * 1024
const connectionMaxBytes = 64 * 1024 * 1024

/** An encoded chunk is admitted together with what is decoded of it: so this is enough but for gaps. */
const roomBytes = allMaxBytes / 2

/** Less is soon made anew. */
const worthwhileBytes = 64 * 1024

export interface Admission {
  /** Runs what has so many bytes in memory, as soon as there is room for them. */
  readonly admit: (sizeBytes: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs `use` with memory that threads share and that holds anything; it is somebody else's when that has ended. */
  readonly lend: <A, E, R>(
    sizeBytes: number,
    use: (memory: Uint8Array) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
}

const piecesOf = (sizeBytes: number, maxBytes: number): number =>
  Math.max(1, Math.ceil(Math.min(sizeBytes, maxBytes) / pieceBytes))

export interface AllAdmissions {
  /** For one more connection. */
  readonly forConnection: Effect.Effect<Admission>
}

interface Lent {
  readonly memory: Uint8Array
  readonly isOfRoom: boolean
}

const take = (room: ChunkRoom, sizeBytes: number): Lent => {
  const memory = sizeBytes < worthwhileBytes ? undefined : room.take(sizeBytes)
  return {
    memory: memory ?? new Uint8Array(new SharedArrayBuffer(sizeBytes)),
    isOfRoom: memory !== undefined
  }
}

const lendFrom =
  (room: ChunkRoom): Admission["lend"] =>
  (sizeBytes, use) =>
    Effect.acquireUseRelease(
      Effect.sync(() => take(room, sizeBytes)),
      ({ memory }) => use(memory),
      ({ isOfRoom, memory }) =>
        Effect.sync(() => {
          if (isOfRoom) room.giveBack(memory)
        })
    )

export const make: Effect.Effect<AllAdmissions> = Effect.gen(function* () {
  const all = yield* Semaphore.make(allMaxBytes / pieceBytes)
  const lend = lendFrom(new ChunkRoom(roomBytes))
  return {
    forConnection: Effect.map(Semaphore.make(connectionMaxBytes / pieceBytes), (own) => ({
      lend,
      admit: (sizeBytes) => (effect) =>
        own.withPermits(piecesOf(sizeBytes, connectionMaxBytes))(
          all.withPermits(piecesOf(sizeBytes, allMaxBytes))(effect)
        )
    }))
  }
})
