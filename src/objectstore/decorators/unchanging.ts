/**
 * A store for those who must change nothing, such as whoever makes a plan: what would write or delete is not sent.
 */
import * as Effect from "effect/Effect"
import type { ObjectStore } from "../ObjectStore.ts"
import { ObjectStoreError, type ObjectStoreOperation } from "../ObjectStoreError.ts"

const refuse = (operation: ObjectStoreOperation, key: string) =>
  Effect.fail(
    new ObjectStoreError({
      operation,
      key,
      reason: "Rejected",
      detail: "this is a plan, which changes nothing"
    })
  )

export const unchanging = (store: ObjectStore["Service"]): ObjectStore["Service"] => ({
  ...store,
  put: (key) => refuse("put", key),
  putIfAbsent: (key) => refuse("putIfAbsent", key),
  deleteMany: (keys) => (keys.length === 0 ? store.deleteMany(keys) : refuse("deleteMany", keys[0] ?? "")),
  copy: (from) => refuse("copy", from)
})
