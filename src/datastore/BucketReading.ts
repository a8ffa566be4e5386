/**
 * BucketReading: a datastore in a bucket, opened for reading without a cache folder. Listing, restoring and verifying
 * go their ordinary ways; the folder they look at is the bucket.
 *
 * Invariant: nothing is written anywhere. What would write fails with `ReadOnlyFileSystem` or `Refused`. Nobody is kept
 * out either: a snapshot that another host removes while it is read fails to be read on.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import * as BucketFiles from "../store/bucket/BucketFiles.ts"
import * as ReadOnlyLocks from "../store/bucket/ReadOnlyLocks.ts"
import * as StatelessChunks from "../store/bucket/StatelessChunks.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreError } from "../store/StoreError.ts"
import * as Datastore from "./Datastore.ts"

export interface ReadingOptions {
  /** The absolute path under which messages name the datastore. Default: its title. */
  readonly base?: string
  /** How long a listing of snapshots serves. Default 30. */
  readonly freshSeconds?: number
}

/** Opens the datastore; fails with `NotADatastore` when the bucket has nothing of this name. */
export const open = (
  bucket: StoreBucket,
  { base = `/${bucket.title}`, ...options }: ReadingOptions = {}
): Effect.Effect<Datastore.Datastore["Service"], StorageError | StoreError, ChunkCodec | Scope.Scope> =>
  Effect.gen(function* () {
    const chunks = yield* StatelessChunks.make(bucket)
    const machine = Layer.merge(BucketFiles.layer(bucket, { ...options, base }), ReadOnlyLocks.layer)
    const opened = yield* Datastore.open({ path: base, syncLevel: "none" }).pipe(Effect.provide(machine))
    return Datastore.Datastore.of({
      ...opened,
      bucket,
      isDistant: true,
      chunks,
      space: Effect.succeed(undefined)
    })
  })

export const layer = (
  bucket: StoreBucket,
  options?: ReadingOptions
): Layer.Layer<Datastore.Datastore, StorageError | StoreError, ChunkCodec> =>
  Layer.effect(Datastore.Datastore, open(bucket, options))
