/**
 * FolderMark: what a cache folder says of itself in `.granary-bucket`: of which datastore in which bucket it is the
 * cache, and whether it can be used. No secrets are in it.
 *
 * A folder that is opened with another bucket would take its markers for chunks there, and one that is opened as a
 * datastore of its own would take markers for empty chunks. So every opening asks `check`. Titles may differ for one
 * bucket (an endpoint that got another name); then the random id that lies in the bucket itself decides.
 */
import * as Effect from "effect/Effect"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { isNotFound as isNoObject, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { randomHex } from "../../platform/Entropy.ts"
import { Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import type { StorageError } from "../StorageError.ts"
import { storeError, type StoreError } from "../StoreError.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import * as StoreBucket from "./StoreBucket.ts"

/**
 * `creating`: an interrupted `init` can go on here. `incomplete`: the files of the snapshots have to be fetched from
 * the bucket first. `ready`: it can be used.
 */
export type FolderState = "creating" | "incomplete" | "ready"

export interface FolderMark {
  readonly store: string
  /** The title of the bucket's datastore when the folder was made. */
  readonly title: string
  readonly id: string
  readonly state: FolderState
}

const markMaxBytes = 64 * 1024
const idMaxBytes = 4096
const idBytes = 16

const idKey = (bucket: StoreBucket.StoreBucket): ObjectKey.ObjectKey =>
  ObjectKey.join(StoreBucket.granaryPrefix(bucket), "id")

/** Undefined for a bucket in which no host of ours has ever made or taken over a store. */
const idOf = (bucket: StoreBucket.StoreBucket): Effect.Effect<string | undefined, ObjectStoreError> =>
  bucket.objects.get(idKey(bucket), idMaxBytes).pipe(
    Effect.map((body) => Buffer.from(body).toString()),
    Effect.catchIf(isNoObject, () => Effect.succeed(undefined))
  )

/** The bucket's id; it gets one if it has none. */
export const ensureId = (bucket: StoreBucket.StoreBucket): Effect.Effect<string, ObjectStoreError> =>
  Effect.gen(function* () {
    const found = yield* idOf(bucket)
    if (found !== undefined) return found
    const id = yield* randomHex(idBytes)
    yield* bucket.objects.putIfAbsent(idKey(bucket), Buffer.from(id))
    return (yield* idOf(bucket)) ?? id
  })

const isState = (state: unknown): state is FolderState =>
  state === "creating" || state === "incomplete" || state === "ready"

const decode = (text: string): FolderMark | undefined => {
  try {
    const { bucket, id, state, store } = JSON.parse(text) as Record<string, unknown>
    const isSound = typeof store === "string" && typeof bucket === "string" && typeof id === "string"
    return isSound && isState(state) ? { store, title: bucket, id, state } : undefined
  } catch {
    return undefined
  }
}

/** Undefined when the folder is no cache. */
export const read = (
  layout: StoreLayout
): Effect.Effect<FolderMark | undefined, FilesError | StoreError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const text = yield* files.readFile(layout.bucketMark, markMaxBytes).pipe(
      Effect.map((bytes) => Buffer.from(bytes).toString()),
      Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
    )
    if (text === undefined) return undefined
    const mark = decode(text)
    return (
      mark ?? (yield* storeError("Damaged", layout.bucketMark, "it does not say whose cache this folder is"))
    )
  })

export const write = (layout: StoreLayout, mark: FolderMark): Effect.Effect<void, FilesError, Files> =>
  Effect.flatMap(Files, (files) => {
    const { id, state, store, title } = mark
    const text = `${JSON.stringify({ store, bucket: title, id, state })}\n`
    return files.replaceFile(layout.bucketMark, [Buffer.from(text)], { sync: true })
  })

/** Changes what the folder says of its state; it must be a cache. */
export const setState = (
  layout: StoreLayout,
  state: FolderState
): Effect.Effect<void, FilesError | StoreError, Files> =>
  Effect.gen(function* () {
    const mark = yield* read(layout)
    if (mark !== undefined) yield* write(layout, { ...mark, state })
  })

/** Makes a folder the cache of a bucket's datastore. */
export const claim = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket,
  state: FolderState
): Effect.Effect<void, StorageError, Files> =>
  Effect.gen(function* () {
    const id = yield* ensureId(bucket)
    yield* write(layout, { store: bucket.name, title: bucket.title, id, state })
  })

/** Fails unless the folder is the cache of this bucket's datastore, in whatever state. */
export const checkIdentity = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket
): Effect.Effect<FolderMark, StorageError | StoreError, Files> =>
  Effect.gen(function* () {
    const mark = yield* read(layout)
    if (mark === undefined) {
      const detail = `this folder is not the cache of ${bucket.title}; take an empty one, with granary init --reuse`
      return yield* storeError("Refused", layout.base, detail)
    }
    const isSame =
      mark.store === bucket.name && (mark.title === bucket.title || mark.id === (yield* idOf(bucket)))
    if (isSame) return mark
    return yield* storeError(
      "Refused",
      layout.base,
      `this folder is the cache of ${mark.title}, and not of ${bucket.title}`
    )
  })

/** Like `checkIdentity`; a folder that was never finished is refused. */
export const checkFinished = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket
): Effect.Effect<FolderMark, StorageError | StoreError, Files> =>
  Effect.gen(function* () {
    const mark = yield* checkIdentity(layout, bucket)
    if (mark.state !== "creating") return mark
    const detail = "this cache folder was never finished; run the same granary init again"
    return yield* storeError("NotADatastore", layout.base, detail)
  })

/**
 * Fails unless the folder may be opened: as the cache of this bucket's datastore, or without a bucket as a datastore of
 * its own.
 */
export const check = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket | undefined
): Effect.Effect<void, StorageError | StoreError, Files> =>
  Effect.gen(function* () {
    if (bucket !== undefined) {
      const { state } = yield* checkFinished(layout, bucket)
      if (state === "ready") return
      const detail = "the files of its snapshots have not been fetched from the bucket yet"
      return yield* storeError("NeedsRefresh", layout.base, detail)
    }
    const mark = yield* read(layout)
    if (mark === undefined) return
    const detail = `this folder is only the cache of ${mark.title}; name that instead of the folder`
    return yield* storeError("Refused", layout.base, detail)
  })
