/**
 * FileVerifier: compares one file of a snapshot with what the manifest says of it: an index with the chunks that it
 * names, or a blob.
 *
 * Of a store in a bucket there are two copies, and the object is the one that counts: what is wrong with the file in
 * the cache folder can be fetched again, so that it is a doubt and no fault. The object is read when everything is, or
 * when the listing or the file in the folder gives a reason. Without a cache folder there is only the object.
 *
 * Invariant: trouble on the way to a bucket is a doubt. Faults come from content, or from a definite "not there".
 */
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import type { Datastore } from "../datastore/Datastore.ts"
import { type ChunkIndex, headerSizeBytes } from "../format/ChunkIndex.ts"
import * as DataBlob from "../format/DataBlob.ts"
import type * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import { largestBlobBytes } from "../platform/chunkContent.ts"
import * as StoreBucket from "../store/bucket/StoreBucket.ts"
import { decodeIndex, indexMaxBytes } from "../store/SnapshotFiles.ts"
import type { StorageError } from "../store/StorageError.ts"
import { decodeOrDamaged, type StoreError } from "../store/StoreError.ts"
import { type ChunkVerifier, type Findings, noFindings } from "./ChunkVerifier.ts"
import type { PlannedSnapshot } from "./VerifyPlan.ts"

type Failure = StorageError | StoreError

export interface FileVerifierOptions {
  readonly datastore: Datastore["Service"]
  readonly verifier: ChunkVerifier
  /** Reads the objects of all files, not only the chunks' that need it. */
  readonly readsObjects: boolean
  /**
   * Size of the object of a planned file as it was listed; undefined when the listing lacks it. Only asked when objects
   * are not read anyway.
   */
  readonly listedSize: (planned: PlannedSnapshot, fileName: string) => number | undefined
  readonly onBytes: (sizeBytes: number) => void
}

export interface SnapshotFile {
  readonly planned: PlannedSnapshot
  readonly file: Manifest.ManifestFile
  /** The manifest names the very key that was given. */
  readonly isKeyRight: boolean
}

/** One copy of a file, and what is wrong with it. */
interface Copy {
  readonly faults: ReadonlyArray<string>
  readonly sizeBytes: number
  /** When it is an index, and sound. */
  readonly index: ChunkIndex | undefined
}

type Outcome =
  | { readonly state: "seen"; readonly copy: Copy }
  /** It could not be looked at. */
  | { readonly state: "unreachable"; readonly detail: string }

interface Looked extends Findings {
  readonly index: ChunkIndex | undefined
}

/** What an error says: of a store behind a network only what the server, or a decoder, has said of the file itself. */
export const isDoubt = (error: Failure, isDistant: boolean): boolean => {
  if (error._tag === "StoreError" || error.reason === "NotFound" || error.reason === "TooLarge") return false
  return error._tag === "ObjectStoreError" || isDistant
}

/** The store is read from the bucket, without a cache folder (`BucketReading`). */
export const isWithoutFolder = ({ bucket, records }: Datastore["Service"]): boolean =>
  bucket !== undefined && records === undefined

const blobFaults = (bytes: Uint8Array, file: Manifest.ManifestFile) =>
  Effect.gen(function* () {
    if (bytes.length !== file.sizeBytes) {
      return [`it has ${bytes.length} bytes, the manifest says ${file.sizeBytes}`]
    }
    if (hash("sha256", bytes, "hex") !== file.csum) return ["its checksum is not the one in the manifest"]
    yield* decodeOrDamaged(file.filename, () => {
      if (!DataBlob.isEncrypted(DataBlob.peekKind(bytes))) DataBlob.decode(bytes)
      else DataBlob.verifyCrc(bytes)
    })
    return []
  })

const blobCopy = (bytes: Uint8Array, file: Manifest.ManifestFile) =>
  Effect.map(blobFaults(bytes, file), (faults): Copy => ({
    faults,
    sizeBytes: bytes.length,
    index: undefined
  }))

const indexFault = (index: ChunkIndex, file: Manifest.ManifestFile): string | undefined => {
  if (index.sizeBytes !== file.sizeBytes) {
    return `the index says ${index.sizeBytes} bytes, the manifest ${file.sizeBytes}`
  }
  return index.computeChecksum() === file.csum
    ? undefined
    : "the checksum of the index is not the one in the manifest"
}

const indexCopy = (index: ChunkIndex, file: Manifest.ManifestFile): Copy => {
  const fault = indexFault(index, file)
  const sizeBytes = headerSizeBytes + index.entries.length
  return fault === undefined
    ? { faults: [], sizeBytes, index }
    : { faults: [fault], sizeBytes, index: undefined }
}

