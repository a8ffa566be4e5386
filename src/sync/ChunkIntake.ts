/**
 * ChunkIntake: how chunks get into an open datastore from elsewhere: what is there is claimed, what is not is fetched,
 * proven and stored as it came.
 *
 * A claim touches the chunk: the writer's lease is older than that, so no garbage collection takes it while the lease
 * lives. In a folder the claim is the whole truth. In a bucket only what the cache folder knows is claimed together; of
 * anything else the server is asked when it is wanted, which makes its marker.
 *
 * Invariant: a blob is stored only when its checksum is right, when it is encrypted as it should be, and when what is
 * not encrypted has the digest and the length that were wanted. What a power loss may have torn is read before it is
 * counted on.
 */
import * as Effect from "effect/Effect"
import type { Datastore } from "../datastore/Datastore.ts"
import { isEncrypted } from "../format/DataBlob.ts"
import * as Digest from "../model/Digest.ts"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import { kindOf } from "../platform/chunkContent.ts"
import type { Inserted } from "../store/ChunkStore.ts"
import * as Doubts from "../store/Doubts.ts"
import * as storeFailures from "./storeFailures.ts"
import { type SyncError, syncError } from "./SyncError.ts"
import type { StoredChunk, TargetWriter, WantedChunk } from "./SyncTarget.ts"

export type ChunkIntake = Pick<TargetWriter, "claim" | "store">

export interface IntakeParts {
  readonly store: Datastore["Service"]
  readonly codec: ChunkCodec["Service"]
  readonly doubts: ReadonlyArray<Doubts.Doubt>
}

/** Claimed in one go before other fibers have their turn. */
const claimedTogether = 256

const present: StoredChunk = { outcome: "present", encodedBytes: 0 }

const told = ({ duplicate }: Inserted, encodedBytes: number): StoredChunk => ({
  outcome: duplicate ? "present" : "stored",
  encodedBytes
})

const digestAt = (digests: Uint8Array, number: number): Digest.Digest =>
  Digest.fromBytes(digests, number * Digest.lengthBytes)

const corrupt = (digest: Digest.Digest, detail: string): SyncError =>
  syncError("Corrupt", `chunk ${digest}: ${detail}`, { side: "source" })

/** Proves what came of a chunk before anybody sees it. */
export const proofWith =
  (codec: ChunkCodec["Service"]) =>
  ({ digest, encrypted, sizeBytes }: WantedChunk, blob: Uint8Array): Effect.Effect<void, SyncError> =>
    Effect.gen(function* () {
      const verdict = yield* codec.judge(blob, { digest, sizeBytes, crypt: undefined })
      if (verdict.state !== "good") {
        return yield* corrupt(digest, "detail" in verdict ? verdict.detail : "it is missing")
      }
      if (isEncrypted(verdict.kind) === encrypted) return
      return yield* corrupt(
        digest,
        encrypted ? "it should be encrypted, and is not" : "it is encrypted, and should not be"
      )
    })

export const make = (parts: IntakeParts): ChunkIntake => {
  const { doubts, store } = parts
  const { bucket, chunks, presence } = store
  const isInBucket = bucket !== undefined
  const prove = proofWith(parts.codec)

  /** In doubt, and not good. */
  const isTorn = (digest: Digest.Digest) =>
    Effect.gen(function* () {
      const { mtimeSeconds } = yield* chunks.stat(digest)
      if (!Doubts.covers(doubts, mtimeSeconds)) return false
      const verdict = yield* chunks.check({ digest, sizeBytes: undefined, crypt: undefined })
      return verdict.state !== "good"
    })

  const claimOne = (digest: Digest.Digest) =>
    Effect.gen(function* () {
      if (!(yield* chunks.touch(digest))) return false
      return doubts.length === 0 || !(yield* isTorn(digest))
    })

  const claim = (digests: Uint8Array): Effect.Effect<ReadonlyArray<number>, SyncError> =>
    Effect.gen(function* () {
      const count = digests.length / Digest.lengthBytes
      const absent = new Set(isInBucket ? [] : yield* presence.findAbsent(digests))
      for (let number = 0; number < count; number++) {
        if (!absent.has(number) && !(yield* claimOne(digestAt(digests, number)))) absent.add(number)
        if (number % claimedTogether === claimedTogether - 1) yield* Effect.yieldNow
      }
      return [...absent].toSorted((left, right) => left - right)
    }).pipe(storeFailures.writing)

  /** Asks the server; a marker that could not be made claims nothing. */
  const isInBucketAlready = (digest: Digest.Digest) =>
    Effect.gen(function* () {
      const absent = yield* presence.findAbsent(Digest.toBytes(digest))
      return absent.length === 0 && (yield* chunks.touch(digest))
    }).pipe(storeFailures.writing)

  /** A blob of the wrong kind is refused before anything of it gets into the store's folder. */
  const insert = (chunk: WantedChunk, blob: Uint8Array): Effect.Effect<Inserted, SyncError> => {
    const { digest, sizeBytes } = chunk
    const kind = kindOf(blob)
    if (chunks.insertProving === undefined || kind === undefined || isEncrypted(kind) !== chunk.encrypted) {
      return Effect.andThen(prove(chunk, blob), storeFailures.writing(chunks.insertEncoded(digest, blob)))
    }
    return chunks.insertProving({ digest, sizeBytes, blob }).pipe(
      Effect.catchTag("ChunkError", ({ detail }) => Effect.fail(corrupt(digest, detail))),
      storeFailures.writing
    )
  }

  /** From file to file; undefined when that is not possible, or the chunk is not good: fetching it tells why. */
  const copy = ({ digest, encrypted, file, sizeBytes }: WantedChunk) =>
    file === undefined || chunks.insertFile === undefined
      ? Effect.succeed(undefined)
      : storeFailures.writing(chunks.insertFile({ digest, encrypted, file, sizeBytes }))

  const bring = (chunk: WantedChunk): Effect.Effect<StoredChunk, SyncError> =>
    Effect.gen(function* () {
      if (isInBucket && (yield* isInBucketAlready(chunk.digest))) return present
      const copied = yield* copy(chunk)
      if (copied !== undefined) return told(copied, copied.encodedSizeBytes)
      const blob = yield* chunk.fetch
      const encodedBytes = blob.length
      return told(yield* insert(chunk, blob), encodedBytes)
    })

  return { claim, store: bring }
}
