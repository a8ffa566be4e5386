/**
 * ChunkReading: the chunks of a datastore in a bucket as readers get them: from the cache folder where their content is
 * there, else from the bucket, from where one request serves all who want a chunk at once; and as a verification sees
 * them, always from the bucket.
 *
 * What was fetched and proven goes into the cache folder. A name in there says that the object exists, so it is not
 * enough that it did when the answer came: a sweep may have deleted it since. So:
 * - where a file or marker is there, the chunk is fetched without the guard; under it content takes the place of what
 *   is still there, and of nothing else, for a sweep takes the name away with the object;
 * - where nothing is known, the guard is held from before the request until the content is in its place.
 *
 * Invariants: nothing that goes wrong with the cache folder fails a read; content that was read from there and is
 * corrupt only costs a request; a chunk is `Missing` only when the server says so.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import type { Digest } from "../../model/Digest.ts"
import { isNotFound, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { ChunkCodec, ChunkError, verdictOf } from "../../platform/ChunkCodec.ts"
import { largestBlobBytes, type Verdict } from "../../platform/chunkContent.ts"
import { Files, type FileStat } from "../../platform/Files.ts"
import type { WantedChunk } from "../ChunkStore.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import type { StorageError } from "../StorageError.ts"
import type { ChunkCache } from "./ChunkCache.ts"
import type { ChunkRepair } from "./ChunkRepair.ts"
import type { LocalChunks } from "./LocalChunks.ts"
import * as SharedChunk from "./SharedChunk.ts"
import * as SingleFlight from "./SingleFlight.ts"
import * as StoreBucket from "./StoreBucket.ts"

export interface ChunkReading {
  readonly read: (
    chunk: WantedChunk,
    target?: Uint8Array
  ) => Effect.Effect<Uint8Array, ChunkError | StorageError>
  readonly readEncoded: (digest: Digest) => Effect.Effect<Uint8Array, StorageError>
  readonly check: (chunk: WantedChunk) => Effect.Effect<Verdict>
}

export interface ChunkReadingParts {
  readonly bucket: StoreBucket.StoreBucket
  readonly local: LocalChunks
  readonly guards: DigestGuards["Service"]
  readonly cache: Pick<ChunkCache, "keepsContent" | "added" | "used">
  readonly repair: Pick<ChunkRepair, "mend">
  /** Whether what is read goes into the cache. */
  readonly keeps: boolean
}

type FetchError = ChunkError | ObjectStoreError

/** What the cache folder said before a chunk was fetched. */
interface Fetch {
  readonly digest: Digest
  readonly crypt: CryptConfig | undefined
  /** A file or marker is there. */
  readonly isKnown: boolean
  /** Its content is no good. */
  readonly isCorrupt: boolean
  /** Where it is wanted, and whether it may be put there when it has come (see `SingleFlight`). */
  readonly target: Uint8Array | undefined
  readonly borrow: () => boolean
}

interface Fetched extends SharedChunk.SharedChunk {
  /** Of the blob, where it went into the cache. */
  readonly keptBytes: number
}

