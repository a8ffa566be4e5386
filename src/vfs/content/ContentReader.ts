/**
 * ContentReader: the bytes of one archive that is stored as chunks, wherever they are asked for.
 *
 * A read that lies in one chunk, and that chunk is here, costs next to nothing: it is answered at once with a view of
 * the chunk. Every other read fetches the chunks it needs and no others; when it goes on where another one ended, the
 * next chunks are on their way as well (`Streams`, `Window`).
 *
 * Bytes are lent: to a function that is called once at most and keeps no view of them, for their memory is used again.
 * `read` and `look` answer copies.
 *
 * Invariants: what is answered is what the index names; a read that is interrupted takes along the fetches that only it
 * waited for; reads do not wait for each other, but for room.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChunkIndex } from "../../format/ChunkIndex.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import type { Seek } from "../Vfs.ts"
import { vfsError, type VfsError } from "../VfsError.ts"
import type { DecodedChunks } from "./DecodedChunks.ts"
import * as Holes from "./Holes.ts"
import { RecentChunks } from "./RecentChunks.ts"
import { Scratch } from "./Scratch.ts"
import { type Stream, Streams } from "./Streams.ts"
import * as Waiting from "./Waiting.ts"
import { Window } from "./Window.ts"

export interface ContentOptions {
  /** Snapshot and archive, for messages. */
  readonly subject: string
  /** For how long reads wait for a store that cannot be reached. Default 60. */
  readonly waitSeconds?: number
}

export interface ContentReader {
  readonly sizeBytes: number
  /**
   * What `use` makes of exactly `lengthBytes` bytes from `offset` on, which are lent to it. What is read in order is
   * fetched ahead; not behind `contentEnd`, where the file ends that the bytes belong to, until several files were read
   * in order.
   */
  readonly lend: <A>(
    offset: number,
    lengthBytes: number,
    contentEnd: number,
    use: (bytes: Uint8Array) => A
  ) => Effect.Effect<A, VfsError>
  /**
   * The same where it takes no waiting and begins no fetch; false when it does, and then `use` was not called. One
   * synchronous call: a small read from memory costs a few microseconds.
   */
  readonly lendNow: (
    offset: number,
    lengthBytes: number,
    contentEnd: number,
    use: (bytes: Uint8Array) => void
  ) => boolean
  /** The same bytes as a copy. `contentEnd` is the archive's by default. */
  readonly read: (
    offset: number,
    lengthBytes: number,
    contentEnd?: number
  ) => Effect.Effect<Uint8Array, VfsError>
  /** The same for what is looked up here and there, like an archive's metadata: nothing is fetched ahead. */
  readonly lendLook: <A>(
    offset: number,
    lengthBytes: number,
    use: (bytes: Uint8Array) => A
  ) => Effect.Effect<A, VfsError>
  /** As `lendNow`, of what is looked up. */
  readonly lendLookNow: (offset: number, lengthBytes: number, use: (bytes: Uint8Array) => void) => boolean
  readonly look: (offset: number, lengthBytes: number) => Effect.Effect<Uint8Array, VfsError>
  /**
   * Where from `offset` on the next data or the next hole begins: a fixed index's chunks of zeros are holes, and the
   * end counts as one. Undefined when there is none, or `offset` is not in the archive.
   */
  readonly seek: (offset: number, wanted: Seek) => Effect.Effect<number | undefined>
  /** Of the archive, without its holes. */
  readonly dataBytes: Effect.Effect<number>
}

const defaultWaitSeconds = 60

const nothing = new Uint8Array(0)

export const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

type Use<A> = (bytes: Uint8Array) => A

/** One read: a range, the chunks it lies in, and the stream it belongs to, if any. */
interface Range {
  readonly offset: number
  readonly end: number
  readonly first: number
  readonly last: number
  readonly stream: Stream | undefined
}

/** The bytes of one chunk's data that lie in the range. */
const pieceOf = (index: ChunkIndex, chunk: number, data: Uint8Array, { end, offset }: Range): Uint8Array => {
  const start = index.start(chunk)
  return data.subarray(Math.max(offset - start, 0), end - start)
}

const makeRead = (
  decoded: DecodedChunks,
  index: ChunkIndex,
  crypt: CryptConfig | undefined,
  holes: Holes.Holes,
  waiting: ReturnType<typeof Waiting.make>
) => {
  const recent = new RecentChunks(decoded, index, crypt)
  const scratch = new Scratch()

  const isNewUse = ({ stream }: Range, chunk: number) => stream === undefined || stream.window.uses(chunk)

  /** What is here already. */
  const recall = (range: Range, chunk: number): Uint8Array | undefined => {
    const known = recent.find(chunk)
    if (known?.data === undefined) return undefined
    decoded.touch(known, isNewUse(range, chunk))
    return pieceOf(index, chunk, known.data, range)
  }

  const fetch = <A>(range: Range, chunk: number, use: Use<A>): Effect.Effect<A, VfsError> => {
    const [start, end] = [index.start(chunk), index.end(chunk)]
    if (holes.isHole(chunk)) {
      return Effect.succeed(use(Holes.zeros(Math.min(range.end, end) - Math.max(range.offset, start))))
    }
    const wanted = { digest: index.digest(chunk), sizeBytes: end - start, crypt }
    const usePiece = (data: Uint8Array) => use(pieceOf(index, chunk, data, range))
    return waiting(decoded.lend(wanted, usePiece, isNewUse(range, chunk)))
  }

  /** What is here comes at once, and the rest as it can. */
  const readSeveral = <A>(range: Range, use: Use<A>): Effect.Effect<A, VfsError> =>
    Effect.suspend(() => {
      const result = scratch.take(range.end - range.offset)
      const missing: Array<number> = []
      const put = (chunk: number, piece: Uint8Array): void =>
        result.set(piece, Math.max(index.start(chunk) - range.offset, 0))
      for (let chunk = range.first; chunk <= range.last; chunk++) {
        const piece = recall(range, chunk)
        if (piece === undefined) missing.push(chunk)
        else put(chunk, piece)
      }
      const fetchOne = (chunk: number) => fetch(range, chunk, (piece) => put(chunk, piece))
      return Effect.forEach(missing, fetchOne, { concurrency: decoded.parallelism + 1, discard: true }).pipe(
        Effect.map(() => use(result)),
        Effect.ensuring(Effect.sync(() => scratch.giveBack(result)))
      )
    })

  const isHere = (chunk: number): boolean => recent.find(chunk) !== undefined

  return { recall, fetch, readSeveral, isHere }
}

