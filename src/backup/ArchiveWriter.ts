/**
 * ArchiveWriter: one archive of a session on its way into the store: an ingest, the index that grows with it, and its
 * line in the manifest.
 *
 * Invariant: the index is written, and the archive named in the manifest, only after all of its chunks are stored.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeDynamicChunker } from "../chunking/DynamicChunker.ts"
import { makeFixedChunker } from "../chunking/FixedChunker.ts"
import { makeScanner } from "../chunking/makeScanner.ts"
import { makePayloadChunker } from "../chunking/PayloadChunker.ts"
import type { Scanner } from "../chunking/Scanner.ts"
import type { ChunkIndex, EncodedIndex, IndexIdentity } from "../format/ChunkIndex.ts"
import { uuidSizeBytes } from "../format/ChunkIndex.ts"
import { DynamicIndexBuilder } from "../format/DynamicIndex.ts"
import { FixedIndexBuilder } from "../format/FixedIndex.ts"
import type { ManifestFile } from "../format/Manifest.ts"
import type { ArchiveName } from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import { Entropy } from "../platform/Entropy.ts"
import { decodeOrDamaged } from "../store/StoreError.ts"
import * as Ingest from "./Ingest.ts"
import { countStored } from "./SessionStatistics.ts"
import type { ArchiveUpload, Session, SessionFailure } from "./Session.ts"

/** How an archive is cut. */
export type Cutting =
  | { readonly kind: "dynamic"; readonly averageBytes: number }
  /** Like dynamic, with boundaries suggested by the encoder of a split archive. */
  | { readonly kind: "payload"; readonly averageBytes: number }
  | { readonly kind: "fixed"; readonly chunkBytes: number; readonly sizeBytes: number | undefined }

/** Neighbouring chunks of another archive, whose content is to be a part of this one. */
export interface ChunkRange {
  readonly index: ChunkIndex
  readonly first: number
  readonly last: number
}

export const rangeBytes = ({ index, first, last }: ChunkRange): number => index.end(last) - index.start(first)

export interface ArchiveWriter {
  readonly ingest: Ingest.Ingest<SessionFailure>
  /** Suggests where to cut; only for `payload`. */
  readonly suggest: (streamOffset: number) => void
  /** Ends the chunk in progress and adds chunks that the store is known to have; only for `payload`. */
  readonly inject: (chunks: ChunkRange) => Effect.Effect<void, SessionFailure>
  /** Adds `count` whole chunks of zeros without reading, cutting or hashing them; only for `fixed`, between chunks. */
  readonly addZeroChunks: (count: number) => Effect.Effect<void, SessionFailure>
  /** Size so far: bytes of the archive in finished chunks. */
  readonly sizeBytes: () => number
  /** Stores the rest, writes the index and names the archive in the manifest. */
  readonly finish: Effect.Effect<ManifestFile, SessionFailure>
}

/** Four slots keep two threads busy and stay below 70 MiB; a small stream beside a large one does with two. */
const slotCountOf = (maximumBytes: number): number => (maximumBytes < 4 * 1024 * 1024 ? 2 : 5)

interface IndexBuilder {
  readonly add: (digest: Uint8Array, sizeBytes: number) => void
  readonly sizeBytes: () => number
  readonly finish: (identity: IndexIdentity) => EncodedIndex
}

const makeIndexBuilder = (cutting: Cutting): IndexBuilder => {
  if (cutting.kind === "fixed") {
    const { sizeBytes, chunkBytes } = cutting
    const builder = new FixedIndexBuilder({
      chunkSizeBytes: chunkBytes,
      ...(sizeBytes === undefined ? {} : { sizeBytes })
    })
    let end = 0
    return {
      add: (digest, length) => {
        builder.add(end, length, digest)
        end += length
      },
      sizeBytes: () => end,
      finish: (identity) => builder.finish(identity)
    }
  }
  const builder = new DynamicIndexBuilder()
  return {
    add: (digest, length) => builder.add(builder.sizeBytes + length, digest),
    sizeBytes: () => builder.sizeBytes,
    finish: (identity) => builder.finish(identity)
  }
}

interface ArchiveChunker extends Ingest.Chunker {
  readonly suggest: (streamOffset: number) => void
  readonly inject: (sizeBytes: number) => void
}

interface Cutter {
  readonly maximumBytes: number
  readonly make: (scanner: Scanner) => ArchiveChunker
}

/** What chunkers do that cut by content or size alone. */
const unguided = {
  suggest: (): void => undefined,
  inject: (): void => {
    throw new Error("only the payload of a split archive takes chunks of another")
  }
}

