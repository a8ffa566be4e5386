/**
 * Prefetch: the chunks of an archive on their way out of a store, in the order of its index, with the next ones already
 * under way while one is being used.
 *
 * A store says how many may be under way (`ChunkStore.parallelism`): a disk needs no more than its threads can decode,
 * a bucket many, for each request waits most of its time. All lie in one `ChunkRoom`, so a restore takes the same
 * memory whatever its size. A chunk that the index names several times within the window is fetched once, and an
 * image's chunks of zeros never are: what is in them is known from their digest.
 *
 * Invariants: pieces come in order, and a failure at the place of its own chunk; memory is used again only when nothing
 * writes into it any more; what is under way ends with the scope.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { type ChunkIndex, largestChunkBytes } from "../format/ChunkIndex.ts"
import type { Digest } from "../model/Digest.ts"
import { ChunkRoom, wholePages } from "../platform/ChunkRoom.ts"
import type { PieceStream } from "./PieceStream.ts"

/** Memory of what is under way, the piece in use included; one chunk that is larger than that has room all the same. */
export const windowBytes = 64 * 1024 * 1024

/** How far it looks for something to fetch, past zeros and what is there: places in the index for each fetch. */
const placesPerFetch = 16

export interface ZeroChunk {
  readonly digest: Digest
  readonly data: Uint8Array
}

export interface PrefetchOptions<E> {
  readonly index: ChunkIndex
  readonly fetch: (chunk: number, target: Uint8Array) => Effect.Effect<Uint8Array, E>
  readonly parallelism: number
  /** Undefined when a chunk of zeros is not known by its digest. */
  readonly zeros: Effect.Effect<ZeroChunk | undefined>
}

/** One fetch, for all places of the window that name the chunk. */
interface Arrival<E> {
  readonly digest: Digest
  readonly target: Uint8Array
  readonly fiber: Fiber.Fiber<Uint8Array, E>
  /** Places that still need it, the one in use included. */
  places: number
}

interface Coming<E> {
  readonly chunk: number
  /** Undefined for zeros. */
  readonly arrival: Arrival<E> | undefined
}

interface Window<E> {
  readonly coming: Array<Coming<E>>
  /** Starts what there is room for. */
  readonly fill: (until: number) => Effect.Effect<void>
  readonly release: (arrival: Arrival<E>) => void
  /** Leaves out what was not begun before `chunk`. */
  readonly jump: (chunk: number) => void
}

const makeWindow = <E>(
  { fetch, index, parallelism }: PrefetchOptions<E>,
  scope: Scope.Scope,
  firstChunk: number,
  zeros: ZeroChunk | undefined
): Window<E> => {
  // One chunk is with the reader, the others are on their way.
  const ahead = Math.min(parallelism + 1, index.count)
  const largestBytes = wholePages(largestChunkBytes(index))
  const room = new ChunkRoom(Math.min(ahead * largestBytes, Math.max(windowBytes, largestBytes)))
  const arrivals = new Map<Digest, Arrival<E>>()
  const coming: Array<Coming<E>> = []
  let nextChunk = firstChunk

  /** False when there is no room for the chunk now. */
  const begin = (chunk: number, digest: Digest, sizeBytes: number) =>
    Effect.suspend(() => {
      const target = room.take(sizeBytes)
      if (target === undefined) return Effect.succeed(false)
      return Effect.map(Effect.forkIn(fetch(chunk, target), scope), (fiber) => {
        const arrival = { digest, target, fiber, places: 1 }
        arrivals.set(digest, arrival)
        coming.push({ chunk, arrival })
        return true
      })
    })

  /** What is known already, or is under way for another place. */
  const join = (chunk: number, digest: Digest, sizeBytes: number): boolean => {
    if (digest === zeros?.digest && sizeBytes === zeros.data.length) {
      coming.push({ chunk, arrival: undefined })
      return true
    }
    const arrival = arrivals.get(digest)
    if (arrival === undefined || arrival.target.length !== sizeBytes) return false
    arrival.places += 1
    coming.push({ chunk, arrival })
    return true
  }

  const fill = (until: number) =>
    Effect.gen(function* () {
      while (coming.length < ahead * placesPerFetch && nextChunk < index.count) {
        if (index.start(nextChunk) >= until) return
        const digest = index.digest(nextChunk)
        const sizeBytes = index.end(nextChunk) - index.start(nextChunk)
        if (!join(nextChunk, digest, sizeBytes)) {
          // Two sizes for one digest: one of them is wrong, and each place shall be told by itself.
          if (arrivals.size >= ahead || arrivals.has(digest)) return
          if (!(yield* begin(nextChunk, digest, sizeBytes))) return
        }
        nextChunk += 1
      }
    })

  const release = (arrival: Arrival<E>): void => {
    arrival.places -= 1
    if (arrival.places > 0) return
    arrivals.delete(arrival.digest)
    room.giveBack(arrival.target)
  }

  const jump = (chunk: number): void => {
    nextChunk = Math.max(nextChunk, chunk)
  }
  return { coming, fill, release, jump }
}

/** The archive's bytes from `from` to `until`. */
export const pieces = <E>(
  options: PrefetchOptions<E>,
  from: number,
  until: number
): Effect.Effect<PieceStream<E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { index } = options
    const firstChunk = from < until ? index.find(from) : index.count
    const zeros = yield* options.zeros
    const window = makeWindow(options, yield* Effect.scope, firstChunk, zeros)
    const { coming } = window
    let position = from
    let held: Arrival<E> | undefined

    const giveBack = Effect.sync(() => {
      if (held !== undefined) window.release(held)
      held = undefined
    })

    const next: Effect.Effect<Uint8Array | undefined, E> = Effect.gen(function* () {
      yield* giveBack
      yield* window.fill(until)
      const first = coming.shift()
      if (first === undefined) return undefined
      held = first.arrival
      const start = index.start(first.chunk)
      const end = index.end(first.chunk)
      const data = first.arrival === undefined ? zeros?.data : yield* Fiber.join(first.arrival.fiber)
      const piece = data?.subarray(Math.max(position, start) - start, Math.min(end, until) - start)
      position = end
      return piece
    })

    /** Chunks that lie entirely before the new position are not waited for, and not fetched if not yet asked for. */
    const skip = (countBytes: number) =>
      Effect.gen(function* () {
        position = Math.min(position + countBytes, until)
        for (let [passed] = coming; passed !== undefined; [passed] = coming) {
          if (index.end(passed.chunk) > position) break
          coming.shift()
          if (passed.arrival === undefined) continue
          if (passed.arrival.places === 1) yield* Fiber.interrupt(passed.arrival.fiber)
          window.release(passed.arrival)
        }
        if (coming.length === 0) window.jump(position < until ? index.find(position) : index.count)
      })

    return { next, skip }
  })
