/**
 * ChunkVerifier: judges every chunk of an index, each digest once in a whole verification.
 *
 * Invariants: only wrong content condemns a chunk, and it is renamed under its guard; trouble in reading counts as an
 * error of the snapshot but condemns nothing. Chunks are read in the order of their inodes, which on a spinning disk is
 * close to the order they lie in.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import type { CryptMode } from "../model/CryptMode.ts"
import { DigestTable } from "../model/DigestTable.ts"
import type { Digest } from "../model/Digest.ts"
import type { Verdict } from "../platform/ChunkCodec.ts"
import type { FilesError } from "../platform/Files.ts"
import type { ChunkStore, WantedChunk } from "../store/ChunkStore.ts"

export interface ChunkVerifier {
  /** Faults found among the chunks of an index; `onChunk` is told the size of each place that is dealt with. */
  readonly verify: (
    index: ChunkIndex,
    cryptMode: CryptMode,
    onChunk: (sizeBytes: number) => void
  ) => Effect.Effect<ReadonlyArray<string>, FilesError>
  readonly statistics: VerifierStatistics
}

export interface VerifierStatistics {
  /** Chunks read. */
  chunks: number
  /** Size of their files. */
  storedBytes: number
  corrupt: number
  missing: number
  unreadable: number
}

const statsInFlight = 16

interface Place {
  readonly chunk: number
  readonly inode: bigint
}

const byInode = (left: Place, right: Place): number =>
  left.inode < right.inode ? -1 : left.inode > right.inode ? 1 : left.chunk - right.chunk

/** Chunks that cannot be described come last. */
const unknownInode = 2n ** 64n

export const make = (chunks: ChunkStore["Service"], crypt: CryptConfig | undefined): ChunkVerifier => {
  const good = new DigestTable()
  const bad = new DigestTable()
  const statistics: VerifierStatistics = { chunks: 0, storedBytes: 0, corrupt: 0, missing: 0, unreadable: 0 }

  const condemn = (wanted: WantedChunk, detail: string): Effect.Effect<string, FilesError> =>
    Effect.map(chunks.condemn(wanted), (renamed) => {
      const kept = renamed === undefined ? "" : `; kept as ${renamed}`
      return `chunk ${wanted.digest} is corrupt: ${detail}${kept}`
    })

  const faultOf = (wanted: WantedChunk, verdict: Verdict, cryptMode: CryptMode) => {
    switch (verdict.state) {
      case "good":
        statistics.storedBytes += verdict.encodedSizeBytes
        return Effect.succeed(cryptFault(wanted.digest, verdict.kind, cryptMode))
      case "missing":
        statistics.missing += 1
        return Effect.succeed(`chunk ${wanted.digest} is missing`)
      case "unreadable":
        statistics.unreadable += 1
        return Effect.succeed(`chunk ${wanted.digest} cannot be read: ${verdict.detail}`)
      case "corrupt":
        statistics.corrupt += 1
        return condemn(wanted, verdict.detail)
    }
  }

  const verifyChunk = (index: ChunkIndex, chunk: number, cryptMode: CryptMode) =>
    Effect.gen(function* () {
      const sizeBytes = index.end(chunk) - index.start(chunk)
      const wanted = { digest: index.digest(chunk), sizeBytes, crypt }
      const verdict = yield* chunks.check(wanted)
      statistics.chunks += 1
      const table = verdict.state === "good" ? good : bad
      table.add(index.entries, index.digestOffset(chunk))
      return yield* faultOf(wanted, verdict, cryptMode)
    })

  /** The first place of every digest that nobody has judged yet, and a fault for each that is known to be bad. */
  const sortOut = (index: ChunkIndex, onChunk: (sizeBytes: number) => void) => {
    const pending: Array<number> = []
    const faults: Array<string> = []
    const seen = new DigestTable()
    for (let chunk = 0; chunk < index.count; chunk++) {
      const at = index.digestOffset(chunk)
      const isNew = seen.add(index.entries, at)
      if (isNew && bad.has(index.entries, at)) faults.push(`chunk ${index.digest(chunk)} is known to be bad`)
      if (isNew && !good.has(index.entries, at) && !bad.has(index.entries, at)) pending.push(chunk)
      else onChunk(index.end(chunk) - index.start(chunk))
    }
    return { pending, faults }
  }

  const ordered = (index: ChunkIndex, pending: ReadonlyArray<number>) =>
    Effect.forEach(
      pending,
      (chunk) =>
        chunks.stat(index.digest(chunk)).pipe(
          Effect.map(({ inode }): Place => ({ chunk, inode })),
          Effect.catch(() => Effect.succeed({ chunk, inode: unknownInode }))
        ),
      { concurrency: statsInFlight }
    ).pipe(Effect.map((places) => places.toSorted(byInode)))

  const verify = (index: ChunkIndex, cryptMode: CryptMode, onChunk: (sizeBytes: number) => void) =>
    Effect.gen(function* () {
      const { pending, faults } = sortOut(index, onChunk)
      const found = yield* Effect.forEach(
        yield* ordered(index, pending),
        ({ chunk }) =>
          Effect.tap(verifyChunk(index, chunk, cryptMode), () =>
            Effect.sync(() => onChunk(index.end(chunk) - index.start(chunk)))
          ),
        { concurrency: chunks.parallelism * 2 }
      )
      return [...faults, ...found.filter((fault) => fault !== undefined)]
    })

  return { verify, statistics }
}

/** Chunks of an encrypted archive must be encrypted, those of any other must not. */
const cryptFault = (digest: Digest, kind: DataBlob.BlobKind, cryptMode: CryptMode): string | undefined => {
  const isEncrypted = DataBlob.isEncrypted(kind)
  if (isEncrypted === (cryptMode === "encrypt")) return undefined
  return `chunk ${digest} is ${isEncrypted ? "" : "not "}encrypted, against what the manifest says (${cryptMode})`
}
