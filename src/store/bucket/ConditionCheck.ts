/**
 * ConditionCheck: whether the server still refuses to overwrite an object when it is asked to write only a new one. A
 * store is made only where it does (`BucketDatastore`), but a server may be replaced, or get settings with a quirk.
 *
 * It is asked with an object of our own that is there already: where the condition counts for nothing, that one is
 * overwritten by what comes to the same, and nobody else's.
 */
import * as Effect from "effect/Effect"
import type { ObjectKey } from "../../objectstore/ObjectKey.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { storeError, type StoreError } from "../StoreError.ts"
import type { StoreBucket } from "./StoreBucket.ts"

const unsuitable = ({ title }: StoreBucket, what: string): StoreError =>
  storeError("Unsuitable", title, `this server cannot keep a datastore safely: ${what}`)

/** `body` must not be what is there, or a lost answer could not be told from an overwritten object. */
export const requireConditions = (
  bucket: StoreBucket,
  key: ObjectKey,
  body: Uint8Array
): Effect.Effect<void, ObjectStoreError | StoreError> =>
  bucket.objects.putIfAbsent(key, body).pipe(
    Effect.catchIf(
      ({ reason }) => reason === "NotImplemented",
      ({ message }) => Effect.fail(unsuitable(bucket, message))
    ),
    Effect.flatMap(({ outcome }) =>
      outcome === "present"
        ? Effect.void
        : Effect.fail(unsuitable(bucket, "it overwrites an object although it was asked not to"))
    )
  )
