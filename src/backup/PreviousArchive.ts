/**
 * PreviousArchive: a directory as the group's previous snapshot has it, opened as what a new backup of it is compared
 * with: the split archive's entries as a stream, and the index of its contents.
 *
 * Invariant: it is trusted no further than it is proven. Both indexes are those that the manifest names; with a key the
 * manifest is signed with the same one; a chunk counts as present only when the session knows it from the previous
 * snapshot and it was seen to be there: by the session itself, when it has proven all it knows, otherwise now. A chunk
 * found missing or corrupt is forgotten by the session as well, so that the same content is stored again when it is
 * read.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import type { ChunkError } from "../platform/ChunkCodec.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import { checksAt } from "./KnownChunks.ts"
import type { Session, SessionFailure, SessionOptions } from "./Session.ts"

export interface PreviousArchive {
  /** Of the payload stream. */
  readonly payload: ChunkIndex
  /** The archive stream, in pieces that stay as they are; undefined at its end. */
  readonly nextPiece: Effect.Effect<Uint8Array | undefined, ChunkError | SessionFailure>
  /** Which of `count` chunks of the payload, from `first` on, cannot be used again. */
  readonly findMissing: (first: number, count: number) => Effect.Effect<ReadonlyArray<number>, SessionFailure>
}

export interface PairNames {
  readonly metadata: ArchiveName.ArchiveName
  readonly payload: ArchiveName.ArchiveName
}

/** What decides whether the previous snapshot may be built on. */
export type PreviousOptions = Pick<SessionOptions, "key" | "reusePrevious">

/** False for another key, and for a manifest that should be signed and is not. */
export const isOfKey = (
  manifest: Manifest.Manifest,
  key: PreviousOptions["key"]
): Effect.Effect<boolean, StoreError> =>
  Effect.suspend(() => {
    if (key === undefined) return Effect.succeed(true)
    try {
      return Effect.succeed(Manifest.verifySignature(manifest, key.crypt) === "valid")
    } catch (error) {
      if (!(error instanceof Manifest.SignatureError)) return Effect.die(error)
      if (error.reason === "WrongKey") return Effect.succeed(false)
      return Effect.fail(storeError("Damaged", error.snapshot, error.detail))
    }
  })

const openIndex = (
  { previous, previousContent }: Session,
  file: Manifest.ManifestFile
): Effect.Effect<ChunkIndex | undefined, SessionFailure> =>
  Effect.gen(function* () {
    if (previous === undefined) return undefined
    const archive = ArchiveName.fromFile(file.filename)
    const index = yield* previousContent.index(archive)
    if (index.sizeBytes !== file.sizeBytes || index.computeChecksum() !== file.csum) {
      return yield* storeError("Damaged", file.filename, "the index is not the one the manifest names")
    }
    return index
  })

/** A chunk that cannot be read is no known one any more; a corrupt one makes room for a good one of the same name. */
const disown = ({ crypt, known, previousContent }: Session, { digest, reason }: ChunkError) =>
  Effect.suspend(() => {
    known.delete(Digest.toBytes(digest))
    const condemned = previousContent.condemn({ digest, sizeBytes: undefined, crypt })
    return reason === "Corrupt" ? Effect.ignore(condemned) : Effect.void
  })

const piecesOf = (session: Session, index: ChunkIndex): PreviousArchive["nextPiece"] => {
  const { crypt, previousContent } = session
  let next = 0
  return Effect.suspend(() => {
    if (next === index.count) return Effect.succeed(undefined)
    const chunk = next++
    const sizeBytes = index.end(chunk) - index.start(chunk)
    return previousContent
      .chunk({ digest: index.digest(chunk), sizeBytes, crypt })
      .pipe(Effect.tapErrorTag("ChunkError", (error) => disown(session, error)))
  })
}

const findMissing =
  ({ known, knownChunks, previousContent }: Session, payload: ChunkIndex): PreviousArchive["findMissing"] =>
  (first, count) =>
    Effect.gen(function* () {
      const chunks = Array.from({ length: count }, (_, number) => first + number)
      const missing = chunks.filter((chunk) => !known.has(payload.digestBytes(chunk)))
      if (checksAt(knownChunks, "register")) return missing
      const candidates = chunks.filter((chunk) => known.has(payload.digestBytes(chunk)))
      const digests = Buffer.concat(candidates.map((chunk) => payload.digestBytes(chunk)))
      const absent = new Set(yield* previousContent.findAbsent(digests))
      const gone = candidates.filter((_, number) => absent.has(number))
      gone.forEach((chunk) => known.delete(payload.digestBytes(chunk)))
      return [...missing, ...gone]
    })

/**
 * Opens the pair of that name. Undefined when the previous snapshot has none that fits, such as one of another kind or
 * key; a failure says that there is one, and that it cannot be used.
 */
export const open = (
  session: Session,
  names: PairNames,
  options: PreviousOptions
): Effect.Effect<PreviousArchive | undefined, SessionFailure> =>
  Effect.gen(function* () {
    const { cryptMode, previous } = session
    if (previous === undefined || options.reusePrevious === false) return undefined
    const find = (archive: ArchiveName.ArchiveName) =>
      previous.manifest.files.find((file) => file.filename === archive.file && file.cryptMode === cryptMode)
    const metadataFile = find(names.metadata)
    const payloadFile = find(names.payload)
    if (metadataFile === undefined || payloadFile === undefined) return undefined
    if (!(yield* isOfKey(previous.manifest, options.key))) return undefined
    const metadata = yield* openIndex(session, metadataFile)
    const payload = yield* openIndex(session, payloadFile)
    if (metadata === undefined || payload === undefined) return undefined
    return { payload, nextPiece: piecesOf(session, metadata), findMissing: findMissing(session, payload) }
  })
