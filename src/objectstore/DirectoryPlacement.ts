/**
 * How bodies get their names in a folder that serves as a bucket, and lose them: the steps of `put`, `putIfAbsent` and
 * deletion, in an order that other processes may cut through anywhere.
 *
 * - A body is written as `temporary/X/content` first. Moving the folder X to the object's name is the creation: it
 *   fails when a body is there, and succeeds over an empty folder, which counts as nothing.
 * - Replacing moves `content` alone over the one that is there.
 * - Deleting removes `content`; then the object's folder and the folders above it go while they are empty.
 *
 * Whoever finds a folder gone that was there a moment ago begins again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Files, FilesError, isNotFound } from "../platform/Files.ts"
import { bodyName, objectPath } from "./directoryPaths.ts"
import type { ObjectKey } from "./ObjectKey.ts"

export interface Place {
  readonly files: Files["Service"]
  /** The folder that holds all objects. */
  readonly objects: string
  readonly temporary: string
  readonly sync: boolean
}

/** As often as others may take the folders away under us. */
const triesMax = 1000

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"))

const isTaken = ({ reason }: FilesError): boolean => reason === "NotEmpty" || reason === "AlreadyExists"

const isNotEmptyOrGone = (error: FilesError): boolean => isTaken(error) || isNotFound(error)

/** A folder of one's own in `temporary`; what is left in it goes when it is not needed any more. */
const withStaged = <A>(
  { files, temporary, sync }: Place,
  body: Uint8Array,
  use: (staged: string) => Effect.Effect<A, FilesError>
): Effect.Effect<A, FilesError> =>
  Effect.acquireUseRelease(
    Effect.flatMap(files.temporaryName(`${temporary}/object`), (staged) =>
      Effect.as(files.makeDirectory(staged), staged)
    ).pipe(Effect.retry({ times: triesMax, while: isTaken })),
    (staged) => Effect.andThen(files.createFile(`${staged}/${bodyName}`, body, { sync }), () => use(staged)),
    (staged) =>
      Effect.andThen(
        Effect.ignore(files.unlink(`${staged}/${bodyName}`)),
        Effect.ignore(files.removeDirectory(staged))
      )
  )

/** Makes the folders above an object, as far as they are missing. */
const makeParents = (place: Place, path: string): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    const { files, objects } = place
    yield* files.stat(objects)
    const names = parentOf(path).slice(objects.length + 1)
    let parent = objects
    for (const name of names === "" ? [] : names.split("/")) {
      const folder = `${parent}/${name}`
      yield* files.makeDirectory(folder).pipe(Effect.catchIf(isTaken, () => Effect.void))
      parent = folder
    }
  })

type Step = "done" | "present" | "again"

/** Flushes a folder's names; answers whether the folder is there. */
const flush = ({ files, sync }: Place, folder: string): Effect.Effect<boolean, FilesError> =>
  sync
    ? files.syncDirectory(folder).pipe(
        Effect.as(true),
        Effect.catchIf(isNotFound, () => Effect.succeed(false))
      )
    : Effect.succeed(true)

/** The folder and those above it, innermost first. */
const upwards = (place: Place, folder: string): ReadonlyArray<string> =>
  folder === place.objects ? [folder] : [folder, ...upwards(place, parentOf(folder))]

/**
 * Flushes the folder and all above it: another process may have made them a moment ago, and not flushed them yet. A
 * folder that is gone took the object along; that is the business of who removed it.
 */
const flushAll = (place: Place, folder: string): Effect.Effect<void, FilesError> =>
  place.sync
    ? Effect.forEach(upwards(place, folder), (each) => flush(place, each), { discard: true })
    : Effect.void

/** Flushes the innermost folder that is still there. */
const flushNearest = (place: Place, folder: string): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    for (const each of upwards(place, folder)) if (yield* flush(place, each)) return
  })

