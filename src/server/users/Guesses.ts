/**
 * Guesses: secrets are proven with few looks and slow mistakes.
 *
 * A secret that was right is remembered as a keyed hash, under a key that only this process has, together with what was
 * kept of it: the next request with it costs a microsecond, and a changed secret counts at once. Everything else is a
 * guess: one at a time for each name, held for three seconds when it is wrong, and only few may wait. So a name is
 * guessed at 1,200 times an hour at most, from however many connections, and what is remembered is never held up.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { createHmac, timingSafeEqual } from "node:crypto"
import { Entropy } from "../../platform/Entropy.ts"
import * as Secrets from "./Secrets.ts"

/** What a wrong guess costs. */
const penalty = "3 seconds"

const waitingMax = 8

/** Proofs that are worked out at once, of all names together: each takes 16 MiB and a thread. */
const atOnce = 2

export interface Guess {
  /** Who is meant; of names that nobody has all are one. */
  readonly name: string
  readonly secret: string
  /** What is kept of the right one; undefined where there is none. */
  readonly kept: string | undefined
}

export interface Guesses {
  /** Whether the secret is right. */
  readonly prove: (guess: Guess) => Effect.Effect<boolean>
}

interface Remembered {
  readonly kept: string
  readonly hash: Uint8Array
}

interface Turn {
  readonly semaphore: Semaphore.Semaphore
  waiting: number
}

export const make: Effect.Effect<Guesses> = Effect.gen(function* () {
  const entropy = yield* Entropy
  const processKey = entropy(32)
  const remembered = new Map<string, Remembered>()
  const turns = new Map<string, Turn>()
  const proofs = yield* Semaphore.make(atOnce)

  const hashOf = (secret: string): Uint8Array => createHmac("sha256", processKey).update(secret).digest()

  const isRemembered = ({ kept, name, secret }: Guess): boolean => {
    const known = remembered.get(name)
    const isSame = timingSafeEqual(hashOf(secret), known?.hash ?? new Uint8Array(32))
    return isSame && known !== undefined && known.kept === kept
  }

  const turnOf = (name: string): Effect.Effect<Turn> =>
    Effect.gen(function* () {
      const found = turns.get(name)
      if (found !== undefined) return found
      const turn = { semaphore: yield* Semaphore.make(1), waiting: 0 }
      turns.set(name, turn)
      return turn
    })

  const tryOnce = (guess: Guess): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      // Somebody with the same secret may have been in front.
      if (isRemembered(guess)) return true
      const isRight = yield* proofs.withPermit(Secrets.matches(guess.secret, guess.kept))
      if (!isRight || guess.kept === undefined) {
        yield* Effect.sleep(penalty)
        return false
      }
      remembered.set(guess.name, { kept: guess.kept, hash: hashOf(guess.secret) })
      return true
    })

  const prove = (guess: Guess): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      if (isRemembered(guess)) return true
      const turn = yield* turnOf(guess.name)
      if (turn.waiting >= waitingMax) return false
      turn.waiting += 1
      return yield* Effect.ensuring(
        turn.semaphore.withPermit(tryOnce(guess)),
        Effect.sync(() => {
          turn.waiting -= 1
          if (turn.waiting === 0) turns.delete(guess.name)
        })
      )
    })

  return { prove }
})
