/**
 * BackupSession: one snapshot in the making.
 *
 * While it is open the session holds the group and the new snapshot exclusively, the snapshot it builds on shared, and
 * counts as a writer of the store. The manifest is written last, after everything it names has been flushed and its
 * chunks have been proven to be there (`KnownChunks`): before that the snapshot does not count as finished, and when
 * the session ends without `finish` its folder is removed, and its files in the bucket.
 * A killed process leaves a folder without a manifest; `leftovers` names such folders. So does a session that could not
 * clean the bucket up, or does not know whether its manifest has arrived there.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import * as path from "node:path"
import { Datastore, groupLockName, snapshotLockName } from "../datastore/Datastore.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { CryptMode } from "../model/CryptMode.ts"
import * as Digest from "../model/Digest.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Namespaces from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { Entropy } from "../platform/Entropy.ts"
import * as TaskIds from "../platform/TaskIds.ts"
import type { SnapshotEntry } from "../store/Hierarchy.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as KnownChunks from "./KnownChunks.ts"
import { emptyStatistics, type SessionStatistics } from "./SessionStatistics.ts"
import type { StorageError } from "../store/StorageError.ts"

export interface SessionOptions {
  readonly namespace: Namespace
  readonly group: BackupGroup.BackupGroup
  /** Whole seconds since 1970; now when absent. Must be later than every snapshot of the group. */
  readonly time?: number
  readonly owner: AuthId.AuthId
  readonly key?: { readonly crypt: CryptConfig; readonly mode: "encrypt" | "sign-only" }
  /** Default true. */
  readonly compress?: boolean
  /** Take chunks of the group's previous good snapshot for known. Default true. */
  readonly reusePrevious?: boolean
  /** When to prove that known chunks are there. Default `both`: before the first use, and before the manifest. */
  readonly knownChunks?: KnownChunks.KnownChunksCheck
}

export interface BackupSession {
  readonly datastore: Datastore["Service"]
  readonly namespace: Namespace
  readonly snapshot: Snapshot.Snapshot
  /** The finished, not failed snapshot whose chunks are known. */
  readonly previous:
    | { readonly snapshot: Snapshot.Snapshot; readonly manifest: Manifest.Manifest }
    | undefined
  /** Snapshots of the group that an interrupted backup left behind. */
  readonly leftovers: ReadonlyArray<Snapshot.Snapshot>
  /** Digests that need not be stored again. */
  readonly known: KnownChunks.KnownChunks
  readonly knownChunks: KnownChunks.KnownChunksCheck
  readonly crypt: CryptConfig | undefined
  readonly cryptMode: CryptMode
  readonly compress: boolean
  readonly statistics: SessionStatistics
  /** Enters a file into the manifest to come. Each name once. */
  readonly addFile: (file: Manifest.ManifestFile) => Effect.Effect<void, StoreError>
  /** Stores small content as a blob of its own. */
  readonly uploadBlob: (
    archive: ArchiveName.ArchiveName,
    data: Uint8Array
  ) => Effect.Effect<Manifest.ManifestFile, StorageError | StoreError>
  /** Stores a blob as it is, whatever the session encrypts. */
  readonly uploadEncodedBlob: (
    archive: ArchiveName.ArchiveName,
    blob: Uint8Array
  ) => Effect.Effect<Manifest.ManifestFile, StorageError | StoreError>
  /** Proves that all files and chunks are stored, flushes, writes the manifest: from here on the snapshot exists. */
  readonly finish: Effect.Effect<Manifest.Manifest, StorageError | StoreError | KnownChunks.KnownChunkMissing>
}

type Failure = StorageError | StoreError

/** A session that also takes a manifest made elsewhere, by a client that names what it has uploaded. */
export interface OpenSession extends BackupSession {
  /** As `finish`; writes the manifest given, with the session's statistics in its unprotected part. */
  readonly finishWith: (
    manifest: Manifest.Manifest
  ) => Effect.Effect<Manifest.Manifest, StorageError | StoreError | KnownChunks.KnownChunkMissing>
}

/** A clock that stands this little behind the group's newest snapshot is taken for two backups in one moment. */
const sameMomentSeconds = 5

export const chooseTime = (
  options: SessionOptions,
  newest: Snapshot.Snapshot | undefined
): Effect.Effect<number, StoreError> =>
  Effect.gen(function* () {
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const wanted = options.time ?? now
    if (newest === undefined || wanted > newest.time) return wanted
    if (options.time === undefined && newest.time - now < sameMomentSeconds) return newest.time + 1
    const subject = Snapshot.format(Snapshot.make(options.group, wanted))
    return yield* storeError(
      "SnapshotExists",
      subject,
      `the group has a snapshot of ${newest.directory} already`
    )
  })

