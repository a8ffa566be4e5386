/**
 * StoreScenarios: the races and crashes of garbage collection as scenarios for `Explore`, over a backend of yours: your
 * own `Files`, and your own locks if you like. Backups, forgetting and collection are the real ones.
 *
 * ```ts
 * Explore.assertHolds(Explore.exhaustive(StoreScenarios.reusedChunk(myBackend), { preemptions: 1 }))
 * ```
 *
 * Invariant: what is wrong at the end is found by reading the store as a new process does, through the ports. Every
 * finished snapshot must be readable to its last byte, and every snapshot whose backup said that it was done must be
 * there. A process that fails although nothing was made to fail is a failure as well.
 *
 * The operations have to take time from Effect's Clock, and to end without waiting for real work; those that do wait
 * go through `external`, and the scenario through `Explore.exhaustiveAsync`.
 */
import * as Effect from "effect/Effect"
import type { Scenario } from "./Run.ts"
import type { Simulation } from "./Simulation.ts"
import { type Backend, StoreUnderTest, type StoreWork } from "./StoreUnderTest.ts"
import { backUp, collect, findLeftovers, forget, forgetUnfinished, readEverything } from "./storeWork.ts"

export type { Backend } from "./StoreUnderTest.ts"

/** Makes a backend for one run. */
export type MakeBackend = () => Backend

/** Longer than the grace period of garbage collection. */
const graceOver = Effect.sleep("3 days")

interface Play {
  /** All that is ever stored. */
  readonly texts: ReadonlyArray<string>
  /** What is there, and old, when it begins. */
  readonly setUp: (store: StoreUnderTest) => StoreWork
  readonly act: (store: StoreUnderTest) => Effect.Effect<void, never, Simulation>
  /** Fails when something is wrong at the end; after a crash of everything it is the restart. */
  readonly look: (store: StoreUnderTest) => Effect.Effect<unknown, unknown, Simulation>
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const stage = (play: Play, make: MakeBackend) => (): Scenario => {
  const store = new StoreUnderTest(make())
  let complaint: string | undefined = "nobody has looked at the store"
  const look = Effect.match(play.look(store), {
    onFailure: (error) => void (complaint = messageOf(error)),
    onSuccess: () => void (complaint = undefined)
  })
  return {
    program: Effect.gen(function* () {
      yield* store.create(play.texts)
      yield* store.alone(play.setUp(store))
      // It leaves a note behind by which the next collection sees at once that access times are kept.
      yield* store.alone(collect)
      yield* graceOver
      yield* play.act(store)
      yield* look
      yield* store.ended
    }),
    recover: look,
    check: () => complaint,
    onCrash: store.onCrash,
    ...(store.state === undefined ? {} : { state: store.state })
  }
}

const together = (...processes: ReadonlyArray<Effect.Effect<void, never, Simulation>>) =>
  Effect.all(processes, { concurrency: "unbounded", discard: true })

const readAll = (store: StoreUnderTest) => store.alone(readEverything(store))

/**
 * A backup builds on a snapshot that is forgotten meanwhile, and another process collects garbage. Chunks that only
 * these two snapshots name must not be taken for garbage, whatever the collector has listed when.
 */
export const forgottenBase = (make: MakeBackend): (() => Scenario) =>
  stage(
    {
      texts: ["base", "first", "second"],
      setUp: (store) => backUp(store, "a", ["base", "first"]),
      act: (store) => {
        const forgetBase = Effect.suspend(() =>
          Effect.forEach(store.acknowledged.slice(0, 1), (base) => forget(store, base))
        )
        return together(
          store.process("gc", collect),
          store.process("backup", backUp(store, "a", ["base", "second"])),
          store.process("forget", forgetBase)
        )
      },
      look: readAll
    },
    make
  )

/**
 * A backup needs a chunk that lies in the store, old and named by nobody, while another process is about to remove it.
 * Either it is removed before the backup looks for it, or it stays.
 */
export const reusedChunk = (make: MakeBackend): (() => Scenario) =>
  stage(
    {
      texts: ["base"],
      setUp: (store) => Effect.flatMap(backUp(store, "a", ["base"]), (snapshot) => forget(store, snapshot)),
      act: (store) =>
        together(store.process("gc", collect), store.process("backup", backUp(store, "b", ["base"]))),
      look: readAll
    },
    make
  )

/**
 * Backups and collections one after the other, for faults at any step: `Explore.crashes`. Whoever is killed, and
 * wherever: what was finished stays, the next backup succeeds, and when what was not finished has been forgotten, two
 * collections leave nothing behind that nobody needs.
 */
export const killedWriter = (make: MakeBackend): (() => Scenario) =>
  stage(
    {
      texts: ["base", "first", "second", "third"],
      setUp: (store) => backUp(store, "a", ["base", "first"]),
      act: (store) =>
        Effect.gen(function* () {
          for (const text of ["second", "third"]) {
            yield* store.process("backup", backUp(store, "a", ["base", text]))
            yield* store.process("gc", collect)
            yield* graceOver
          }
        }),
      look: (store) =>
        Effect.gen(function* () {
          yield* store.alone(backUp(store, "a", ["base", "first"]))
          yield* store.alone(forgetUnfinished)
          for (let count = 0; count < 2; count++) {
            yield* graceOver
            yield* store.alone(collect)
          }
          yield* store.alone(Effect.flatMap(readEverything(store), findLeftovers))
        })
    },
    make
  )
