/**
 * SnapshotReader: one finished snapshot opened for reading. It holds the snapshot's shared lock, so that nobody removes
 * it meanwhile, and lets nothing through that does not match the manifest: indexes by checksum and size, blobs by
 * SHA-256, the manifest itself by its signature when a key is given.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import { Datastore, snapshotLockName } from "../datastore/Datastore.ts"
import { type ChunkIndex, largestChunkBytes } from "../format/ChunkIndex.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { decodeOrDamaged, storeError, type StoreError } from "../store/StoreError.ts"
import type { StorageError } from "../store/StorageError.ts"

type Failure = StorageError | StoreError

export interface SnapshotReader {
  readonly datastore: Datastore["Service"]
  readonly namespace: Namespace
  readonly snapshot: Snapshot.Snapshot
  readonly manifest: Manifest.Manifest
  readonly crypt: CryptConfig | undefined
  /** The manifest's line for an archive, by its client name or file name. */
  readonly find: (name: string) => Effect.Effect<Manifest.ManifestFile, StoreError>
  /** The proven index of an archive. */
  readonly index: (file: Manifest.ManifestFile) => Effect.Effect<ChunkIndex, Failure>
  /** The proven, decoded content of a blob. */
  readonly blob: (file: Manifest.ManifestFile) => Effect.Effect<Uint8Array, Failure>
}

export interface OpenOptions {
  readonly namespace: Namespace
  readonly snapshot: Snapshot.Snapshot
  readonly crypt?: CryptConfig
}

const checkSignature = (
  manifest: Manifest.Manifest,
  crypt: CryptConfig | undefined
): Effect.Effect<void, StoreError> =>
  crypt === undefined
    ? Effect.void
    : Effect.try({
        try: () => void Manifest.verifySignature(manifest, crypt),
        catch: (error) => {
          if (!(error instanceof Manifest.SignatureError)) throw error
          const reason = error.reason === "WrongKey" ? "KeyNeeded" : "Damaged"
          return storeError(reason, error.snapshot, error.detail)
        }
      })

export const open = (options: OpenOptions): Effect.Effect<SnapshotReader, Failure, Datastore | Scope.Scope> =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    const { namespace, snapshot, crypt } = options
    const name = Snapshot.format(snapshot)
    // A missing snapshot is told as such before its lock is tried.
    yield* datastore.hierarchy.entry(namespace, snapshot)
    yield* datastore.locks.hold(snapshotLockName(namespace, snapshot), "shared")
    const manifest = yield* datastore.snapshotFiles.manifest(namespace, snapshot)
    yield* checkSignature(manifest, crypt)

    const subjectOf = (file: Manifest.ManifestFile) => `${name} ${file.filename}`

    const find = (wanted: string) =>
      Effect.suspend(() => {
        const file = manifest.files.find(
          ({ filename }) => filename === wanted || ArchiveName.fromFile(filename).client === wanted
        )
        if (file !== undefined) return Effect.succeed(file)
        const names = manifest.files.map(({ filename }) => ArchiveName.fromFile(filename).client).join(", ")
        const detail = `the snapshot has no archive of that name; it has ${names}`
        return Effect.fail(storeError("NoSuchArchive", `${name} ${wanted}`, detail))
      })

    const index = (file: Manifest.ManifestFile) =>
      Effect.gen(function* () {
        const found = yield* datastore.snapshotFiles.index(
          namespace,
          snapshot,
          ArchiveName.fromFile(file.filename)
        )
        if (found.sizeBytes !== file.sizeBytes || found.computeChecksum() !== file.csum) {
          return yield* storeError("Damaged", subjectOf(file), "the index is not the one the manifest names")
        }
        if (largestChunkBytes(found) > DataBlob.dataSizeMaxBytes) {
          return yield* storeError(
            "Damaged",
            subjectOf(file),
            "the index has a chunk larger than chunks may be"
          )
        }
        return found
      })

    const blob = (file: Manifest.ManifestFile) =>
      Effect.gen(function* () {
        const bytes = yield* datastore.snapshotFiles.read(namespace, snapshot, file.filename)
        if (bytes.length !== file.sizeBytes || hash("sha256", bytes, "hex") !== file.csum) {
          return yield* storeError("Damaged", subjectOf(file), "the blob is not the one the manifest names")
        }
        const isEncrypted = yield* decodeOrDamaged(subjectOf(file), () =>
          DataBlob.isEncrypted(DataBlob.peekKind(bytes))
        )
        if (isEncrypted && crypt === undefined) {
          return yield* storeError("KeyNeeded", subjectOf(file), "it is encrypted")
        }
        return yield* decodeOrDamaged(subjectOf(file), () =>
          DataBlob.decode(bytes, crypt === undefined ? {} : { crypt })
        )
      })

    return { datastore, namespace, snapshot, manifest, crypt, find, index, blob }
  })
