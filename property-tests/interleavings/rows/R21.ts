/**
 * R21: a guard is of one digest, is held for one short change, and never while its holder waits for something that
 * another digest's guard is needed for. One lock for all digests, or guards that are kept, end in a deadlock.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Digest from "../../../src/model/Digest.ts"
import { FileLocks } from "../../../src/platform/FileLocks.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { layoutOf } from "../../../src/store/StoreLayout.ts"
import {
  actor,
  MemoryDisk,
  MemoryFileLocks,
  MemoryLockTable,
  point,
  type Scenario,
  Simulation
} from "../../../src/testing.ts"
import type { Mutation } from "../harness/Mutation.ts"
import type { Case, Row } from "../harness/Row.ts"

type Guards = DigestGuards.DigestGuards["Service"]
type Work = Effect.Effect<void, Error, Simulation>

const [left, right] = ["a", "b"].map((letter) => Digest.parse(letter.repeat(64))) as [
  Digest.Digest,
  Digest.Digest
]

/** What an actor has begun and not ended. */
const Session = Context.Reference<Scope.Scope | undefined>("granary/interleavings/Session", {
  defaultValue: () => undefined
})

/** Two actors of one process, with the guards of a store. */
const pair =
  (make: () => (guards: Guards) => readonly [Work, Work]) => (mutation: Mutation) => (): Scenario => {
    const around = mutation.around ?? ((work) => work)
    const table = new MemoryLockTable(new MemoryDisk())
    const works = make()
    const session = (name: string, work: Work) =>
      Effect.scoped(
        Effect.flatMap(Effect.scope, (scope) => Effect.provideService(work, Session, scope))
      ).pipe(actor(name))
    const program = Effect.gen(function* () {
      const { point: park } = yield* Simulation
      const locks = MemoryFileLocks.make(table, { process: "store", point: park })
      const makeGuards = yield* DigestGuards.Maker
      const guards = yield* Effect.provideService(makeGuards(layoutOf("/")), FileLocks, locks)
      const [first, second] = works(guards)
      yield* Effect.all([session("first", first), session("second", second)], {
        concurrency: "unbounded",
        discard: true
      })
    })
    return { program: around(Effect.scoped(program)) }
  }

const changing = ({ guard }: Guards, digests: ReadonlyArray<Digest.Digest>): Work =>
  Effect.forEach(digests, (digest) => guard(digest)(point("changes the chunk")), { discard: true })

/** Guards that are given back when a session ends, as locks of a transaction are. */
const keptGuards: Mutation = {
  around: (work) =>
    Effect.provideService(work, DigestGuards.Maker, () =>
      Effect.sync(() => {
        const semaphores = new Map<Digest.Digest, Semaphore.Semaphore>()
        return DigestGuards.DigestGuards.of({
          guardFree: (digests, use) => use(digests),
          guard: (digest) => (effect) =>
            Effect.gen(function* () {
              const semaphore = semaphores.get(digest) ?? Semaphore.makeUnsafe(1)
              semaphores.set(digest, semaphore)
              const take = Effect.acquireRelease(semaphore.take(1), () => semaphore.release(1), {
                interruptible: true
              })
              const session = yield* Session
              yield* session === undefined ? Effect.scoped(take) : Scope.provide(take, session)
              return yield* effect
            })
        })
      })
    )
}

const oppositeOrder: Case = {
  name: "two sessions work on two digests, in opposite order",
  make: pair(() => (guards) => [changing(guards, [left, right]), changing(guards, [right, left])]),
  preemptions: { daily: 4, full: 20 },
  dailySeededRuns: 400,
  mutants: [
    {
      guard: "giving a guard back before the next one is taken",
      mutation: keptGuards,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 100
    }
  ]
}

/** The product's guards behind one lock for the whole store. */
export const oneForAll: Mutation = {
  around: (work) =>
    Effect.provideService(work, DigestGuards.Maker, (layout) =>
      Effect.map(DigestGuards.make(layout), ({ guard, guardFree }) => {
        const everything = Semaphore.makeUnsafe(1)
        return DigestGuards.DigestGuards.of({
          guardFree,
          guard: (digest) => (effect) => everything.withPermit(guard(digest)(effect))
        })
      })
    )
}

/** A slow call under a guard: it is answered when the other one has done its work, as by a server with one line. */
const heldAcrossCall: Case = {
  name: "a guard is held across a call that ends after another digest's change",
  make: pair(() => {
    const answer = Deferred.makeUnsafe<void>()
    return ({ guard }) => [
      guard(left)(Effect.andThen(point("calls"), Deferred.await(answer))),
      guard(right)(Effect.andThen(point("changes the chunk"), Deferred.succeed(answer, undefined)))
    ]
  }),
  preemptions: { daily: 4, full: 20 },
  dailySeededRuns: 400,
  mutants: [
    {
      guard: "a guard for each digest instead of one for all",
      mutation: oneForAll,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 100
    }
  ]
}

export const R21: Row = {
  id: "R21",
  title: "guards are of one digest, and one at a time",
  cases: [oppositeOrder, heldAcrossCall]
}
