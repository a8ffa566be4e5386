/**
 * ChunkVerifier: judges every chunk of an index, each digest once in a whole verification. Which ones are read, and
 * which are taken on trust, is said by `ChunkLooks`.
 *
 * Invariants: only wrong content condemns a chunk, and it is renamed under its guard; trouble in reading, and a chunk
 * that merely disagrees with one archive's index or crypt mode, condemn nothing. Trouble on the way to a bucket says
 * nothing about what is in it: that is a doubt, and no fault of the snapshot. Chunk files are read in the order of
 * their inodes, which on a spinning disk is close to the order they lie in; objects lie in no order that anybody knows.
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
import type { ChunkLooks, Look } from "./ChunkLooks.ts"

export interface ChunkVerifier {
  /** What there is about the chunks of an index; `onChunk` is told the size of each place that is dealt with. */
  readonly verify: (archive: Archive, onChunk: (sizeBytes: number) => void) => Effect.Effect<Findings>
  readonly statistics: VerifierStatistics
}

export interface Findings {
  /** What is wrong. */
  readonly faults: ReadonlyArray<string>
  /** What could not be found out. */
  readonly doubts: ReadonlyArray<string>
}

export const noFindings: Findings = { faults: [], doubts: [] }

export interface VerifierOptions {
  readonly crypt: CryptConfig | undefined
  readonly looks: ChunkLooks
  /** The store lies behind a network: what cannot be read may be sound all the same. */
  readonly mayBeUnreachable: boolean
}

export interface Archive {
  readonly index: ChunkIndex
  readonly cryptMode: CryptMode
  /** The manifest names the very key that was given, so what it cannot decrypt is damaged. */
  readonly isKeyRight: boolean
}

export interface VerifierStatistics {
  /** Chunks read, or tried to. */
  chunks: number
  /** Size of their files. */
  storedBytes: number
  corrupt: number
  missing: number
  unreadable: number
}

const statsInFlight = 16

/** For each thread: one chunk that it works on, and the next ones, which it reads ahead meanwhile. */
const checksInFlight = 6

/** What is on its way from a bucket lies in memory. */
const downloadsInFlight = 2

interface Place {
  readonly chunk: number
  readonly inode: bigint
}

const byInode = (left: Place, right: Place): number =>
  left.inode < right.inode ? -1 : left.inode > right.inode ? 1 : left.chunk - right.chunk

/** Chunks that cannot be described come last. */
const unknownInode = 2n ** 64n

/** While a server cannot be reached, a line for each chunk would tell nobody anything. */
const doubtsMax = 20

const shortened = (doubts: ReadonlyArray<string>): ReadonlyArray<string> =>
  doubts.length <= doubtsMax
    ? doubts
    : [...doubts.slice(0, doubtsMax), `and ${doubts.length - doubtsMax} chunks more`]

