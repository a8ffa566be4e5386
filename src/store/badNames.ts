/**
 * badNames: under which names corrupt chunks are set aside, beside the chunk's own: `<digest>.0.bad` and so on.
 *
 * Invariant: what was set aside before is kept while a name is free; when none is, the last one is taken again.
 */
import * as Effect from "effect/Effect"
import type { Digest } from "../model/Digest.ts"
import * as StoreKeys from "../objectstore/StoreKeys.ts"
import { type Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { chunkPath, type StoreLayout } from "./StoreLayout.ts"

export const badName = (digest: Digest, number: number): string => `${digest}.${number}.bad`

const isInFolder = (files: Files["Service"], path: string): Effect.Effect<boolean, FilesError> =>
  files.stat(path).pipe(
    Effect.as(true),
    Effect.catchIf(isNotFound, () => Effect.succeed(false))
  )

/** The first number that is taken neither in the folder nor, where it may be, elsewhere. */
export const freeNumber = <E = never>(
  files: Files["Service"],
  layout: StoreLayout,
  digest: Digest,
  isTakenElsewhere: (number: number) => Effect.Effect<boolean, E> = () => Effect.succeed(false)
): Effect.Effect<number, E | FilesError> =>
  Effect.gen(function* () {
    for (let number = 0; number < StoreKeys.badNumberMax; number++) {
      const isHere = yield* isInFolder(files, `${chunkPath(layout, digest)}.${number}.bad`)
      if (!isHere && !(yield* isTakenElsewhere(number))) return number
    }
    return StoreKeys.badNumberMax
  })