const move = (place: Place, from: string, to: string): Effect.Effect<Step, FilesError> =>
  place.files.rename(from, to).pipe(
    // What is in the way is in the way of the object, not of the temporary name.
    Effect.mapError((error) => new FilesError({ ...error, path: to })),
    Effect.as<Step>("done"),
    Effect.catchIf(isTaken, () => Effect.succeed<Step>("present")),
    Effect.catchIf(isNotFound, () => Effect.succeed<Step>("again"))
  )

/** Creates the object by moving the whole folder; answers `present` when a body is there. */
const moveFolder = (place: Place, staged: string, path: string): Effect.Effect<Step, FilesError> =>
  move(place, staged, path)

/** Replaces the body that is there. */
const moveBody = (place: Place, staged: string, path: string): Effect.Effect<Step, FilesError> =>
  move(place, `${staged}/${bodyName}`, `${path}/${bodyName}`)

/** Writes an object; answers whether it did, which is always so with `replace`. */
export const put = (
  place: Place,
  key: ObjectKey,
  body: Uint8Array,
  replace: boolean
): Effect.Effect<boolean, FilesError> =>
  Effect.gen(function* () {
    const { files, objects } = place
    const path = `${objects}/${objectPath(key)}`
    const looksPresent = Effect.match(files.stat(`${path}/${bodyName}`), {
      onFailure: () => false,
      onSuccess: () => true
    })
    // Looking first saves writing a body that nobody wants; the move decides.
    const isPresent = !replace && (yield* looksPresent)
    const isPlaced = isPresent
      ? false
      : yield* withStaged(place, body, (staged) =>
          Effect.gen(function* () {
            for (let attempt = 0; attempt < triesMax; attempt++) {
              let step = yield* moveFolder(place, staged, path)
              if (step === "present" && replace) step = yield* moveBody(place, staged, path)
              if (step !== "again") return step === "done"
              yield* makeParents(place, path).pipe(Effect.catchIf(isGoneBelow(place), () => Effect.void))
            }
            return yield* new FilesError({ operation: "write", path, reason: "Busy" })
          })
        )
    // Also when it was present: who wrote it may not have come so far, and we say that it is there to stay.
    yield* flushAll(place, path)
    return isPlaced
  })

/** A folder that was removed by another process meanwhile; but where `objects` itself is missing there is no bucket. */
const isGoneBelow =
  ({ objects }: Place) =>
  (error: FilesError): boolean =>
    isNotFound(error) && error.path !== objects

/** Removes an object, and the folders above it that are empty then. What is not there is removed already. */
export const remove = (place: Place, key: ObjectKey): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    const { files, objects } = place
    let path = `${objects}/${objectPath(key)}`
    yield* files.unlink(`${path}/${bodyName}`).pipe(Effect.catchIf(isNotFound, () => Effect.void))
    let isEmpty = true
    while (isEmpty && path !== objects) {
      isEmpty = yield* files.removeDirectory(path).pipe(
        Effect.as(true),
        Effect.catchIf(isNotEmptyOrGone, () => Effect.succeed(false))
      )
      if (isEmpty) path = parentOf(path)
    }
    // Also when it was gone: who removed it may not have come so far.
    yield* flushNearest(place, path)
  })

/**
 * Removes what killed processes left in `temporary` more than `ageSeconds` ago; answers how many. The age must be
 * longer than any write takes, and than clocks of hosts on one network file system are apart: a day is.
 */
export const removeLeftovers = (
  folder: string,
  ageSeconds: number
): Effect.Effect<number, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const nowSeconds = (yield* Clock.currentTimeMillis) / 1000
    const temporary = `${folder}/temporary`
    let count = 0
    for (const { name, mtimeSeconds } of yield* files.statDirectory(temporary)) {
      if (nowSeconds - mtimeSeconds < ageSeconds) continue
      yield* files
        .unlink(`${temporary}/${name}/${bodyName}`)
        .pipe(Effect.catchIf(isNotFound, () => Effect.void))
      yield* files.removeDirectory(`${temporary}/${name}`).pipe(Effect.catchIf(isNotFound, () => Effect.void))
      count += 1
    }
    return count
  })
