/** A store with retries over requests that fail by plan. */
import * as Effect from "effect/Effect"
import { faulty, type Plan } from "../../../src/objectstore/decorators/faulty.ts"
import { retrying, type RetryOptions } from "../../../src/objectstore/decorators/retrying.ts"
import { scene, type Scene, type Seen, watched } from "./scene.ts"

/** Attempts are seen before the plan gets at them. */
export const planned = (plan: Plan, { store }: Scene = scene(), options: RetryOptions = {}) =>
  Effect.gen(function* () {
    const attempts: Array<Seen> = []
    const inner = watched(yield* faulty(store, plan), attempts)
    return { attempts, store: yield* retrying(inner, options) }
  })
