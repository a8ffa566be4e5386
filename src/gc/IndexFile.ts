/**
 * IndexFile: an index as garbage collection reads it, wherever it lies: whole, and then proven by its checksum. What
 * cannot be proven is damaged, and what a damaged index needs nobody knows. Reading and proving are two steps, so that
 * an index is marked on one processor while another proves it: marks of a damaged one keep too much, which does no
 * harm.
 */
import * as Effect from "effect/Effect"
import { type ChunkIndex, commonHeaderSizeBytes } from "../format/ChunkIndex.ts"
import * as Digest from "../model/Digest.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { ChunkStore } from "../store/ChunkStore.ts"
import { decodeIndex, indexMaxBytes } from "../store/SnapshotFiles.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"

export const isIndexName = (name: string): boolean => name.endsWith(".fidx") || name.endsWith(".didx")

/** Fails with `Damaged` unless the entries are those that the header speaks of. A worker thread does the hashing. */
export const prove = (
  path: string,
  { checksum, entries }: ChunkIndex,
  digest: ChunkStore["Service"]["digest"]
): Effect.Effect<void, StoreError> =>
  Effect.gen(function* () {
    const computed = Digest.fromBytes(yield* digest(entries, undefined))
    if (computed === checksum) return
    return yield* storeError("Damaged", path, `its checksum is ${computed}, its header says ${checksum}`)
  })

/** Undefined when the file is gone; fails with `Damaged` for one that is no index. Still to be proven. */
export const read = (path: string): Effect.Effect<ChunkIndex | undefined, FilesError | StoreError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const bytes = yield* files
      .readFile(path, indexMaxBytes)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    return bytes === undefined ? undefined : yield* decodeIndex(path, bytes)
  })

/**
 * What the header of an index says of its entries; undefined when the file is gone. Two sound indexes with one checksum
 * name the same chunks.
 */
export const readChecksum = (path: string): Effect.Effect<Digest.Digest | undefined, FilesError, Files> =>
  Effect.scoped(
    Effect.gen(function* () {
      const files = yield* Files
      const handle = yield* files.openRead(path)
      const header = new Uint8Array(commonHeaderSizeBytes)
      yield* handle.readAt(0, header)
      return Digest.fromBytes(header, commonHeaderSizeBytes - Digest.lengthBytes)
    })
  ).pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
