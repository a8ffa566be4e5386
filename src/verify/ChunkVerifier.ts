/**
 * ChunkVerifier: judges every chunk of an index, each digest once in a whole verification.
 *
 * Invariants: only wrong content condemns a chunk, and it is renamed under its guard; trouble in reading, and a
 * chunk that merely disagrees with one archive's index or crypt mode, count as errors of the snapshot but
 * condemn nothing. Chunks are read in the order of their inodes, which on a spinning disk is close to the order
 * they lie in.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import type { CryptMode } from "../model/CryptMode.ts"
import { DigestTable } from "../model/DigestTable.ts"
import type { Digest } from "../model/Digest.ts"
import type { Verdict } from "../platform/chunkContent.ts"
import type { ChunkStore, WantedChunk } from "../store/ChunkStore.ts"

export interface ChunkVerifier {
  /** Faults found among the chunks of an index; `onChunk` is told the size of each place that is dealt with. */
  readonly verify: (
    archive: Archive,
    onChunk: (sizeBytes: number) => void
  ) => Effect.Effect<ReadonlyArray<string>>
  readonly statistics: VerifierStatistics
}

export interface Archive {
  readonly index: ChunkIndex
  readonly cryptMode: CryptMode
  /** The manifest names the very key that was given, so what it cannot decrypt is damaged. */
  readonly isKeyRight: boolean
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
  /** With the note of what is known of each. */
  const good = new DigestTable()
  const bad = new DigestTable()
  const statistics: VerifierStatistics = { chunks: 0, storedBytes: 0, corrupt: 0, missing: 0, unreadable: 0 }

  const faultOf = (wanted: WantedChunk, verdict: Verdict, archive: Archive): Effect.Effect<Fault> => {
    switch (verdict.state) {
      case "good":
        statistics.storedBytes += verdict.encodedSizeBytes
        return Effect.succeed(faultOfGood(wanted, verdict, archive))
      case "missing":
        statistics.missing += 1
        return Effect.succeed(fault(`chunk ${wanted.digest} is missing`))
      case "unreadable":
        statistics.unreadable += 1
        return Effect.succeed(fault(`chunk ${wanted.digest} cannot be read: ${verdict.detail}`))
      case "corrupt":
        statistics.corrupt += 1
        return condemn(wanted, verdict.detail)
    }
  }

  const faultOfGood = ({ digest }: WantedChunk, verdict: GoodVerdict, archive: Archive): Fault => {
    const isEncrypted = DataBlob.isEncrypted(verdict.kind)
    if (isEncrypted && !verdict.isProven && archive.isKeyRight) {
      statistics.corrupt += 1
      return fault(`chunk ${digest} cannot be decrypted with the key that its manifest names`)
    }
    return { text: cryptFault(digest, isEncrypted, archive.cryptMode), isOfChunk: false }
  }

  /** Where it cannot be renamed, on a read-only store for example, the verdict stands all the same. */
  const condemn = (wanted: WantedChunk, detail: string): Effect.Effect<Fault> =>
    chunks.condemn(wanted).pipe(
      Effect.map((renamed) => ({
        note: renamed === undefined ? "" : `; kept as ${renamed}`,
        isOfChunk: renamed !== undefined
      })),
      Effect.catch((error) =>
        Effect.succeed({ note: `; it could not be renamed: ${error.message}`, isOfChunk: true })
      ),
      Effect.map(({ note, isOfChunk }) => ({
        text: `chunk ${wanted.digest} is corrupt: ${detail}${note}`,
        isOfChunk
      }))
    )

  const verifyChunk = (archive: Archive, chunk: number) =>
    Effect.gen(function* () {
      const { index } = archive
      const wanted = { digest: index.digest(chunk), sizeBytes: sizeOf(index, chunk), crypt }
      const verdict = yield* chunks.check(wanted)
      statistics.chunks += 1
      const found = yield* faultOf(wanted, verdict, archive)
      const at = index.digestOffset(chunk)
      if (found.isOfChunk) bad.add(index.entries, at)
      else if (verdict.state === "good") good.set(index.entries, at, noteOf(verdict, wanted.sizeBytes))
      return found.text
    })

  /** What is known of a digest from before, compared with what this archive says of it. */
  const knownFault = (archive: Archive, chunk: number): string | undefined => {
    const { index, cryptMode } = archive
    const at = index.digestOffset(chunk)
    const note = good.get(index.entries, at)
    if (note === undefined) return `chunk ${index.digest(chunk)} is known to be bad`
    const sizeBytes = sizeOfNote(note)
    if (sizeBytes !== undefined && sizeBytes !== sizeOf(index, chunk)) {
      return `chunk ${index.digest(chunk)} holds ${sizeBytes} bytes, the index says ${sizeOf(index, chunk)}`
    }
    return cryptFault(index.digest(chunk), isEncryptedNote(note), cryptMode)
  }

  /** The first place of every digest that nobody has judged yet, and a fault for each that is known to be wrong. */
  const sortOut = (archive: Archive, onChunk: (sizeBytes: number) => void) => {
    const { index } = archive
    const pending: Array<number> = []
    const faults: Array<string> = []
    const seen = new DigestTable()
    for (let chunk = 0; chunk < index.count; chunk++) {
      const at = index.digestOffset(chunk)
      const isNew = seen.add(index.entries, at)
      const isKnown = good.has(index.entries, at) || bad.has(index.entries, at)
      if (isNew && !isKnown) {
        pending.push(chunk)
        continue
      }
      const found = isNew ? knownFault(archive, chunk) : undefined
      if (found !== undefined) faults.push(found)
      onChunk(sizeOf(index, chunk))
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

  const verify = (archive: Archive, onChunk: (sizeBytes: number) => void) =>
    Effect.gen(function* () {
      const { pending, faults } = sortOut(archive, onChunk)
      const found = yield* Effect.forEach(
        yield* ordered(archive.index, pending),
        ({ chunk }) =>
          Effect.tap(verifyChunk(archive, chunk), () =>
            Effect.sync(() => onChunk(sizeOf(archive.index, chunk)))
          ),
        { concurrency: chunks.parallelism * 2 }
      )
      return [...faults, ...found.filter((text) => text !== undefined)]
    })

  return { verify, statistics }
}

const sizeOf = (index: ChunkIndex, chunk: number): number => index.end(chunk) - index.start(chunk)

interface Fault {
  readonly text: string | undefined
  /** The chunk itself is no good, whoever names it; otherwise it is a matter between it and this archive. */
  readonly isOfChunk: boolean
}

const fault = (text: string): Fault => ({ text, isOfChunk: true })

type GoodVerdict = Extract<Verdict, { readonly state: "good" }>

/** One number for each good digest: bit 0 whether it is encrypted, above it its length, 0 when that is not proven. */
const noteOf = ({ kind, isProven }: GoodVerdict, sizeBytes: number): number =>
  (isProven ? sizeBytes * 2 : 0) + (DataBlob.isEncrypted(kind) ? 1 : 0)

const isEncryptedNote = (note: number): boolean => note % 2 === 1

const sizeOfNote = (note: number): number | undefined => (note < 2 ? undefined : Math.floor(note / 2))

/** Chunks of an encrypted archive must be encrypted, those of any other must not. */
const cryptFault = (digest: Digest, isEncrypted: boolean, cryptMode: CryptMode): string | undefined => {
  if (isEncrypted === (cryptMode === "encrypt")) return undefined
  return `chunk ${digest} is ${isEncrypted ? "" : "not "}encrypted, against what the manifest says (${cryptMode})`
}