const prepareGroup = (datastore: Datastore["Service"], { namespace, group, owner }: SessionOptions) =>
  Effect.gen(function* () {
    const name = BackupGroup.format(group)
    const isFree = yield* datastore.locks.tryHold(groupLockName(namespace, group), "exclusive")
    if (!isFree) return yield* storeError("Busy", name, "another backup of this group is running")
    const actual = yield* datastore.hierarchy.ensureGroup(namespace, group, owner)
    if (!AuthId.isOwner(actual, owner)) {
      return yield* storeError("NotOwner", name, `this backup group belongs to ${actual}, not to ${owner}`)
    }
  })

/** The newest finished snapshot, unless its last verification failed; it stays locked with the session. */
export const findPrevious = (
  datastore: Datastore["Service"],
  namespace: Namespace,
  entries: ReadonlyArray<SnapshotEntry>
): Effect.Effect<BackupSession["previous"], Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const newest = entries.find(({ finished }) => finished)?.snapshot
    if (newest === undefined) return undefined
    yield* datastore.locks.hold(snapshotLockName(namespace, newest), "shared")
    const manifest = yield* datastore.snapshotFiles
      .manifest(namespace, newest)
      .pipe(Effect.catchTag("StoreError", () => Effect.succeed(undefined)))
    if (manifest === undefined || ManifestNotes.verifyState(manifest)?.state === "failed") return undefined
    return { snapshot: newest, manifest }
  })

/** Relative to the store, as leases name them. */
const indexPathsOf = (
  namespace: Namespace,
  { snapshot, manifest }: NonNullable<BackupSession["previous"]>
): ReadonlyArray<string> =>
  manifest.files
    .filter(({ filename }) => ArchiveName.fromFile(filename).kind !== "blob")
    .map(({ filename }) => `${Snapshot.toPath(namespace, snapshot)}/${filename}`)

/** Registers the chunks of the previous snapshot; answers what the proof of them needs. */
export const prepareKnown = (
  datastore: Datastore["Service"],
  options: SessionOptions,
  snapshot: Snapshot.Snapshot,
  previous: BackupSession["previous"]
): Effect.Effect<KnownChunks.Scene> =>
  Effect.gen(function* () {
    const { group, namespace, owner } = options
    const within = namespace === Namespaces.root ? "" : `${namespace}:`
    const workerId = `${path.basename(datastore.layout.base)}:${within}${BackupGroup.format(group)}`
    const upid = yield* TaskIds.begin({ workerType: "backup", workerId, authId: owner })
    const entropy = yield* Entropy
    const known = new KnownChunks.KnownChunks(Buffer.from(entropy(4)).readUInt32LE())
    if (previous !== undefined && options.reusePrevious !== false) {
      yield* KnownChunks.registerSnapshot(datastore, namespace, previous, known)
    }
    return { datastore, namespace, snapshot, previous: previous?.snapshot, known, upid }
  })

/** Opens a session on the datastore; closing the scope before `finish` undoes it. */
export const open = (
  options: SessionOptions
): Effect.Effect<OpenSession, Failure | KnownChunks.KnownChunkMissing, Datastore | Scope.Scope> =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    const { namespace, group } = options
    const lease = yield* datastore.writers.register
    yield* prepareGroup(datastore, options)
    const entries = yield* datastore.hierarchy.snapshots(namespace, group)
    const snapshot = Snapshot.make(group, yield* chooseTime(options, entries[0]?.snapshot))
    const previous = yield* findPrevious(datastore, namespace, entries)
    if (previous !== undefined) yield* lease.buildsOn(indexPathsOf(namespace, previous))
    const scene = yield* prepareKnown(datastore, options, snapshot, previous)
    const knownChunks = options.knownChunks ?? KnownChunks.defaultCheck
    const prove = (moment: KnownChunks.Moment) =>
      Effect.suspend(() => KnownChunks.prove(KnownChunks.plan(scene.known, knownChunks, moment), scene))
    yield* prove("register")
    yield* datastore.locks.hold(snapshotLockName(namespace, snapshot), "exclusive")
    let stays = false
    const keep = Effect.sync(() => void (stays = true))
    yield* lease.storing
    yield* Effect.acquireRelease(datastore.hierarchy.createSnapshot(namespace, snapshot), () =>
      stays ? Effect.void : Effect.ignore(abandon(datastore, namespace, snapshot))
    )
    const { prepareFinish, writeGiven, writeManifest, ...session } = makeSession(datastore, options, snapshot)
    const publish = (written: typeof writeManifest) =>
      Effect.andThen(lease.check, written).pipe(
        Effect.tap(() => Effect.andThen(keep, lease.flushed)),
        Effect.tapError((error) => (mayAppear(error) ? keep : Effect.void))
      )
    const finishBy = (written: typeof writeManifest) =>
      Effect.andThen(Effect.andThen(prepareFinish, prove("finish")), Effect.uninterruptible(publish(written)))
    return {
      ...session,
      known: scene.known,
      knownChunks,
      previous,
      leftovers: entries.filter((entry) => !entry.finished).map((entry) => entry.snapshot),
      finish: finishBy(writeManifest),
      finishWith: (manifest) => finishBy(writeGiven(manifest))
    }
  })

