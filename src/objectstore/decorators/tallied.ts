/**
 * Counts what one piece of work asks of a store, whoever in the program carries it out: the work is run with a `Meter`
 * (`tally`), and everything that it does, in its own fibers and in those it starts, counts there, finalizers included.
 * Others who use the same store meanwhile do not.
 *
 * A request that several wait for (single flight) counts for the one that made it. What lies inside of the store counts
 * as one request however often it is repeated there; for the bill there is `metered`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ObjectStore } from "../ObjectStore.ts"
import { type Meter, outcomeOf } from "./metered.ts"
import { around } from "./ObjectRequest.ts"

/** The meters of the work under way. */
const Meters = Context.Reference<ReadonlyArray<Meter>>("granary/objectstore/Meters", {
  defaultValue: () => []
})

/** Counts what `effect` asks of tallied stores. */
export const tally =
  (meter: Meter) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Meters, (meters) => Effect.provideService(effect, Meters, [...meters, meter]))

export const tallied = (store: ObjectStore["Service"]): ObjectStore["Service"] =>
  around(store, ({ bytesOut, operation }, run, bytesIn) =>
    Effect.flatMap(Meters, (meters) => {
      if (meters.length === 0) return run
      return Effect.suspend(() => {
        for (const meter of meters) meter.begin(operation, bytesOut)
        return Effect.onExit(run, (exit) =>
          Effect.sync(() => {
            const received = Exit.isSuccess(exit) ? bytesIn(exit.value) : 0
            for (const meter of meters) meter.end(operation, outcomeOf(exit), received)
          })
        )
      })
    })
  )
