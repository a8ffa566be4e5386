/**
 * Removal: takes a datastore's content away for good, from its folder and from its bucket, or only this host's mark of
 * use from the bucket.
 *
 * Invariant: only what belongs to a datastore is removed, by its known names; whatever else lies in the folder stays,
 * and the folder with it. The caller is alone with the store. Interrupted, it can be repeated.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isNotFound as isNoObject, type ObjectStoreError } from "../objectstore/ObjectStoreError.ts"
import { pages } from "../objectstore/ObjectStore.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"

export interface RemovalOptions {
  readonly folder: string
  readonly bucket: StoreBucket.StoreBucket | undefined
  readonly destroyData: boolean
}

const ownNames = /^(?:vm|ct|host|ns|\.chunks(?:\.tmp_.*)?|\.lock|\.gc-status|\.granary.*)$/

const ignoreMissing = <A, R>(effect: Effect.Effect<A, FilesError, R>) =>
  Effect.catchIf(Effect.asVoid(effect), isNotFound, () => Effect.void)

/** A name and all below it; links are removed, not followed. */
const removeTree = (files: Files["Service"], target: string): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    for (const { kind, name } of yield* files.readDirectory(target)) {
      const child = `${target}/${name}`
      yield* kind === "directory" ? removeTree(files, child) : ignoreMissing(files.unlink(child))
    }
    yield* ignoreMissing(files.removeDirectory(target))
  })

const removeFolder = (folder: string): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const entries = yield* files
      .readDirectory(folder)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed([])))
    const own = entries.filter(({ name }) => ownNames.test(name))
    for (const { kind, name } of own) {
      const target = `${folder}/${name}`
      yield* kind === "directory" ? removeTree(files, target) : ignoreMissing(files.unlink(target))
    }
    yield* files.removeDirectory(folder).pipe(
      Effect.catchIf(
        ({ reason }) => reason === "NotFound" || reason === "NotEmpty",
        () => Effect.void
      )
    )
  })

const markOf = (bucket: StoreBucket.StoreBucket) => StoreBucket.keyOf(bucket, { kind: "in use" })

const removeMark = (bucket: StoreBucket.StoreBucket): Effect.Effect<void, ObjectStoreError> =>
  StoreBucket.removeAll(bucket, [markOf(bucket)]).pipe(Effect.catchIf(isNoObject, () => Effect.void))

/** The mark of use goes last, so that nobody takes half a store for a free place. */
const removeObjects = (bucket: StoreBucket.StoreBucket): Effect.Effect<void, ObjectStoreError> =>
  pages(bucket.objects, bucket.prefix).pipe(
    Stream.runForEach(({ objects }) =>
      StoreBucket.removeAll(
        bucket,
        objects.map(({ key }) => key).filter((key) => key !== markOf(bucket))
      )
    )
  )

export const run = ({
  bucket,
  destroyData,
  folder
}: RemovalOptions): Effect.Effect<void, FilesError | ObjectStoreError, Files> =>
  Effect.gen(function* () {
    if (bucket !== undefined) {
      if (destroyData) yield* removeObjects(bucket)
      yield* removeMark(bucket)
    }
    if (destroyData) yield* removeFolder(folder)
  })
