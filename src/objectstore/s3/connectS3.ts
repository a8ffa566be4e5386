/**
 * connectS3: a bucket as programs use it, from its settings alone: with the limits that they ask for, counted, within a
 * budget, and with retries whose patience has to be earned.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type BudgetLimits, makeBudget } from "../decorators/Budget.ts"
import { firstContact } from "../decorators/firstContact.ts"
import type { Meter } from "../decorators/metered.ts"
import { stack } from "../decorators/stack.ts"
import { batchSizeMax, type ObjectStore } from "../ObjectStore.ts"
import type { ObjectStoreError } from "../ObjectStoreError.ts"
import { rateLimits } from "./rateLimits.ts"
import * as S3ObjectStore from "./S3ObjectStore.ts"
import type { S3Settings } from "./S3Settings.ts"

export interface ConnectOptions {
  /** Where requests are counted, besides the metrics. */
  readonly meter?: Meter
  /** What may be asked of the server at most. */
  readonly budget?: BudgetLimits
}

export interface S3Connection {
  /** Each request once: for whoever wants to know how the server answers. */
  readonly plain: ObjectStore["Service"]
  readonly patient: ObjectStore["Service"]
}

/** Nothing is asked yet. */
export const connectS3 = (
  settings: S3Settings,
  { budget, meter }: ConnectOptions = {}
): Effect.Effect<S3Connection, ObjectStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const limits = rateLimits(settings)
    const plain = yield* stack(yield* S3ObjectStore.make(settings), {
      retries: false,
      ...(meter === undefined ? {} : { meter }),
      ...(limits === undefined ? {} : { limits }),
      ...(budget === undefined ? {} : { budget: yield* makeBudget(budget) })
    })
    return { plain, patient: yield* firstContact(plain) }
  })

/** With the quirk each deletion is a request of its own: a batch takes as long as all of them. */
const batchSizeWithQuirk = 100

/** How many keys a batch of deletions should have. */
export const deleteBatchSizeOf = ({ quirks }: S3Settings): number =>
  quirks.has("delete-objects-via-delete-object") ? batchSizeWithQuirk : batchSizeMax
