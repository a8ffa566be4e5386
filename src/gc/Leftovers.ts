/**
 * Leftovers: temporary files outside of the chunk folders, which programs left that died while they replaced a
 * manifest, an owner, a journal. Whoever still writes one keeps its time young, so an old one is nobody's.
 *
 * A name that is gone by then has been given to the file it was for, or removed; both are well.
 */
import * as Effect from "effect/Effect"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { ChunkCounts } from "./ChunkListing.ts"

export interface Leftovers {
  readonly paths: ReadonlyArray<string>
  readonly counts: ChunkCounts
  /** Files that could not be looked at or removed. */
  readonly errors: ReadonlyArray<string>
}

const isExpired = (path: string, cutoffSeconds: number) =>
  Effect.gen(function* () {
    const files = yield* Files
    const { kind, mtimeSeconds, sizeBytes } = yield* files.stat(path)
    return kind === "file" && mtimeSeconds < cutoffSeconds ? { sizeBytes } : undefined
  })

const visit = (
  paths: ReadonlyArray<string>,
  look: (path: string) => Effect.Effect<{ readonly sizeBytes: number } | undefined, FilesError, Files>
): Effect.Effect<Leftovers, never, Files> =>
  Effect.gen(function* () {
    const counts = { chunks: 0, bytes: 0 }
    const errors: Array<string> = []
    const found: Array<string> = []
    for (const path of paths) {
      const seen = yield* Effect.result(look(path))
      if (seen._tag === "Failure") {
        if (!isNotFound(seen.failure)) errors.push(seen.failure.message)
      } else if (seen.success !== undefined) {
        found.push(path)
        counts.chunks += 1
        counts.bytes += seen.success.sizeBytes
      }
    }
    return { paths: found, counts, errors }
  })

/** Those that may go. */
export const find = (paths: ReadonlyArray<string>, cutoffSeconds: number) =>
  visit(paths, (path) => isExpired(path, cutoffSeconds))

/** Removes those that are still old. */
export const remove = (paths: ReadonlyArray<string>, cutoffSeconds: number) =>
  visit(paths, (path) =>
    Effect.gen(function* () {
      const expired = yield* isExpired(path, cutoffSeconds)
      if (expired !== undefined) yield* (yield* Files).unlink(path)
      return expired
    })
  )
