/**
 * OpenSnapshots: the snapshots that are being read, each with its shared lock, and the archives in them that were asked
 * for. A snapshot that nobody has read for a while is let go, so that it may be removed; the next one who asks opens it
 * again, and is told when it is gone.
 *
 * With a key that is not the snapshot's, or none, a snapshot is opened all the same: what is not encrypted can be read,
 * and the rest says what it needs.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { Datastore } from "../../datastore/Datastore.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import * as DataBlob from "../../format/DataBlob.ts"
import type { ManifestFile } from "../../format/Manifest.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as Namespace from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import * as SnapshotReader from "../../restore/SnapshotReader.ts"
import { decodeOrDamaged, storeError } from "../../store/StoreError.ts"
import type { PxarArchive } from "../archive/PxarArchive.ts"
import * as ContentReader from "../content/ContentReader.ts"
import type { DecodedChunks } from "../content/DecodedChunks.ts"
import * as Holdings from "./Holdings.ts"
import { onceEach } from "./once.ts"
import { patient } from "./patient.ts"
import { inWordsOf } from "./toVfsError.ts"
import { type VfsError, vfsError } from "../VfsError.ts"

export interface SnapshotPlace {
  readonly namespace: Namespace.Namespace
  readonly snapshot: Snapshot.Snapshot
}

export interface OpenSnapshot {
  readonly reader: SnapshotReader.SnapshotReader
  /**
   * The manifest's line for a stored file, which must still be the one it was; otherwise the snapshot is another one.
   */
  readonly file: (filename: string, csum: string) => Effect.Effect<ManifestFile, VfsError>
  /** The bytes of an archive that is stored as chunks. */
  readonly content: (filename: string) => Effect.Effect<ContentReader.ContentReader, VfsError>
  /** The decoded content of a blob in the manifest. */
  readonly blob: (filename: string) => Effect.Effect<Uint8Array, VfsError>
  /** The stored bytes of a file that no manifest vouches for: the manifest itself, or the client's log. */
  readonly loose: (filename: string) => Effect.Effect<Uint8Array, VfsError>
  /** A file archive by the stored name of its entries. */
  readonly archive: (filename: string) => Effect.Effect<PxarArchive, VfsError>
  /** Those that are open already. */
  readonly archiveNow: (filename: string) => PxarArchive | undefined
}

export interface OpenSnapshots {
  /** Opens the snapshot if it is not open, and keeps it open while it is used. */
  readonly use: <B>(
    place: SnapshotPlace,
    use: (opened: OpenSnapshot) => Effect.Effect<B, VfsError>
  ) => Effect.Effect<B, VfsError>
  /** The snapshot if it is open, for this moment. */
  readonly now: (place: SnapshotPlace) => OpenSnapshot | undefined
}

export interface OpenSnapshotsOptions {
  readonly datastore: Datastore["Service"]
  readonly decoded: DecodedChunks
  readonly crypt: CryptConfig | undefined
  readonly waitSeconds: number
  /** How long a snapshot stays open that nobody reads. */
  readonly idleSeconds: number
  readonly openArchive: (parts: OpenParts, filename: string) => Effect.Effect<PxarArchive, VfsError>
}

/** What an archive is opened from. */
export type OpenParts = Pick<OpenSnapshot, "reader" | "content">

/** Indexes of a large image take some MiB. */
const openMax = 32

/** For messages. */
export const nameOf = ({ namespace, snapshot }: SnapshotPlace): string =>
  namespace === Namespace.root ? Snapshot.format(snapshot) : `${namespace}: ${Snapshot.format(snapshot)}`

/** Reads the snapshot with the key, or without it when it is another one's. */
const openReader = (
  { crypt, datastore, waitSeconds }: OpenSnapshotsOptions,
  place: SnapshotPlace
): Effect.Effect<SnapshotReader.SnapshotReader, VfsError, Scope.Scope> => {
  const open = (key: { readonly crypt?: CryptConfig }) =>
    Effect.provideService(SnapshotReader.open({ ...place, ...key }), Datastore, datastore)
  const opened =
    crypt === undefined
      ? open({})
      : Effect.catchIf(
          open({ crypt }),
          (error) => error._tag === "StoreError" && error.reason === "KeyNeeded",
          () => open({})
        )
  return inWordsOf(nameOf(place))(patient(waitSeconds)(opened))
}