export const make = (
  parts: ChunkReadingParts
): Effect.Effect<ChunkReading, never, Files | ChunkCodec | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* Files
    const codec = yield* ChunkCodec
    const { bucket, cache, guards, local, repair } = parts
    const flights = yield* SingleFlight.make<Fetched, FetchError>()

    const requests = yield* Semaphore.make(StoreBucket.requestsInFlight)
    const get = (digest: Digest) =>
      bucket.objects.get(StoreBucket.keyOf(bucket, { kind: "chunk", digest }), largestBlobBytes)

    const prove = ({ borrow, crypt, digest, target }: Fetch, blob: Uint8Array) =>
      Effect.suspend(() => {
        const lent = target !== undefined && borrow() ? target : undefined
        const request = { digest, sizeBytes: undefined, crypt, consumes: true }
        const decoded = codec.decode(blob, lent === undefined ? request : { ...request, target: lent })
        return Effect.map(decoded, (data) => ({ data, isLent: lent !== undefined }))
      })

    const fetchBlob = ({ digest }: Fetch): Effect.Effect<Uint8Array, FetchError> =>
      Effect.mapError(requests.withPermit(get(digest)), (error) => {
        if (isNotFound(error)) return new ChunkError({ digest, reason: "Missing", detail: "" })
        return error.reason === "TooLarge"
          ? new ChunkError({ digest, reason: "Corrupt", detail: error.message })
          : error
      })

    /** Under the guard. The blob is written before it is proven, for proving uses it up, and named after. */
    const place = ({ digest, isCorrupt, isKnown }: Fetch, temporary: string) =>
      Effect.gen(function* () {
        const stat = yield* local.look(digest)
        const isWanted = stat === undefined ? !isKnown : isReplaceable(stat, isCorrupt)
        if (isWanted) yield* local.settle(digest, temporary)
        return isWanted
      }).pipe(Effect.catch(() => Effect.succeed(false)))

    const obtain = (
      fetch: Fetch,
      settled: (temporary: string) => Effect.Effect<boolean>
    ): Effect.Effect<Fetched, FetchError> =>
      Effect.flatMap(fetchBlob(fetch), (blob) => {
        const { length } = blob
        return Effect.acquireUseRelease(
          local.writeBeside(fetch.digest, blob),
          (temporary) =>
            Effect.gen(function* () {
              const shared = yield* prove(fetch, blob)
              const isPlaced = temporary !== undefined && (yield* settled(temporary))
              return { ...shared, keptBytes: isPlaced ? length : 0 }
            }),
          (temporary) => (temporary === undefined ? Effect.void : Effect.ignore(files.unlink(temporary)))
        )
      })

    const withoutKeeping = (fetch: Fetch) =>
      Effect.flatMap(fetchBlob(fetch), (blob) =>
        Effect.map(prove(fetch, blob), (shared) => ({ ...shared, keptBytes: 0 }))
      )

    const guarded = (fetch: Fetch): Effect.Effect<Fetched, FetchError> =>
      guards
        .guard(fetch.digest)(obtain(fetch, (temporary) => place(fetch, temporary)))
        .pipe(
          // The guard itself cannot be had, in a read-only folder for example.
          Effect.catchTag("FilesError", () => withoutKeeping(fetch))
        )

    const unguarded = (fetch: Fetch): Effect.Effect<Fetched, FetchError> =>
      obtain(fetch, (temporary) =>
        guards
          .guard(fetch.digest)(place(fetch, temporary))
          .pipe(Effect.catch(() => Effect.succeed(false)))
      )

    /** Content that is no good and was not replaced would cost every reader twice. */
    const dropCorrupt = ({ digest }: Fetch) =>
      Effect.ignore(
        guards.guard(digest)(
          Effect.flatMap(local.look(digest), (stat) =>
            stat?.kind === "file" && stat.sizeBytes > 0 ? local.mark(digest) : Effect.void
          )
        )
      )

    const fetchOnce = (fetch: Fetch): Effect.Effect<Fetched, FetchError> =>
      Effect.suspend(() => {
        if (!parts.keeps || !cache.keepsContent) return withoutKeeping(fetch)
        return fetch.isKnown ? unguarded(fetch) : guarded(fetch)
      }).pipe(
        Effect.tap(({ keptBytes }) => {
          if (keptBytes > 0) return Effect.ignore(cache.added(keptBytes))
          return fetch.isCorrupt ? dropCorrupt(fetch) : Effect.void
        }),
        // Nothing is known of the chunk any more, so that the next backup stores it.
        Effect.tapErrorTag("ChunkError", ({ reason }) =>
          reason === "Missing" && fetch.isKnown ? Effect.ignore(repair.mend(fetch)) : Effect.void
        )
      )

    /** Who has another key may find another thing. */
    const fromBucket = (
      { crypt, digest, isCorrupt, isKnown }: Omit<Fetch, "target" | "borrow">,
      chunk: WantedChunk,
      target: Uint8Array | undefined
    ) =>
      flights.share(`${digest} ${crypt?.fingerprintText ?? ""}`, {
        fetch: (borrow) => fetchOnce({ digest, crypt, isKnown, isCorrupt, target, borrow }),
        receive: (fetched, claim) => SharedChunk.receive(fetched, chunk, target, claim)
      })

    const read = (chunk: WantedChunk, target?: Uint8Array) =>
      Effect.gen(function* () {
        const { crypt, digest } = chunk
        const stat = yield* local.look(digest).pipe(Effect.catch(() => Effect.succeed(undefined)))
        const fetch = (isCorrupt: boolean) =>
          fromBucket({ digest, crypt, isKnown: stat !== undefined, isCorrupt }, chunk, target)
        if (stat?.kind !== "file" || stat.sizeBytes === 0) return yield* fetch(false)
        const request = { ...chunk, path: local.pathOf(digest), ...(target === undefined ? {} : { target }) }
        return yield* codec.load(request).pipe(
          Effect.tap(() => Effect.ignore(cache.used(digest, stat))),
          // Gone or emptied since, torn, or on a disk that has trouble: the bucket has it.
          Effect.catchIf(
            (error) => error._tag === "FilesError" || error.reason !== "KeyNeeded",
            (error) => fetch(error.reason === "Corrupt")
          )
        )
      })

    /** What a power loss has torn here is not what is stored. */
    const readEncoded = (digest: Digest) =>
      Effect.gen(function* () {
        const kept = yield* files
          .readFile(local.pathOf(digest), largestBlobBytes)
          .pipe(Effect.catch(() => Effect.succeed(new Uint8Array(0))))
        if (kept.length === 0) return yield* get(digest)
        const { state } = yield* codec.judge(kept, { digest, sizeBytes: undefined, crypt: undefined })
        return state === "good" ? kept : yield* get(digest)
      })

    const judge = ({ crypt, digest, sizeBytes }: WantedChunk) =>
      get(digest).pipe(
        Effect.flatMap((blob) => codec.judge(blob, { digest, sizeBytes, crypt, consumes: true })),
        Effect.catch((error) => Effect.succeed(verdictOf(error)))
      )

    const check = (chunk: WantedChunk) =>
      Effect.gen(function* () {
        const verdict = yield* judge(chunk)
        if (verdict.state !== "missing") return verdict
        const isMended = yield* repair.mend(chunk).pipe(Effect.catch(() => Effect.succeed(false)))
        return isMended ? yield* judge(chunk) : verdict
      })

    return { read, readEncoded, check }
  })

/** Markers, and content that is no good, give way to content. */
const isReplaceable = ({ kind, sizeBytes }: FileStat, isCorrupt: boolean): boolean =>
  kind === "file" && (sizeBytes === 0 || isCorrupt)