const damaged = (fault: string): Copy => ({ faults: [fault], sizeBytes: 0, index: undefined })

const outcomeOf = (look: Effect.Effect<Copy, Failure>, isDistant: boolean): Effect.Effect<Outcome> =>
  look.pipe(
    Effect.map((copy): Outcome => ({ state: "seen", copy })),
    Effect.catch((error) =>
      Effect.succeed<Outcome>(
        isDoubt(error, isDistant)
          ? { state: "unreachable", detail: error.message }
          : { state: "seen", copy: damaged(error.message) }
      )
    )
  )

/** What is in the folder. */
const lookInFolder = ({ snapshotFiles }: Datastore["Service"], { file, planned }: SnapshotFile) => {
  const { namespace, snapshot } = planned
  const archive = ArchiveName.fromFile(file.filename)
  return archive.kind === "blob"
    ? Effect.flatMap(snapshotFiles.read(namespace, snapshot, file.filename), (bytes) => blobCopy(bytes, file))
    : Effect.map(snapshotFiles.index(namespace, snapshot, archive), (index) => indexCopy(index, file))
}

/** What is in the bucket. */
const lookInBucket = (bucket: StoreBucket.StoreBucket, { file, planned }: SnapshotFile) => {
  const { namespace, snapshot } = planned
  const name = ArchiveName.fromFile(file.filename)
  const key = StoreBucket.keyOf(bucket, { kind: "file", namespace, snapshot, name })
  if (name.kind === "blob") {
    return Effect.flatMap(bucket.objects.get(key, largestBlobBytes), (bytes) => blobCopy(bytes, file))
  }
  return Effect.gen(function* () {
    const bytes = yield* bucket.objects.get(key, indexMaxBytes)
    return indexCopy(yield* decodeIndex(key, bytes), file)
  })
}

const isSound = (outcome: Outcome): boolean => outcome.state === "seen" && outcome.copy.faults.length === 0

const detailsOf = (outcome: Outcome): ReadonlyArray<string> =>
  outcome.state === "seen" ? outcome.copy.faults : [outcome.detail]

/** Where there is one copy only, or no need for the other. */
const alone = (outcome: Outcome): Looked =>
  outcome.state === "seen"
    ? { ...noFindings, faults: outcome.copy.faults, index: outcome.copy.index }
    : { ...noFindings, doubts: [outcome.detail], index: undefined }

/** The object's word counts; what is wrong in the folder alone is told as well. */
const together = (inFolder: Outcome, inBucket: Outcome): Looked => {
  const index = [inBucket, inFolder].map((each) => (each.state === "seen" ? each.copy.index : undefined))
  const doubts = isSound(inFolder)
    ? []
    : detailsOf(inFolder).map((text) => `in the cache folder: ${text} (granary s3-refresh fetches it again)`)
  return inBucket.state === "seen"
    ? { faults: inBucket.copy.faults, doubts, index: index[0] }
    : { faults: [], doubts: [...doubts, inBucket.detail], index: index[1] }
}

export const make = (options: FileVerifierOptions) => {
  const { datastore, listedSize, onBytes, readsObjects, verifier } = options
  const { bucket } = datastore
  const hasFolder = !isWithoutFolder(datastore)

  const isListed = (subject: SnapshotFile, { sizeBytes }: Copy): boolean =>
    listedSize(subject.planned, subject.file.filename) === sizeBytes

  const look = (subject: SnapshotFile) =>
    Effect.gen(function* () {
      if (bucket !== undefined && !hasFolder) {
        return alone(yield* outcomeOf(lookInBucket(bucket, subject), true))
      }
      const inFolder = yield* outcomeOf(lookInFolder(datastore, subject), datastore.isDistant)
      const isEnough =
        bucket === undefined ||
        (!readsObjects && inFolder.state === "seen" && isSound(inFolder) && isListed(subject, inFolder.copy))
      return isEnough
        ? alone(inFolder)
        : together(inFolder, yield* outcomeOf(lookInBucket(bucket, subject), true))
    })

  /** What there is about the file, and about the chunks that it names. */
  const verify = (subject: SnapshotFile): Effect.Effect<Findings> =>
    Effect.gen(function* () {
      const { cryptMode } = subject.file
      const { doubts, faults, index } = yield* look(subject)
      if (index === undefined) return { faults, doubts }
      const found = yield* verifier.verify({ index, cryptMode, isKeyRight: subject.isKeyRight }, onBytes)
      return { faults: [...faults, ...found.faults], doubts: [...doubts, ...found.doubts] }
    })

  return { verify }
}
