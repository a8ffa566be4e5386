/**
 * DecodedChunks: the decoded chunks that all readers of a mount share, within a number of bytes.
 *
 * Whoever wants a chunk gets the one that is here, or waits for the one fetch that is under way (`Fetches`). A fetch
 * needs room before it begins; when all is taken by fetches of others, it waits until one of them has come (`Room`).
 * What stays here, and for how long, is `KeptChunks`' business.
 *
 * What is here is shared and lent: nobody changes it, and nobody keeps any of it beyond the synchronous call in which
 * he got it, for its memory may hold another chunk the moment after.
 *
 * Invariants: of one chunk at most one fetch is under way, and it ends when nobody waits for it any more; a failure is
 * never kept; the chunks here and under way take `maxBytes` at most, and one larger than that is never kept; all ends
 * with the scope.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import type { ReadError } from "../../restore/ArchiveReader.ts"
import type { ChunkStore } from "../../store/ChunkStore.ts"
import { Fetches, otherLength, type SizedChunk } from "./Fetches.ts"
import { type ChunkName, type KeptChunk, KeptChunks, memoryBytes } from "./KeptChunks.ts"
import { ReadersInOrder } from "./ReadersInOrder.ts"
import { Room } from "./Room.ts"

export interface DecodedChunksOptions {
  /** Default 96 MiB. */
  readonly maxBytes?: number
}

/** A chunk that was asked for ahead of its use. */
export interface HeldChunk {
  readonly sizeBytes: number
  readonly isHere: () => boolean
  /** Once. Ends the fetch, unless somebody else waits for it. */
  readonly letGo: () => void
}

export interface DecodedChunks {
  readonly maxBytes: number
  /** How many fetches the store can do at once. */
  readonly parallelism: number
  /**
   * What `use` makes of the chunk, from here or from the store. `use` keeps no view of it. `isNewUse`: not the same use
   * as a moment ago; default true.
   */
  readonly lend: <A>(
    wanted: SizedChunk,
    use: (data: Uint8Array) => A,
    isNewUse?: boolean
  ) => Effect.Effect<A, ReadError>
  /** What is here, without waiting for anything, for this moment. Whoever uses it says so (`touch`). */
  readonly find: (name: ChunkName) => KeptChunk | undefined
  readonly touch: (chunk: KeptChunk, isNewUse: boolean) => void
  /**
   * Fetches a chunk that will be wanted soon, and keeps it until then; undefined when there is no room for that now.
   */
  readonly hold: (wanted: SizedChunk) => Effect.Effect<HeldChunk | undefined>
  /** What all that is held may take, and who holds it. */
  readonly holdBytesMax: number
  readonly readers: ReadersInOrder
  /** The digest of that many zeros. */
  readonly digestOfZeros: (sizeBytes: number, crypt: CryptConfig | undefined) => Effect.Effect<Uint8Array>
  /** False the second time, and when very much was told. */
  readonly isFirstTold: (subject: string) => boolean
  /** Bytes here and bytes on their way. */
  readonly sizes: () => { readonly keptBytes: number; readonly underWayBytes: number }
}

const defaultMaxBytes = 96 * 1024 * 1024

const toldMax = 100_000

/** Digests of nothing but zeros, each computed once. */
const zeroDigests = (chunks: ChunkStore["Service"]): DecodedChunks["digestOfZeros"] => {
  const known = new Map<string, Uint8Array>()
  return (sizeBytes, crypt) =>
    Effect.suspend(() => {
      const name = `${sizeBytes} ${crypt?.fingerprintText ?? ""}`
      const digest = known.get(name)
      if (digest !== undefined) return Effect.succeed(digest)
      // Never written to, so the system gives no memory for it; and shared, so threads need no copy.
      const zeros = new Uint8Array(new SharedArrayBuffer(sizeBytes))
      return Effect.tap(chunks.digest(zeros, crypt), (computed) =>
        Effect.sync(() => known.set(name, computed))
      )
    })
}

export const make = (
  chunks: ChunkStore["Service"],
  options: DecodedChunksOptions = {}
): Effect.Effect<DecodedChunks, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const kept = new KeptChunks(options.maxBytes ?? defaultMaxBytes)
    const readers = new ReadersInOrder(scope)
    const room = new Room(kept, () => readers.dismissOne())
    const fetches = new Fetches(chunks, kept, room, scope)
    const holdBytesMax = Math.floor(kept.maxBytes / 2)
    const told = new Set<string>()

    const touch = (wanted: SizedChunk, isNewUse: boolean): void => {
      const chunk = kept.find(wanted)
      if (chunk !== undefined) kept.touch(chunk, isNewUse)
    }

    const lend: DecodedChunks["lend"] = (wanted, use, isNewUse = true) =>
      Effect.suspend(() => {
        const data = kept.find(wanted)?.data
        if (data !== undefined && data.length !== wanted.sizeBytes) {
          touch(wanted, isNewUse)
          return Effect.fail(otherLength(wanted, data))
        }
        const touchAndUse = (found: Uint8Array) => {
          touch(wanted, isNewUse)
          return use(found)
        }
        return data === undefined
          ? fetches.wait(wanted, touchAndUse)
          : // At once: what is here now may be gone after a pause.
            Effect.succeed(touchAndUse(data))
      })

    const hold = (wanted: SizedChunk): Effect.Effect<HeldChunk | undefined> =>
      Effect.suspend(() => {
        const isHere = kept.find(wanted) !== undefined
        const sizeBytes = memoryBytes(wanted.sizeBytes)
        if (kept.heldBytes + sizeBytes > holdBytesMax || !(isHere || room.hasRoom(sizeBytes))) {
          return Effect.succeed(undefined)
        }
        kept.hold(wanted, sizeBytes)
        const fetching = isHere
          ? Effect.succeed(undefined)
          : Effect.forkIn(
              fetches.wait(wanted, () => undefined),
              scope
            )
        return Effect.map(fetching, (fiber) => ({
          sizeBytes,
          isHere: () => kept.find(wanted) !== undefined,
          letGo: () => {
            fiber?.interruptUnsafe()
            kept.letGo(wanted)
            room.serve()
          }
        }))
      }).pipe(Effect.uninterruptible)

    return {
      maxBytes: kept.maxBytes,
      parallelism: chunks.parallelism,
      lend,
      find: (name) => kept.find(name),
      touch: (chunk, isNewUse) => kept.touch(chunk, isNewUse),
      hold,
      holdBytesMax,
      readers,
      digestOfZeros: zeroDigests(chunks),
      isFirstTold: (subject) => {
        if (told.has(subject) || told.size >= toldMax) return false
        told.add(subject)
        return true
      },
      sizes: () => ({ keptBytes: kept.keptBytes, underWayBytes: kept.underWayBytes })
    }
  })
