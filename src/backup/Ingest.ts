/**
 * Ingest: the hot path of every backup. Takes the bytes of one archive, cuts them into chunks, hashes them, and hands
 * every chunk that is not known yet to be stored, while the next one is being filled.
 *
 * Bytes are read straight into a slot of shared memory, scanned and hashed there while they are hot in the
 * cache, and compressed and written from there by worker threads. The number of slots bounds memory and how far
 * reading runs ahead.
 *
 * Invariants: chunks are announced in the order of the archive; a slot is not touched between handing it over and its
 * release; `end` returns only when everything handed over is stored; the first failure stops all.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import { createHash, type Hash } from "node:crypto"
import type { Scanner } from "../chunking/Scanner.ts"
import * as SlotPool from "../platform/SlotPool.ts"
import type { ByteSource } from "./ByteSource.ts"

/** What cuts: dynamic, payload and fixed chunkers look alike from here. */
export interface Chunker {
  readonly maximumBytes: number
  readonly next: (start: number, available: number, isEnd: boolean) => number
}

export interface IngestOptions<E> {
  readonly scanner: Scanner
  readonly chunker: Chunker
  readonly slotCount: number
  /** Appended to the content before hashing: the id key of encrypted backups. */
  readonly digestSuffix: Uint8Array | undefined
  /** Every chunk in order, before it is stored. True when it is known and need not be stored. */
  readonly announce: (digest: Uint8Array, sizeBytes: number) => boolean
  /** Stores a chunk; `data` stays as it is until this ends, and the margins around it are free to be used. */
  readonly store: (digest: Uint8Array, data: Uint8Array) => Effect.Effect<void, E>
}

export interface Ingest<E> {
  /** Where the next bytes go: room for at most `blockBytes`. */
  readonly space: () => Uint8Array
  /** Takes the first `count` bytes of the space. */
  readonly commit: (count: number) => Effect.Effect<void, E>
  /** Copies bytes that came from elsewhere. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  /** Ends the chunk in progress here, whatever its size: what was taken so far is announced, nothing is begun. */
  readonly endChunk: Effect.Effect<void, E>
  /** Everything was given: stores the rest and waits until all is stored. */
  readonly end: Effect.Effect<void, E>
}

/** Bytes taken in one step: large enough to make steps cheap, small enough to stay in the second-level cache. */
export const blockBytes = 512 * 1024

const pageBytes = 64 * 1024

/** Memory that `slotCount` slots for chunks of that size take. */
export const memoryBytes = (maximumChunkBytes: number, slotCount: number): number =>
  slotCount * slotBytes(maximumChunkBytes)

/** A multiple of the page, as is the room for margins, so that every slot is aligned alike. */
const slotBytes = (maximumChunkBytes: number): number => maximumChunkBytes + blockBytes + pageBytes

interface Current {
  slot: SlotPool.Slot
  filled: number
  hashed: number
  hash: Hash
}

export const make = <E>(options: IngestOptions<E>): Effect.Effect<Ingest<E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { scanner, chunker, slotCount, digestSuffix, announce, store } = options
    const { bytes } = scanner
    const pool = yield* SlotPool.make(bytes, scanner.dataOffset, slotBytes(chunker.maximumBytes), slotCount)
    const storing = yield* FiberSet.make<void, E>()
    const current: Current = { slot: yield* pool.acquire, filled: 0, hashed: 0, hash: createHash("sha256") }

    /** Chunks handed over and not yet known to be stored. An index must never name one that is not. */
    let unstored = 0

    const hashTo = (length: number): void => {
      const { slot, hashed } = current
      if (length > hashed) current.hash.update(bytes.subarray(slot.offset + hashed, slot.offset + length))
      current.hashed = length
    }

    const finishHash = (length: number): Uint8Array => {
      hashTo(length)
      if (digestSuffix !== undefined) current.hash.update(digestSuffix)
      const digest = current.hash.digest()
      current.hash = createHash("sha256")
      current.hashed = 0
      return digest
    }

    /** Drops a chunk of `length` from the slot and moves what follows it to the front of `slot`. */
    const continueIn = (slot: SlotPool.Slot, length: number): void => {
      const from = current.slot.offset
      bytes.copyWithin(slot.offset, from + length, from + current.filled)
      current.slot = slot
      current.filled -= length
    }

    const handOver = (length: number, digest: Uint8Array): Effect.Effect<void, E> =>
      Effect.gen(function* () {
        const full = current.slot
        const task = store(digest, pool.view(full, length)).pipe(
          Effect.tap(() => Effect.sync(() => (unstored -= 1))),
          Effect.ensuring(pool.release(full))
        )
        continueIn(yield* orFirstFailure(pool.acquire), length)
        unstored += 1
        yield* FiberSet.run(storing, task)
      })

    /** A failed chunk ends the backup at once. One that failed earlier wins over a wait that is over at once. */
    const orFirstFailure = <A>(wait: Effect.Effect<A>): Effect.Effect<A, E> =>
      Effect.raceFirst(Effect.andThen(FiberSet.join(storing), Effect.never), wait)

    const cut = (length: number): Effect.Effect<void, E> => {
      const digest = finishHash(length)
      if (!announce(digest, length)) return handOver(length, digest)
      continueIn(current.slot, length)
      return Effect.void
    }

    const advance = (isEnd: boolean): Effect.Effect<void, E> =>
      Effect.suspend(() => {
        const length = current.filled === 0 ? 0 : chunker.next(current.slot.offset, current.filled, isEnd)
        if (length > 0) return Effect.andThen(cut(length), advance(isEnd))
        hashTo(current.filled)
        return Effect.void
      })

    const space = (): Uint8Array => {
      const start = current.slot.offset + current.filled
      return bytes.subarray(start, start + blockBytes)
    }

    const commit = (count: number): Effect.Effect<void, E> =>
      Effect.suspend(() => {
        current.filled += count
        return advance(false)
      })

    return {
      space,
      commit,
      write: (input) =>
        Effect.gen(function* () {
          for (let from = 0; from < input.length; from += blockBytes) {
            const piece = input.subarray(from, from + blockBytes)
            space().set(piece)
            yield* commit(piece.length)
          }
        }),
      endChunk: advance(true),
      end: Effect.gen(function* () {
        yield* advance(true)
        yield* orFirstFailure(FiberSet.awaitEmpty(storing))
        yield* orFirstFailure(Effect.suspend(() => (unstored === 0 ? Effect.void : Effect.die(lostChunk))))
      })
    }
  })

const lostChunk = new Error("a chunk got lost on its way into the store")

/** The digest of a whole chunk at once. */
export const digestOf = (data: Uint8Array, suffix: Uint8Array | undefined): Uint8Array => {
  const hash = createHash("sha256").update(data)
  return (suffix === undefined ? hash : hash.update(suffix)).digest()
}

export interface DrainHooks<E> {
  /** Between reading a block and cutting it: the place to suggest boundaries. */
  readonly beforeCut?: () => void
  readonly afterBlock?: (count: number) => Effect.Effect<void, E>
}

/** Pulls a source to its end. Other fibers, and the answers of worker threads, get their turn between blocks. */
export const drain = <E, F>(
  source: ByteSource<F>,
  ingest: Ingest<E>,
  hooks: DrainHooks<E> = {}
): Effect.Effect<void, E | F> =>
  Effect.gen(function* () {
    for (;;) {
      const count = yield* source.read(ingest.space())
      if (count === 0) return
      hooks.beforeCut?.()
      yield* ingest.commit(count)
      if (hooks.afterBlock !== undefined) yield* hooks.afterBlock(count)
      yield* Effect.yieldNow
    }
  })
