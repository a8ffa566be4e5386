/**
 * SharedChunk: a chunk that was fetched and decoded once, for all who wanted it at that moment (`SingleFlight`).
 *
 * Invariant: each gets memory of its own: the target it gave, or bytes that nobody else has.
 */
import * as Exit from "effect/Exit"
import type { Digest } from "../../model/Digest.ts"
import { ChunkError } from "../../platform/ChunkCodec.ts"
import type { WantedChunk } from "../ChunkStore.ts"
import type { Claim } from "./SingleFlight.ts"

export interface SharedChunk {
  readonly data: Uint8Array
  /** It lies in the target of the one who started. */
  readonly isLent: boolean
}

const corrupt = (digest: Digest, detail: string): Exit.Exit<never, ChunkError> =>
  Exit.fail(new ChunkError({ digest, reason: "Corrupt", detail }))

/** The length is the wish of one reader, and checked for each. */
export const receive = (
  { data, isLent }: SharedChunk,
  { digest, sizeBytes }: WantedChunk,
  target: Uint8Array | undefined,
  { isLast, isStarter }: Claim
): Exit.Exit<Uint8Array, ChunkError> => {
  const { length } = data
  if (sizeBytes !== undefined && length !== sizeBytes) {
    return corrupt(digest, `its index says ${sizeBytes} bytes, it holds ${length}`)
  }
  if (isLent && isStarter) return Exit.succeed(data)
  if (target === undefined) return Exit.succeed(isLast && !isLent ? data : new Uint8Array(data))
  if (length > target.length) {
    return corrupt(digest, `it holds ${length} bytes, more than the ${target.length} expected`)
  }
  target.set(data)
  return Exit.succeed(target.subarray(0, length))
}
