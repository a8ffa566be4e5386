/**
 * ChunkTransfer: gets the chunks of indexes into the target, for all groups of a sync together.
 *
 * What the target has is claimed, many at a time, and never fetched. Of what it lacks so many are under way at once as
 * the window lets, whichever snapshots want them; a digest that several want at once is fetched once. The digests that
 * are known to be there are one set for the whole sync, which is sound because one writer, with one lease, holds them
 * all until the sync ends.
 *
 * Memory: a digest that was seen takes some 76 bytes of the set (`SeenDigests`), and nothing else is kept of it; a
 * window's blobs and a batch's numbers come on top.
 *
 * Invariants: when `bring` has succeeded every chunk of the index is there and held; a digest enters the set only after
 * the target has answered for it. Who waits for somebody else's fetch that fails tries for itself: so a failure is told
 * by each snapshot that meets it, and the end of one group never fails another.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import { encodedSizeMax } from "../format/DataBlob.ts"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import { Entropy } from "../platform/Entropy.ts"
import * as LocalReads from "./LocalReads.ts"
import type { Retrying } from "./Retries.ts"
import { SeenDigests } from "./SeenDigests.ts"
import { type SyncError, syncError, within } from "./SyncError.ts"
import type { StoredChunk, SyncTarget, TargetWriter, WantingArchive } from "./SyncTarget.ts"
import type { RateLimit } from "./TransferRates.ts"
import type { TransferWindow } from "./TransferWindow.ts"

/** An index whose chunks are wanted, and where they come from. */
export interface IndexTransfer {
  readonly index: ChunkIndex
  /** Whose index it is, or is to be a part of. */
  readonly archive: WantingArchive
  /** What the manifest says of its chunks. */
  readonly encrypted: boolean
  readonly chunk: (digest: Digest.Digest) => Effect.Effect<Uint8Array, SyncError>
  /** Told once for each digest that this sync had not seen before. */
  readonly onChunk: (stored: StoredChunk) => void
}

export interface ChunkTransfer {
  readonly bring: (transfer: IndexTransfer) => Effect.Effect<void, SyncError>
  /** Looks once more whether everything is there; what somebody has removed or condemned meanwhile is brought again. */
  readonly prove: (transfers: ReadonlyArray<IndexTransfer>) => Effect.Effect<void, SyncError>
  /** How many different digests were seen. */
  readonly seenCount: () => number
}

export interface ChunkTransferParts {
  readonly writer: Pick<TargetWriter, "claim" | "store">
  readonly target: Pick<SyncTarget["Service"], "findAbsent">
  readonly window: TransferWindow
  readonly rateIn: RateLimit
  readonly rateOut: RateLimit
  readonly retrying: Retrying
  /** Chunks of one index at a time. */
  readonly concurrency: number
}

/** Looked at, and claimed, in one go. */
const batchCount = 1024

/** Of one index, in its order; digests that were not seen yet, each once. */
interface Batch {
  readonly digests: Uint8Array
  /** Where in the index each of them stands. */
  readonly chunks: ReadonlyArray<number>
}

const collect = (index: ChunkIndex, from: number, seen: SeenDigests): Batch => {
  const until = Math.min(index.count, from + batchCount)
  const here = new DigestTable(batchCount)
  const chunks: Array<number> = []
  const digests = new Uint8Array((until - from) * Digest.lengthBytes)
  for (let chunk = from; chunk < until; chunk++) {
    const offset = index.digestOffset(chunk)
    if (seen.has(index.entries, offset) || !here.add(index.entries, offset)) continue
    digests.set(index.digestBytes(chunk), chunks.length * Digest.lengthBytes)
    chunks.push(chunk)
  }
  return { digests: digests.subarray(0, chunks.length * Digest.lengthBytes), chunks }
}

const claimedChunk: StoredChunk = { outcome: "present", encodedBytes: 0 }

/** Every different digest of these indexes, 32 bytes each. */
const digestsOf = (transfers: ReadonlyArray<IndexTransfer>): Uint8Array => {
  const all = new DigestTable()
  for (const { index } of transfers) {
    for (let chunk = 0; chunk < index.count; chunk++) all.add(index.entries, index.digestOffset(chunk))
  }
  return all.toBytes()
}

const nothing: Batch = { digests: new Uint8Array(0), chunks: [] }

