/**
 * LocalReads: which effects that answer a chunk do nothing but read a file of this machine. A target that can copy such
 * a file itself saves moving its content through the program.
 *
 * Invariant: an effect is known here only as it was made. Whoever stands between source and target (counts, limits,
 * waits, answers otherwise) makes another effect of it, and that one is run.
 */
import type * as Effect from "effect/Effect"
import type { ChunkFile } from "../store/ChunkStore.ts"
import type { SyncError } from "./SyncError.ts"

type ChunkRead = Effect.Effect<Uint8Array, SyncError>

const files = new WeakMap<ChunkRead, ChunkFile>()

/** The same effect; from now on it is known that it reads this file. */
export const reading = (read: ChunkRead, file: ChunkFile): ChunkRead => {
  files.set(read, file)
  return read
}

/** What the effect reads; undefined when nobody can tell. */
export const fileOf = (read: ChunkRead): ChunkFile | undefined => files.get(read)

/** The same with another way of telling what goes wrong. */
export const told = (read: ChunkRead, tell: (read: ChunkRead) => ChunkRead): ChunkRead => {
  const file = fileOf(read)
  return file === undefined ? tell(read) : reading(tell(read), file)
}
