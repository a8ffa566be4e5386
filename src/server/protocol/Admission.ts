/**
 * Admission: how much of what clients send and get is in memory at once: of one connection, and of all together. Who
 * wants more waits, and what a waiting request's client sends stays in the client: that is the back-pressure.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** Permits stand for pieces of this size. */
const pieceBytes = 64 * 1024

const allMaxBytes = 256 * 1024 * 1024
const connectionMaxBytes = 64 * 1024 * 1024

export interface Admission {
  /** Runs what has so many bytes in memory, as soon as there is room for them. */
  readonly admit: (sizeBytes: number) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

const piecesOf = (sizeBytes: number, maxBytes: number): number =>
  Math.max(1, Math.ceil(Math.min(sizeBytes, maxBytes) / pieceBytes))

export interface AllAdmissions {
  /** For one more connection. */
  readonly forConnection: Effect.Effect<Admission>
}

export const make: Effect.Effect<AllAdmissions> = Effect.gen(function* () {
  const all = yield* Semaphore.make(allMaxBytes / pieceBytes)
  return {
    forConnection: Effect.map(Semaphore.make(connectionMaxBytes / pieceBytes), (own) => ({
      admit: (sizeBytes) => (effect) =>
        own.withPermits(piecesOf(sizeBytes, connectionMaxBytes))(
          all.withPermits(piecesOf(sizeBytes, allMaxBytes))(effect)
        )
    }))
  }
})
