/**
 * R14 in a bucket: a reader looks a chunk up in the cache folder, an eviction makes a marker of it, and the reader finds
 * an empty file. That means that it has to be fetched, and is never an error.
 */
import * as Effect from "effect/Effect"
import { ObjectStoreError } from "../../../../src/objectstore/ObjectStoreError.ts"
import { restore, snapshotAt } from "../../harness/actors.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Row } from "../../harness/Row.ts"
import { timeBefore } from "../../harness/World.ts"
import { cached, evictionCase } from "./eviction.ts"

/** What the cache held when it was looked up is never fetched. */
const withoutFetching: Mutation = {
  objects: (objects) => ({
    ...objects,
    get: (key, maxSizeBytes) =>
      key.includes("/.chunks/")
        ? Effect.fail(new ObjectStoreError({ operation: "get", key, reason: "Rejected" }))
        : objects.get(key, maxSizeBytes)
  }),
  processes: ["reader"]
}

const evicted = evictionCase({
  name: "a snapshot is restored from the cache while its chunk is evicted",
  reader: restore(snapshotAt(timeBefore(0)), cached),
  guard: "fetching what the cache does not hold any more",
  mutation: withoutFetching
})

export const R14: Row = { id: "R14", title: "a reader against eviction", cases: [evicted] }
