/**
 * A folder as a bucket, over any Files: for stores on network file systems that several hosts mount, and for tests.
 *
 * Below the folder lie `objects` (see `directoryPaths`) and `temporary`. An object is a folder with its body in it,
 * because moving a folder into place is the one step of a file system that fails, whole, when something is there
 * already: so `putIfAbsent` is safe between processes without any lock, and a process killed midway leaves nothing but
 * a name in `temporary` (see `removeLeftovers`), or empty folders, which count as nothing.
 *
 * Invariants: an object's folder holds its body or nothing; a body is complete before it gets its name, and never
 * changed afterwards, only replaced or removed. The folder `objects` exists: where it does not, the bucket is missing
 * (or its file system is not mounted), which is not the same as an object that is missing.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import { Files, FilesError, type FilesReason, isNotFound } from "../platform/Files.ts"
import { listPage } from "./DirectoryListing.ts"
import * as DirectoryPlacement from "./DirectoryPlacement.ts"
import { bodyName, objectPath } from "./directoryPaths.ts"
import type { ObjectKey } from "./ObjectKey.ts"
import { batchSizeMax, ObjectStore, type ListRequest, pageSizeMax, present } from "./ObjectStore.ts"
import { ObjectStoreError, type ObjectStoreOperation, type ObjectStoreReason } from "./ObjectStoreError.ts"

export interface DirectoryOptions {
  /** Flush every change to the disk before it counts as done. Default true; without it obligation 3 is not kept. */
  readonly sync?: boolean
}

const reasons: Partial<Record<FilesReason, ObjectStoreReason>> = {
  NotFound: "NotFound",
  PermissionDenied: "AccessDenied",
  ReadOnlyFileSystem: "AccessDenied",
  NoSpace: "NoSpace",
  TooLarge: "TooLarge",
  AlreadyExists: "Conflict",
  NotEmpty: "Conflict"
}

const failureOf = (
  operation: ObjectStoreOperation,
  key: string,
  error: FilesError,
  hasBucket: boolean
): ObjectStoreError =>
  new ObjectStoreError({
    operation,
    key,
    reason: hasBucket ? (reasons[error.reason] ?? "Unavailable") : "NoBucket",
    detail: error.message
  })

const etagOf = (body: Uint8Array): string => createHash("sha256").update(body).digest("hex")

const blockBytes = 1024 * 1024

/** As often as an object may be replaced while we look at it. */
const looksMax = 10