/**
 * Whether a manifest that could not be written may be in the bucket all the same, now or a little later. Then all that
 * it names has to stay: the snapshot is a leftover, and whole wherever it counts as finished.
 */
const mayAppear = (error: Failure): boolean => error._tag === "ObjectStoreError" && error.outcomeUnknown

const abandon = (datastore: Datastore["Service"], namespace: Namespace, snapshot: Snapshot.Snapshot) =>
  Effect.andThen(
    datastore.hierarchy.removeSnapshot(namespace, snapshot),
    datastore.hierarchy.removeGroupIfEmpty(namespace, snapshot.group)
  )

interface SessionParts extends Omit<
  BackupSession,
  "previous" | "leftovers" | "known" | "knownChunks" | "finish"
> {
  /** Everything but the proof that comes before the manifest. */
  readonly prepareFinish: Effect.Effect<void, Failure>
  readonly writeManifest: Effect.Effect<Manifest.Manifest, Failure>
  readonly writeGiven: (manifest: Manifest.Manifest) => Effect.Effect<Manifest.Manifest, Failure>
}

export const makeSession = (
  datastore: Datastore["Service"],
  options: SessionOptions,
  snapshot: Snapshot.Snapshot
): SessionParts => {
  const { namespace, key } = options
  const compress = options.compress ?? true
  const crypt = key?.mode === "encrypt" ? key.crypt : undefined
  const cryptMode: CryptMode = key?.mode ?? "none"
  const statistics = emptyStatistics()
  const files: Array<Manifest.ManifestFile> = []

  const addFile = (file: Manifest.ManifestFile): Effect.Effect<void, StoreError> =>
    Effect.suspend(() => {
      if (files.some(({ filename }) => filename === file.filename)) {
        return Effect.fail(storeError("Refused", file.filename, "this archive is named twice in one backup"))
      }
      if (file.filename === ArchiveName.manifestFile) {
        return Effect.fail(storeError("Refused", file.filename, "this is the name of the manifest itself"))
      }
      files.push(file)
      return Effect.void
    })

  const uploadEncodedBlob = (archive: ArchiveName.ArchiveName, blob: Uint8Array) =>
    Effect.gen(function* () {
      const csum = Digest.parse(hash("sha256", blob, "hex"))
      const file = { filename: archive.file, cryptMode, sizeBytes: blob.length, csum }
      yield* addFile(file)
      yield* datastore.snapshotFiles.write(namespace, snapshot, archive.file, blob)
      return file
    })

  const uploadBlob = (archive: ArchiveName.ArchiveName, data: Uint8Array) =>
    Effect.gen(function* () {
      if (data.length > DataBlob.dataSizeMaxBytes) {
        const detail = `a blob holds at most 128 MiB; this has ${data.length} bytes`
        return yield* storeError("Refused", archive.client, detail)
      }
      const blob = DataBlob.encode(data, { compress, ...(crypt === undefined ? {} : { crypt }) })
      return yield* uploadEncodedBlob(archive, blob)
    })

  /** A name enters the manifest before its file is stored, and that may have failed. */
  const proveFiles = Effect.gen(function* () {
    const stored = yield* datastore.snapshotFiles.stored(namespace, snapshot)
    const missing = files.find(({ filename }) => !stored.has(filename))
    if (missing !== undefined) {
      const subject = `${Snapshot.format(snapshot)} ${missing.filename}`
      return yield* storeError("Refused", subject, "this archive was named and never stored")
    }
  })

  const prepareFinish = Effect.gen(function* () {
    if (files.length === 0) {
      return yield* storeError("Refused", Snapshot.format(snapshot), "a backup needs at least one archive")
    }
    yield* proveFiles
    yield* datastore.flush
  })

  const withStatistics = (manifest: Manifest.Manifest) =>
    ManifestNotes.withChunkUploadStats(manifest, {
      count: statistics.newChunks + statistics.duplicateChunks,
      sizeBytes: statistics.newBytes + statistics.duplicateBytes,
      compressedSizeBytes: statistics.encodedBytes,
      duplicates: statistics.duplicateChunks
    })

  const write = (manifest: Manifest.Manifest) =>
    Effect.as(datastore.snapshotFiles.writeManifest(namespace, snapshot, manifest), manifest)

  const writeManifest = Effect.suspend(() => {
    const unsigned = withStatistics(Manifest.make(snapshot, files))
    return write(key === undefined ? unsigned : Manifest.sign(unsigned, key.crypt))
  })

  const writeGiven = (manifest: Manifest.Manifest) => Effect.suspend(() => write(withStatistics(manifest)))

  return {
    datastore,
    namespace,
    snapshot,
    crypt,
    cryptMode,
    compress,
    statistics,
    addFile,
    uploadBlob,
    uploadEncodedBlob,
    prepareFinish,
    writeGiven,
    writeManifest
  }
}
