/**
 * One debug line for each request: operation, key, bytes, milliseconds, outcome. As annotations too, for loggers that
 * keep fields apart.
 *
 * Invariant: a line says nothing but that. Neither bodies nor what the server said are in it, for servers are known to
 * answer with the signed request; keys of objects are no secret and hold no control characters.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { ObjectStore } from "../ObjectStore.ts"
import { outcomeOf } from "./metered.ts"
import { around, type ObjectRequest } from "./ObjectRequest.ts"

const subjectOf = ({ operation, key, keysCount }: ObjectRequest): string =>
  operation === "deleteMany" ? `${keysCount} keys` : key === "" ? "the bucket" : key

const line = (request: ObjectRequest, bytes: number, millis: number, outcome: string): Effect.Effect<void> =>
  Effect.logDebug(
    `${request.operation} ${subjectOf(request)}: ${outcome}, ${bytes} bytes, ${millis} ms`
  ).pipe(Effect.annotateLogs({ operation: request.operation, key: request.key, bytes, millis, outcome }))

export const logged = (store: ObjectStore["Service"]): Effect.Effect<ObjectStore["Service"]> =>
  Effect.succeed(
    around(store, (request, run, bytesIn) =>
      Effect.flatMap(Clock.monotonicTimeNanos, (begin) =>
        Effect.onExit(run, (exit) =>
          Effect.flatMap(Clock.monotonicTimeNanos, (end) => {
            const received = Exit.isSuccess(exit) ? bytesIn(exit.value) : 0
            const millis = Math.round(Number(end - begin) / 1e6)
            return line(request, request.bytesOut + received, millis, outcomeOf(exit))
          })
        )
      )
    )
  )

export const layer: Layer.Layer<ObjectStore, never, ObjectStore> = Layer.effect(
  ObjectStore,
  Effect.flatMap(ObjectStore, logged)
)