/** The bucket in this folder, which `create` made. */
export const make = (
  folder: string,
  options?: DirectoryOptions
): Effect.Effect<ObjectStore["Service"], never, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const place: DirectoryPlacement.Place = {
      files,
      objects: `${folder}/objects`,
      temporary: `${folder}/temporary`,
      sync: options?.sync ?? true
    }
    const bodyOf = (key: ObjectKey): string => `${place.objects}/${objectPath(key)}/${bodyName}`

    /** A missing file is a missing object only where there is a bucket. */
    const lift =
      (operation: ObjectStoreOperation, key: string) =>
      <A, R>(effect: Effect.Effect<A, FilesError, R>): Effect.Effect<A, ObjectStoreError, R> =>
        effect.pipe(
          Effect.catch((error) =>
            Effect.flatMap(error.reason === "NotFound" ? hasBucket : Effect.succeed(true), (exists) =>
              Effect.fail(failureOf(operation, key, error, exists))
            )
          )
        )

    const hasBucket = Effect.match(files.stat(place.objects), {
      onFailure: (error) => !isNotFound(error),
      onSuccess: ({ kind }) => kind === "directory"
    })

    const write = (operation: ObjectStoreOperation, key: ObjectKey, body: Uint8Array, replace: boolean) =>
      DirectoryPlacement.put(place, key, body, replace).pipe(lift(operation, key))

    const put = (operation: ObjectStoreOperation, key: ObjectKey, body: Uint8Array) =>
      Effect.map(write(operation, key, body, true), () => ({ etag: etagOf(body) }))

    /** Whether `list` and deletions of nothing speak of a bucket at all. */
    const demandBucket = (operation: ObjectStoreOperation, key: string) =>
      Effect.flatMap(hasBucket, (exists) =>
        exists
          ? Effect.void
          : Effect.fail(new ObjectStoreError({ operation, key, reason: "NoBucket", detail: folder }))
      )

    const getRange = (key: ObjectKey, offset: number, lengthBytes: number) =>
      Effect.scoped(
        Effect.gen(function* () {
          const handle = yield* lift("getRange", key)(files.openRead(bodyOf(key)))
          const available = Math.min(lengthBytes, handle.sizeBytes - offset)
          if (!(available > 0 && offset >= 0)) {
            return yield* new ObjectStoreError({ operation: "getRange", key, reason: "InvalidRange" })
          }
          const target = new Uint8Array(available)
          const count = yield* lift("getRange", key)(handle.readAt(offset, target))
          if (count < available) {
            return yield* new ObjectStoreError({ operation: "getRange", key, reason: "Truncated" })
          }
          return target
        })
      )

    const deleteMany = (keys: ReadonlyArray<ObjectKey>) =>
      Effect.gen(function* () {
        const different = [...new Set(keys)]
        if (different.length > batchSizeMax) {
          const detail = `${different.length} keys in one batch, at most ${batchSizeMax}`
          return yield* new ObjectStoreError({
            operation: "deleteMany",
            key: "",
            reason: "Rejected",
            detail
          })
        }
        yield* demandBucket("deleteMany", "")
        const results = yield* Effect.forEach(different, (key) =>
          DirectoryPlacement.remove(place, key).pipe(
            lift("deleteMany", key),
            Effect.match({
              onFailure: (error) => ({ key, error }),
              onSuccess: () => ({ key, error: undefined })
            })
          )
        )
        return {
          deleted: results.flatMap(({ key, error }) => (error === undefined ? [key] : [])),
          failed: results.flatMap(({ key, error }) => (error === undefined ? [] : [{ key, error }]))
        }
      })

    const list = ({ prefix, after = "", pageSize = pageSizeMax }: ListRequest) =>
      Effect.andThen(
        demandBucket("list", prefix),
        listPage(place.objects, prefix, after, Math.max(1, Math.min(pageSize, pageSizeMax))).pipe(
          Effect.provideService(Files, files),
          lift("list", prefix)
        )
      )

    return ObjectStore.of({
      put: (key, body) => put("put", key, body),
      putIfAbsent: (key, body) =>
        Effect.map(write("putIfAbsent", key, body, false), (isPlaced) =>
          isPlaced ? { outcome: "created", etag: etagOf(body) } : present
        ),
      get: (key, maxSizeBytes) => lift("get", key)(files.readFile(bodyOf(key), maxSizeBytes)),
      getRange: (key, { offset, lengthBytes }) => getRange(key, offset, lengthBytes),
      head: (key) => lift("head", key)(describe(files, bodyOf(key))),
      list,
      deleteMany,
      copy: (from, to) =>
        Effect.flatMap(lift("copy", from)(files.readFile(bodyOf(from), Number.MAX_SAFE_INTEGER)), (body) =>
          put("copy", to, body)
        )
    })
  })

const hashOf = (files: Files["Service"], path: string): Effect.Effect<string, FilesError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const handle = yield* files.openRead(path)
      const hash = createHash("sha256")
      const block = new Uint8Array(Math.min(blockBytes, handle.sizeBytes))
      for (let offset = 0; offset < handle.sizeBytes; offset += block.length) {
        hash.update(block.subarray(0, yield* handle.readAt(offset, block)))
      }
      return hash.digest("hex")
    })
  )

/** Size, time and etag of one and the same body: it must be the same file before and after it was read. */
const describe = (files: Files["Service"], path: string) =>
  Effect.gen(function* () {
    let before = yield* files.stat(path)
    for (let look = 0; look < looksMax; look++) {
      const etag = yield* hashOf(files, path)
      const after = yield* files.stat(path)
      if (after.inode === before.inode && after.mtimeSeconds === before.mtimeSeconds) {
        return { sizeBytes: after.sizeBytes, lastModifiedSeconds: after.mtimeSeconds, etag }
      }
      before = after
    }
    return yield* new FilesError({ operation: "stat", path, reason: "Busy" })
  })

/** Makes an empty bucket of a folder; its parent exists. One that is a bucket already stays as it is. */
export const create = (folder: string): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    for (const path of [folder, `${folder}/temporary`, `${folder}/objects`]) {
      yield* files.makeDirectory(path).pipe(
        Effect.catchIf(
          ({ reason }) => reason === "AlreadyExists",
          () => Effect.void
        )
      )
    }
    yield* files.syncDirectory(folder)
  })

export const layer = (folder: string, options?: DirectoryOptions): Layer.Layer<ObjectStore, never, Files> =>
  Layer.effect(ObjectStore, make(folder, options))

export { removeLeftovers } from "./DirectoryPlacement.ts"