export const make = (
  chunks: ChunkStore["Service"],
  { crypt, looks, mayBeUnreachable }: VerifierOptions
): ChunkVerifier => {
  /** With the note of what is known of each. */
  const good = new DigestTable()
  const bad = new DigestTable()
  const unread = new DigestTable()
  const statistics: VerifierStatistics = { chunks: 0, storedBytes: 0, corrupt: 0, missing: 0, unreadable: 0 }

  const faultOf = (wanted: WantedChunk, verdict: Verdict, archive: Archive): Effect.Effect<Fault> => {
    switch (verdict.state) {
      case "good":
        statistics.storedBytes += verdict.encodedSizeBytes
        return Effect.succeed(faultOfGood(wanted, verdict, archive))
      case "missing":
        statistics.missing += 1
        return Effect.succeed(fault(`chunk ${wanted.digest} is missing`))
      case "unreadable": {
        statistics.unreadable += 1
        const text = `chunk ${wanted.digest} cannot be read: ${verdict.detail}`
        return Effect.succeed(mayBeUnreachable ? { text, about: "nothing" } : fault(text))
      }
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
    return { text: cryptFault(digest, isEncrypted, archive.cryptMode), about: "archive" }
  }

  /** Where it cannot be renamed, on a read-only store for example, the verdict stands all the same. */
  const condemn = (wanted: WantedChunk, detail: string): Effect.Effect<Fault> =>
    chunks.condemn(wanted).pipe(
      Effect.map((renamed): Omit<Fault, "text"> & { readonly note: string } => ({
        note: renamed === undefined ? "" : `; kept as ${renamed}`,
        about: renamed === undefined ? "archive" : "chunk"
      })),
      Effect.catch((error) =>
        Effect.succeed({ note: `; it could not be renamed: ${error.message}`, about: "chunk" as const })
      ),
      Effect.map(({ about, note }) => ({
        text: `chunk ${wanted.digest} is corrupt: ${detail}${note}`,
        about
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
      if (found.about === "chunk") bad.add(index.entries, at)
      else if (found.about === "nothing") unread.add(index.entries, at)
      else if (verdict.state === "good") {
        good.set(index.entries, at, noteOf(verdict, wanted.sizeBytes))
        yield* looks.onGood(wanted.digest)
      }
      return found
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

  const lookAt = ({ entries }: ChunkIndex, at: number): Look | "judged" | "unread" => {
    if (good.has(entries, at) || bad.has(entries, at)) return "judged"
    return unread.has(entries, at) ? "unread" : looks.of(entries, at)
  }

  /** The first place of every digest that is to be read, and what is known of the others. */
  const sortOut = (archive: Archive, onChunk: (sizeBytes: number) => void) => {
    const { index } = archive
    const pending: Array<number> = []
    const faults: Array<string> = []
    const doubts: Array<string> = []
    let notListed = 0
    const seen = new DigestTable()
    for (let chunk = 0; chunk < index.count; chunk++) {
      const at = index.digestOffset(chunk)
      const look = seen.add(index.entries, at) ? lookAt(index, at) : undefined
      if (look === "read") {
        pending.push(chunk)
        continue
      }
      const known = look === "judged" ? knownFault(archive, chunk) : undefined
      if (known !== undefined) faults.push(known)
      if (look === "unread") doubts.push(`chunk ${index.digest(chunk)} could not be read before`)
      if (look === "not listed") notListed += 1
      onChunk(sizeOf(index, chunk))
    }
    if (notListed > 0) doubts.push(`${notListed} of its chunks could not be looked at: the listing failed`)
    return { pending, faults, doubts }
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
    ).pipe(Effect.map((places) => places.toSorted(byInode).map(({ chunk }) => chunk)))

  const verify = (archive: Archive, onChunk: (sizeBytes: number) => void) =>
    Effect.gen(function* () {
      const { pending, faults, doubts } = sortOut(archive, onChunk)
      const found = yield* Effect.forEach(
        mayBeUnreachable ? pending : yield* ordered(archive.index, pending),
        (chunk) =>
          Effect.tap(verifyChunk(archive, chunk), () =>
            Effect.sync(() => onChunk(sizeOf(archive.index, chunk)))
          ),
        { concurrency: chunks.parallelism * (mayBeUnreachable ? downloadsInFlight : checksInFlight) }
      )
      const isDoubt = ({ about }: Fault): boolean => about === "nothing"
      return {
        faults: [...faults, ...textsOf(found.filter((each) => !isDoubt(each)))],
        doubts: shortened([...doubts, ...textsOf(found.filter(isDoubt))])
      }
    })

  return { verify, statistics }
}

const sizeOf = (index: ChunkIndex, chunk: number): number => index.end(chunk) - index.start(chunk)

interface Fault {
  readonly text: string | undefined
  /**
   * `chunk`: it is no good, whoever names it. `archive`: it is a matter between it and this archive. `nothing`: it
   * could not be looked at.
   */
  readonly about: "chunk" | "archive" | "nothing"
}

const fault = (text: string): Fault => ({ text, about: "chunk" })

const textsOf = (faults: ReadonlyArray<Fault>): ReadonlyArray<string> =>
  faults.flatMap(({ text }) => text ?? [])

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
