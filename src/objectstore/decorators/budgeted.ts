/**
 * Keeps a store within a `Budget`: the request that could pass a limit is not sent and fails with `BudgetExceeded`,
 * also when many are made at once. Each attempt costs, so this belongs inside of the retries.
 *
 * Bytes that come in are reserved before they are asked for. The size of an object is not known before: its largest
 * size is reserved. When that is more than what others have left over, the request waits until they are done and takes
 * whatever there is; the store inside is then told to refuse larger objects. So near its end a budget slows reading
 * down, but every byte of it can be used. A range must fit as a whole.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { ObjectStore } from "../ObjectStore.ts"
import { ObjectStoreError } from "../ObjectStoreError.ts"
import type { Budget } from "./Budget.ts"
import { around, type ObjectRequest } from "./ObjectRequest.ts"

/** How much of what was reserved has come, as far as can be known. */
const usedBytes = (exit: Exit.Exit<number, ObjectStoreError>, reservedBytes: number): number => {
  if (Exit.isSuccess(exit)) return exit.value
  const error = Exit.findError(exit)
  const mayHaveCome = Result.isFailure(error) || error.success.reason === "Truncated"
  return mayHaveCome && reservedBytes !== Infinity ? reservedBytes : 0
}

const exceeded = ({ operation, key }: ObjectRequest, detail: string): ObjectStoreError =>
  new ObjectStoreError({ operation, key, reason: "BudgetExceeded", detail })

/** `run` is told how large a body may come back. */
const within = <A>(
  budget: Budget,
  request: ObjectRequest,
  leastBytesIn: number,
  run: (bytesInMax: number) => Effect.Effect<A, ObjectStoreError>,
  bytesIn: (answer: A) => number
): Effect.Effect<A, ObjectStoreError> =>
  Effect.uninterruptibleMask((restore) => {
    const admitted: Effect.Effect<A, ObjectStoreError> = Effect.suspend(() => {
      const admission = budget.admit(request, leastBytesIn)
      switch (admission.kind) {
        case "refuse":
          return Effect.fail(exceeded(request, admission.detail))
        case "wait":
          return Effect.andThen(restore(Deferred.await(admission.changed)), admitted)
        case "go": {
          const { reservedBytes } = admission
          return Effect.onExit(restore(run(reservedBytes)), (exit) =>
            Effect.sync(() => budget.settle(reservedBytes, usedBytes(Exit.map(exit, bytesIn), reservedBytes)))
          )
        }
      }
    })
    return admitted
  })

export const budgeted = (
  store: ObjectStore["Service"],
  budget: Budget
): Effect.Effect<ObjectStore["Service"]> =>
  Effect.succeed({
    ...around(store, (request, run, bytesIn) =>
      within(budget, request, request.bytesInMax, () => run, bytesIn)
    ),
    get: (key, maxSizeBytes) => {
      const bytesInMax = Math.max(0, maxSizeBytes)
      const request: ObjectRequest = { operation: "get", key, keysCount: 1, bytesOut: 0, bytesInMax }
      const read = (allowedBytes: number) =>
        store
          .get(key, Math.min(maxSizeBytes, allowedBytes))
          .pipe(
            Effect.mapError((error) =>
              error.reason === "TooLarge" && allowedBytes < maxSizeBytes
                ? exceeded(request, `the object has more bytes than the ${allowedBytes} that are left`)
                : error
            )
          )
      return within(budget, request, Math.min(1, bytesInMax), read, (body) => body.length)
    }
  })

export const layer = (budget: Budget): Layer.Layer<ObjectStore, never, ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.flatMap(ObjectStore, (store) => budgeted(store, budget))
  )
