/**
 * Ingest: the hot path of every backup. Takes the bytes of one archive, cuts them into chunks, has them hashed, and
 * has every chunk that is not known yet stored, while the next one is being filled.
 *
 * Bytes are read straight into a slot of shared memory and scanned there while they are hot in the cache. Worker
 * threads hash a finished chunk in its slot, and compress and write it from there. The number of slots bounds
 * memory and how far reading runs ahead; a store that takes longer than encoding does may let go of a slot early, and
 * bounds what it keeps instead.
 *
 * Invariants: chunks are announced in the order of the archive, whichever is hashed first; a slot is not touched
 * between handing it over and its release; `end` returns only when everything handed over is stored; the first
 * failure stops all.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
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
  /** The digest that names a chunk of this content; `data` stays as it is until this ends. */
  readonly digest: (data: Uint8Array) => Effect.Effect<Uint8Array>
  /** Every chunk in order, before it is stored. True when it is known and need not be stored. */
  readonly announce: (digest: Uint8Array, sizeBytes: number) => boolean
  /**
   * Stores a chunk; `data` stays as it is until this ends or has run `letGo`, and the margins around it are free to be
   * used.
   */
  readonly store: (digest: Uint8Array, data: Uint8Array, letGo: Effect.Effect<void>) => Effect.Effect<void, E>
}

export interface Ingest<E> {
  /** Where the next bytes go: room for at most `blockBytes`. */
  readonly space: () => Uint8Array
  /** Takes the first `count` bytes of the space. */
  readonly commit: (count: number) => Effect.Effect<void, E>
  /** Copies bytes that came from elsewhere. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  /** Ends the chunk in progress here, whatever its size; all that was taken so far is announced, nothing is begun. */
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
}

/** A chunk that was cut and not announced yet. */
interface Cut {
  readonly lengthBytes: number
  digest: Uint8Array | undefined
  /** Whether it is known, as soon as it was announced. */
  readonly known: Deferred.Deferred<boolean>
}

export const make = <E>(options: IngestOptions<E>): Effect.Effect<Ingest<E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { scanner, chunker, slotCount, digest, announce, store } = options
    const { bytes } = scanner
    const pool = yield* SlotPool.make(bytes, scanner.dataOffset, slotBytes(chunker.maximumBytes), slotCount)
    const storing = yield* FiberSet.make<void, E>()
    const current: Current = { slot: yield* pool.acquire, filled: 0 }
    const cuts: Array<Cut> = []
    let scratch = new Uint8Array(0)

    /** Chunks handed over and not yet known to be stored. An index must never name one that is not. */
    let unstored = 0

    /** Announces what has its digest, up to the first chunk that has not: they must come in order. */
    const announceReady = (): void => {
      for (let [cut] = cuts; cut?.digest !== undefined; [cut] = cuts) {
        cuts.shift()
        Deferred.doneUnsafe(cut.known, Effect.succeed(announce(cut.digest, cut.lengthBytes)))
      }
    }

    const process = (cut: Cut, data: Uint8Array, letGo: Effect.Effect<void>): Effect.Effect<void, E> =>
      Effect.gen(function* () {
        const found = yield* digest(data)
        cut.digest = found
        announceReady()
        if (!(yield* Deferred.await(cut.known))) yield* store(found, data, letGo)
        unstored -= 1
      })

    /** A failed chunk ends the backup at once. One that failed earlier wins over a wait that is over at once. */
    const orFirstFailure = <A>(wait: Effect.Effect<A>): Effect.Effect<A, E> =>
      Effect.raceFirst(Effect.andThen(FiberSet.join(storing), Effect.never), wait)

    /** Copies bytes that do not belong to a chunk out of its slot, before that is in other hands. */
    const aside = (start: number, end: number): Uint8Array => {
      if (scratch.length < end - start) scratch = new Uint8Array(end - start)
      scratch.set(bytes.subarray(start, end))
      return scratch.subarray(0, end - start)
    }

    /** Hands the first `lengthBytes` of the slot over, and goes on with what follows them in a free one. */
    const handOver = (lengthBytes: number): Effect.Effect<void, E> =>
      Effect.gen(function* () {
        const { slot } = current
        const cut: Cut = { lengthBytes, digest: undefined, known: Deferred.makeUnsafe() }
        cuts.push(cut)
        unstored += 1
        const letGo = releaseOnce(pool, slot)
        const task = Effect.ensuring(process(cut, pool.view(slot, lengthBytes), letGo), letGo)
        const rest = aside(slot.offset + lengthBytes, slot.offset + current.filled)
        yield* FiberSet.run(storing, task)
        current.slot = yield* orFirstFailure(pool.acquire)
        bytes.set(rest, current.slot.offset)
        current.filled = rest.length
      })

    const advance = (isEnd: boolean): Effect.Effect<void, E> =>
      Effect.suspend(() => {
        const length = current.filled === 0 ? 0 : chunker.next(current.slot.offset, current.filled, isEnd)
        return length > 0 ? Effect.andThen(handOver(length), advance(isEnd)) : Effect.void
      })

    /** The last cut is announced last. */
    const allAnnounced: Effect.Effect<void, E> = Effect.suspend(() => {
      const last = cuts.at(-1)
      return last === undefined ? Effect.void : Effect.asVoid(orFirstFailure(Deferred.await(last.known)))
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
      endChunk: Effect.andThen(advance(true), allAnnounced),
      end: Effect.gen(function* () {
        yield* advance(true)
        yield* orFirstFailure(FiberSet.awaitEmpty(storing))
        yield* orFirstFailure(Effect.suspend(() => (unstored === 0 ? Effect.void : Effect.die(lostChunk))))
      })
    }
  })

/** However often it is run. */
const releaseOnce = (pool: SlotPool.SlotPool, slot: SlotPool.Slot): Effect.Effect<void> => {
  let isHeld = true
  return Effect.suspend(() => {
    if (!isHeld) return Effect.void
    isHeld = false
    return pool.release(slot)
  })
}

const lostChunk = new Error("a chunk got lost on its way into the store")

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