const cutterOf = (cutting: Cutting): Cutter => {
  switch (cutting.kind) {
    case "fixed":
      return {
        maximumBytes: cutting.chunkBytes,
        make: () => ({
          maximumBytes: cutting.chunkBytes,
          next: makeFixedChunker(cutting.chunkBytes).next,
          ...unguided
        })
      }
    case "dynamic":
      return {
        maximumBytes: cutting.averageBytes * 4,
        make: (scanner) => {
          const chunker = makeDynamicChunker(scanner, cutting.averageBytes)
          return {
            maximumBytes: chunker.maximumBytes,
            next: (start, available, isEnd) => chunker.next(start, available, isEnd),
            ...unguided
          }
        }
      }
    case "payload":
      return {
        maximumBytes: cutting.averageBytes * 4,
        make: (scanner) => {
          const chunker = makePayloadChunker(scanner, cutting.averageBytes)
          return {
            maximumBytes: chunker.maximumBytes,
            next: (start, available, isEnd) => chunker.next(start, available, isEnd),
            suggest: (offset) => chunker.suggest(offset),
            inject: (sizeBytes) => chunker.inject(sizeBytes)
          }
        }
      }
  }
}

/** Stores one chunk and counts what became of it. */
const storeChunk =
  ({ compress, crypt, statistics }: Session, upload: ArchiveUpload, hasMargins: boolean) =>
  (digestBytes: Uint8Array, data: Uint8Array, letGo: Effect.Effect<void> = Effect.void) => {
    const sizeBytes = data.length
    return upload
      .store({ digest: Digest.fromBytes(digestBytes), data, compress, crypt, hasMargins, letGo })
      .pipe(
        Effect.map(({ duplicate: isDuplicate, encodedSizeBytes: encodedBytes }) =>
          countStored(statistics, { sizeBytes, encodedBytes, isDuplicate })
        )
      )
  }

export const open = (
  session: Session,
  archive: ArchiveName,
  cutting: Cutting
): Effect.Effect<ArchiveWriter, SessionFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { statistics, known } = session
    const entropy = yield* Entropy
    const upload = yield* session.openArchive(
      archive,
      cutting.kind === "fixed" ? cutting.sizeBytes : undefined
    )
    const cutter = cutterOf(cutting)
    const slotCount = slotCountOf(cutter.maximumBytes)
    const scanner = makeScanner(Ingest.memoryBytes(cutter.maximumBytes, slotCount), { shared: true })
    const chunker = cutter.make(scanner)
    const index = makeIndexBuilder(cutting)

    const announce = (digest: Uint8Array, sizeBytes: number): boolean => {
      index.add(digest, sizeBytes)
      statistics.chunks += 1
      statistics.sizeBytes += sizeBytes
      const isNew = known.add(digest)
      upload.append(digest, sizeBytes, isNew)
      if (isNew) return false
      statistics.reusedChunks += 1
      statistics.reusedBytes += sizeBytes
      return true
    }

    const injectNow = ({ index: other, first, last }: ChunkRange): void => {
      for (let chunk = first; chunk <= last; chunk++) {
        const sizeBytes = other.end(chunk) - other.start(chunk)
        const digest = other.digestBytes(chunk)
        if (!announce(digest, sizeBytes)) throw new Error(`chunk ${other.digest(chunk)} is not a known one`)
        chunker.inject(sizeBytes)
      }
    }

    const store = storeChunk(session, upload, true)
    const ingest = yield* Ingest.make({
      scanner,
      chunker,
      slotCount,
      digest: session.digest,
      announce,
      store
    })

    const inject = (chunks: ChunkRange) =>
      Effect.andThen(
        ingest.endChunk,
        Effect.sync(() => injectNow(chunks))
      )

    const zeroChunk = yield* Effect.cached(
      Effect.suspend(() => {
        const data = new Uint8Array(chunker.maximumBytes)
        return Effect.map(session.digest(data), (zeros) => ({ data, digest: zeros }))
      })
    )

    const addZeroChunks = (count: number) =>
      Effect.gen(function* () {
        const zeros = yield* zeroChunk
        yield* ingest.endChunk
        for (let done = 0; done < count; done++) {
          if (!announce(zeros.digest, zeros.data.length)) {
            yield* storeChunk(session, upload, false)(zeros.digest, zeros.data)
          }
        }
      })

    const finish = Effect.gen(function* () {
      yield* ingest.end
      const ctime = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const encoded = yield* decodeOrDamaged(archive.client, () =>
        index.finish({ uuid: entropy(uuidSizeBytes), ctime })
      )
      const file = {
        filename: archive.file,
        cryptMode: session.cryptMode,
        sizeBytes: encoded.sizeBytes,
        csum: encoded.checksum
      }
      yield* session.addFile(file)
      yield* upload.close(encoded)
      return file
    })

    return { ingest, suggest: chunker.suggest, inject, addZeroChunks, sizeBytes: index.sizeBytes, finish }
  })