export const make = (parts: ChunkTransferParts): Effect.Effect<ChunkTransfer> =>
  Effect.gen(function* () {
    const { concurrency, rateIn, rateOut, retrying, target, window, writer } = parts
    const entropy = yield* Entropy
    const seen = new SeenDigests(Buffer.from(entropy(4)).readUInt32LE())
    const flights = new Map<Digest.Digest, Deferred.Deferred<void>>()

    const isLimited = rateIn.isLimited || rateOut.isLimited

    const store = ({ archive, chunk, encrypted, index, onChunk }: IndexTransfer, number: number) => {
      const digest = index.digest(number)
      const sizeBytes = index.end(number) - index.start(number)
      const read = chunk(digest)
      const file = isLimited ? undefined : LocalReads.fileOf(read)
      const fetch = rateIn
        .incoming(encodedSizeMax(sizeBytes))(read)
        .pipe(Effect.tap((blob) => rateOut.outgoing(blob.length)))
      return writer.store({ digest, sizeBytes, encrypted, fetch, file, archive }).pipe(
        within({ side: "target" }),
        window.within(encodedSizeMax(sizeBytes)),
        retrying,
        Effect.map((stored) => {
          seen.add(index.entries, index.digestOffset(number))
          onChunk(stored)
        })
      )
    }

    const transfer = (wanted: IndexTransfer, number: number): Effect.Effect<void, SyncError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.suspend(() => {
          if (seen.has(wanted.index.entries, wanted.index.digestOffset(number))) return Effect.void
          const digest = wanted.index.digest(number)
          const flight = flights.get(digest)
          if (flight !== undefined) {
            return restore(Effect.andThen(Deferred.await(flight), transfer(wanted, number)))
          }
          const landing = Deferred.makeUnsafe<void>()
          flights.set(digest, landing)
          const land = Effect.sync(() => {
            flights.delete(digest)
            Deferred.doneUnsafe(landing, Exit.void)
          })
          return Effect.ensuring(restore(store(wanted, number)), land)
        })
      )

    /** What is left to be transferred of a batch. */
    const claim = ({ index, onChunk }: IndexTransfer, { chunks, digests }: Batch) =>
      Effect.gen(function* () {
        if (chunks.length === 0) return []
        const absent = new Set(yield* retrying(within({ side: "target" })(writer.claim(digests))))
        return chunks.filter((chunk, place) => {
          if (absent.has(place)) return true
          // Somebody else may have seen it while this was asked.
          if (seen.add(index.entries, index.digestOffset(chunk))) onChunk(claimedChunk)
          return false
        })
      })

    const claimFrom = (wanted: IndexTransfer, from: number) =>
      Effect.suspend(() =>
        claim(wanted, from < wanted.index.count ? collect(wanted.index, from, seen) : nothing)
      )

    /** While the chunks of one batch are under way the next one is claimed. */
    const bring = (wanted: IndexTransfer): Effect.Effect<void, SyncError> =>
      Effect.gen(function* () {
        let absent = yield* claimFrom(wanted, 0)
        for (let next = batchCount; next < wanted.index.count + batchCount; next += batchCount) {
          const transfers = Effect.forEach(absent, (number) => transfer(wanted, number), {
            concurrency,
            discard: true
          })
          const [, following] = yield* Effect.all([transfers, claimFrom(wanted, next)], {
            concurrency: concurrency === 1 ? 1 : 2
          })
          absent = following
        }
      })

    const absentAmong = (transfers: ReadonlyArray<IndexTransfer>) =>
      Effect.gen(function* () {
        const digests = digestsOf(transfers)
        const absent = yield* retrying(within({ side: "target" })(target.findAbsent(digests)))
        return absent.map((number) =>
          digests.subarray(number * Digest.lengthBytes).slice(0, Digest.lengthBytes)
        )
      })

    const prove = (transfers: ReadonlyArray<IndexTransfer>): Effect.Effect<void, SyncError> =>
      Effect.gen(function* () {
        const gone = yield* absentAmong(transfers)
        if (gone.length === 0) return
        for (const digest of gone) seen.delete(digest)
        yield* Effect.forEach(transfers, bring, { discard: true })
        const [first, ...others] = yield* absentAmong(transfers)
        if (first === undefined) return
        const more = others.length === 0 ? "" : ` and ${others.length} more`
        const detail = `chunk ${Digest.fromBytes(first)}${more} vanished while this sync ran: who removes chunks?`
        return yield* syncError("Failed", detail, { side: "target" })
      })

    return { bring, prove, seenCount: () => seen.size }
  })
