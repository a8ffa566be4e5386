/**
 * Untouched: the machine as those have it who must change nothing on it, such as whoever makes a plan. Files can be
 * read and not written; locks are taken in files that are there, and none is made for them.
 *
 * Where there is no lock file nobody holds a lock either, and whoever comes later is not kept out by a plan.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FileLocks, type RangeTable } from "./FileLocks.ts"
import { Files, FilesError, isNotFound } from "./Files.ts"
import { refusingWrites } from "./refusingWrites.ts"

const refuse = (operation: string, path: string): FilesError =>
  new FilesError({
    operation,
    path,
    reason: "ReadOnlyFileSystem",
    detail: { message: "this is a plan, which changes nothing", hint: "run it without --plan" }
  })

const reading = (files: Files["Service"]): Files["Service"] => ({ ...files, ...refusingWrites(refuse) })

const freeTable: RangeTable = { tryLock: () => Effect.succeed(true), unlock: () => Effect.void }

const withoutNewFiles = (files: Files["Service"], locks: FileLocks["Service"]): FileLocks["Service"] => {
  const isThere = (path: string): Effect.Effect<boolean, FilesError> =>
    files.stat(path).pipe(
      Effect.as(true),
      Effect.catchIf(isNotFound, () => Effect.succeed(false))
    )
  return {
    tryLock: (path, range, mode) =>
      Effect.flatMap(isThere(path), (found) =>
        found ? locks.tryLock(path, range, mode) : Effect.succeed(true)
      ),
    openRanges: (path) =>
      Effect.flatMap(isThere(path), (found) => (found ? locks.openRanges(path) : Effect.succeed(freeTable)))
  }
}

export const layer: Layer.Layer<Files | FileLocks, never, Files | FileLocks> = Layer.merge(
  Layer.effect(Files, Effect.map(Files, reading)),
  Layer.effect(
    FileLocks,
    Effect.flatMap(Files, (files) => Effect.map(FileLocks, (locks) => withoutNewFiles(files, locks)))
  )
)