export const make = (
  decoded: DecodedChunks,
  index: ChunkIndex,
  crypt: CryptConfig | undefined,
  options: ContentOptions
): Effect.Effect<ContentReader, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const { subject, waitSeconds = defaultWaitSeconds } = options
    const { sizeBytes } = index
    const holes = Holes.make(decoded, index, crypt)
    const waiting = Waiting.make(decoded, { subject, limitSeconds: waitSeconds })
    const { fetch, isHere, readSeveral, recall } = makeRead(decoded, index, crypt, holes, waiting)
    const streams = new Streams(sizeBytes, () => new Window({ decoded, index, crypt, holes }))
    yield* Effect.addFinalizer(() => Effect.sync(() => streams.end()))

    /** Undefined when nothing is to be fetched ahead now. */
    const ahead = ({ first, last, stream }: Range): Effect.Effect<void> | undefined => {
      if (stream === undefined || !stream.isInOrder(last)) return undefined
      stream.window.hasRead = true
      if (stream.window.isFilled(last)) return undefined
      return stream.window.fill(first, last, stream.expectedEnd(sizeBytes))
    }

    /** What is fetched ahead gets its turn after what is waited for. */
    const fetchAll = <A>(range: Range, use: Use<A>): Effect.Effect<A, VfsError> =>
      Effect.suspend(() => {
        const { first, last, stream } = range
        if (stream?.isInOrder(last) === true && !holes.isHole(last) && !isHere(last))
          stream.window.waitsFor(last)
        const fill = ahead(range)
        const begun = fill === undefined ? Effect.void : Effect.forkIn(fill, scope)
        return Effect.andThen(begun, first === last ? fetch(range, first, use) : readSeveral(range, use))
      })

    const readRange = <A>(range: Range, use: Use<A>): Effect.Effect<A, VfsError> => {
      const piece = range.first === range.last ? recall(range, range.first) : undefined
      if (piece === undefined) return Effect.andThen(holes.prepare, fetchAll(range, use))
      const used = use(piece)
      const fill = ahead(range)
      return fill === undefined ? Effect.succeed(used) : Effect.as(fill, used)
    }

    const within = <A>(
      offset: number,
      lengthBytes: number,
      streamAt: ((end: number, first: number) => Stream) | undefined,
      use: Use<A>
    ): Effect.Effect<A, VfsError> =>
      Effect.suspend(() => {
        const end = offset + lengthBytes
        if (!(offset >= 0 && lengthBytes >= 0 && end <= sizeBytes)) {
          const detail = `${lengthBytes} bytes at ${offset} lie outside of its ${sizeBytes} bytes`
          return Effect.fail(vfsError("Damaged", subject, detail))
        }
        if (lengthBytes === 0) return Effect.succeed(use(nothing))
        const first = index.find(offset)
        const last = end <= index.end(first) ? first : index.find(end - 1)
        return readRange({ offset, end, first, last, stream: streamAt?.(end, first) }, use)
      })

    const lend: ContentReader["lend"] = (offset, lengthBytes, contentEnd, use) =>
      within(offset, lengthBytes, (end, first) => streams.follow(offset, end, contentEnd, first), use)

    const lendNow: ContentReader["lendNow"] = (offset, lengthBytes, contentEnd, use) => {
      const end = offset + lengthBytes
      if (!(offset >= 0 && lengthBytes > 0 && end <= sizeBytes)) return false
      const chunk = index.find(offset)
      if (end > index.end(chunk) || !isHere(chunk)) return false
      const stream = streams.follow(offset, end, contentEnd, chunk)
      if (stream.isInOrder(chunk)) {
        if (!stream.window.isFilled(chunk)) return false
        stream.window.hasRead = true
      }
      const piece = recall({ offset, end, first: chunk, last: chunk, stream }, chunk)
      if (piece === undefined) return false
      use(piece)
      return true
    }

    const lendLookNow: ContentReader["lendLookNow"] = (offset, lengthBytes, use) => {
      const end = offset + lengthBytes
      if (!(offset >= 0 && lengthBytes > 0 && end <= sizeBytes)) return false
      const chunk = index.find(offset)
      if (end > index.end(chunk)) return false
      const piece = recall({ offset, end, first: chunk, last: chunk, stream: undefined }, chunk)
      if (piece !== undefined) use(piece)
      return piece !== undefined
    }

    return {
      sizeBytes,
      lend,
      lendNow,
      lendLookNow,
      read: (offset, lengthBytes, contentEnd = sizeBytes) => lend(offset, lengthBytes, contentEnd, copyOf),
      lendLook: (offset, lengthBytes, use) => within(offset, lengthBytes, undefined, use),
      look: (offset, lengthBytes) => within(offset, lengthBytes, undefined, copyOf),
      seek: holes.seek,
      dataBytes: holes.dataBytes
    }
  })