const readLoose = (reader: SnapshotReader.SnapshotReader, filename: string) =>
  Effect.gen(function* () {
    const { crypt, datastore, namespace, snapshot } = reader
    const subject = `${nameOf(reader)} ${filename}`
    const bytes = yield* datastore.snapshotFiles.read(namespace, snapshot, filename)
    const isEncrypted = yield* decodeOrDamaged(subject, () => DataBlob.isEncrypted(DataBlob.peekKind(bytes)))
    if (isEncrypted && crypt === undefined) return yield* storeError("KeyNeeded", subject, "it is encrypted")
    return yield* decodeOrDamaged(subject, () => DataBlob.decode(bytes, crypt === undefined ? {} : { crypt }))
  })

const openSnapshot = (
  options: OpenSnapshotsOptions,
  place: SnapshotPlace
): Effect.Effect<OpenSnapshot, VfsError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const waiting = patient(options.waitSeconds)
    const reader = yield* openReader(options, place)
    const subjectOf = (filename: string) => `${nameOf(place)} ${ArchiveName.fromFile(filename).client}`

    const lineOf = (filename: string): Effect.Effect<ManifestFile, VfsError> => {
      const found = reader.manifest.files.find((file) => file.filename === filename)
      if (found !== undefined) return Effect.succeed(found)
      return Effect.fail(vfsError("Gone", subjectOf(filename), "the snapshot has no such archive any more"))
    }

    const file = (filename: string, csum: string) =>
      Effect.flatMap(lineOf(filename), (found) =>
        found.csum === csum
          ? Effect.succeed(found)
          : Effect.fail(vfsError("Gone", subjectOf(filename), "another snapshot has taken its place"))
      )

    const content = yield* onceEach((filename) =>
      Effect.gen(function* () {
        const found = yield* lineOf(filename)
        const subject = subjectOf(filename)
        if (found.cryptMode === "encrypt" && reader.crypt === undefined) {
          return yield* vfsError("KeyNeeded", subject, "it is encrypted, and needs the right key")
        }
        const index = yield* inWordsOf(subject)(waiting(reader.index(found)))
        const { decoded, waitSeconds } = options
        const made = ContentReader.make(decoded, index, reader.crypt, { subject, waitSeconds })
        return yield* Scope.provide(made, scope)
      })
    )

    const blob = (filename: string) =>
      Effect.flatMap(lineOf(filename), (found) => inWordsOf(subjectOf(filename))(waiting(reader.blob(found))))

    const open = new Map<string, PxarArchive>()
    const archive = yield* onceEach((filename) =>
      Effect.tap(options.openArchive({ reader, content }, filename), (opened) =>
        Effect.sync(() => open.set(filename, opened))
      )
    )

    return {
      reader,
      file,
      content,
      blob,
      loose: (filename) => inWordsOf(subjectOf(filename))(waiting(readLoose(reader, filename))),
      archive,
      archiveNow: (filename) => open.get(filename)
    }
  })

/** Paths of places, each made once: it is needed with every request. */
const makeKeys = () => {
  const keys = new WeakMap<SnapshotPlace, string>()
  return (place: SnapshotPlace): string => {
    const known = keys.get(place)
    if (known !== undefined) return known
    const key = Snapshot.toPath(place.namespace, place.snapshot)
    keys.set(place, key)
    return key
  }
}

export const make = (options: OpenSnapshotsOptions): Effect.Effect<OpenSnapshots, never, Scope.Scope> =>
  Holdings.make({
    keyOf: makeKeys(),
    open: (place) => openSnapshot(options, place),
    idleSeconds: options.idleSeconds,
    openMax
  })
