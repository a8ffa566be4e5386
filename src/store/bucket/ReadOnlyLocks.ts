/**
 * ReadOnlyLocks: the locks of a datastore that is read straight from its bucket.
 *
 * There is no file to lock, and nobody on this machine who could be kept out: as on a read-only file system, shared
 * locks are granted without locking, and exclusive ones are refused.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FileLocks } from "../../platform/FileLocks.ts"
import { readOnly } from "./bucketFailures.ts"

export const layer: Layer.Layer<FileLocks> = Layer.succeed(FileLocks, {
  tryLock: (path, _range, mode) =>
    mode === "shared" ? Effect.succeed(true) : Effect.fail(readOnly("lock", path)),
  openRanges: (path) => Effect.fail(readOnly("lock", path))
})
