/**
 * All decorators of a store in the right order. From the caller inwards:
 *
 * | | why there |
 * |---|---|
 * | `retrying` | outermost: whatever is inside sees each attempt, so retries cost, wait, count and are logged |
 * | `budgeted` | a request that may not be sent neither waits for its turn nor uses one up; never tried again |
 * | `rateLimited` | what was admitted waits here; the time is not taken for the server's |
 * | `metered` | counts exactly what is sent |
 * | `logged` | innermost: its milliseconds are the server's and the line's alone |
 *
 * `faulty` is for tests: put it around the store first, and it stands for the server.
 *
 * The other way round each would lie: a budget outside of the retries lets ten attempts pass as one, a limit inside of
 * the meter is counted as a slow server, retries inside of the limit send ten requests for one turn.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ObjectStore } from "../ObjectStore.ts"
import type { Budget } from "./Budget.ts"
import { budgeted } from "./budgeted.ts"
import { logged } from "./logged.ts"
import { type Meter, metered } from "./metered.ts"
import { type RateLimits, rateLimited } from "./rateLimited.ts"
import { retrying, type RetryOptions } from "./retrying.ts"

export interface StackOptions {
  /** `false` for none at all. Default: the defaults of `retrying`. */
  readonly retries?: RetryOptions | false
  /** Default: no limit. */
  readonly limits?: RateLimits
  /** Default: no limit. */
  readonly budget?: Budget
  /** Where requests are counted, besides the metrics. */
  readonly meter?: Meter
}

export const stack = (
  store: ObjectStore["Service"],
  { retries = {}, limits, budget, meter }: StackOptions = {}
): Effect.Effect<ObjectStore["Service"]> =>
  Effect.gen(function* () {
    const counted = yield* metered(yield* logged(store), meter === undefined ? {} : { meter })
    const limited = limits === undefined ? counted : yield* rateLimited(counted, limits)
    const bounded = budget === undefined ? limited : yield* budgeted(limited, budget)
    return retries === false ? bounded : yield* retrying(bounded, retries)
  })

export const layer = (options?: StackOptions): Layer.Layer<ObjectStore, never, ObjectStore> =>
  Layer.effect(
    ObjectStore,
    Effect.flatMap(ObjectStore, (store) => stack(store, options))
  )
