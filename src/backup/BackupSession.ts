/**
 * BackupSession: one snapshot in the making, in a datastore of this machine.
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
import * as path from "node:path"
import { Datastore, groupLockName, snapshotLockName } from "../datastore/Datastore.ts"
import type * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Namespaces from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { Entropy } from "../platform/Entropy.ts"
import * as TaskIds from "../platform/TaskIds.ts"
import type { SnapshotEntry } from "../store/Hierarchy.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as KnownChunks from "./KnownChunks.ts"
import * as SessionMetrics from "./SessionMetrics.ts"
import type { PreviousContent, PreviousSnapshot, Session, SessionOptions } from "./Session.ts"
import * as SessionFiles from "./SessionFiles.ts"
import { emptyStatistics } from "./SessionStatistics.ts"
import type { StorageError } from "../store/StorageError.ts"

export type { PreviousSnapshot, SessionOptions } from "./Session.ts"

/** A session in an open datastore. */
export interface BackupSession extends Session {
  readonly datastore: Datastore["Service"]
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
): Effect.Effect<PreviousSnapshot | undefined, Failure, Scope.Scope> =>
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
  { snapshot, manifest }: PreviousSnapshot
): ReadonlyArray<string> =>
  manifest.files
    .filter(({ filename }) => ArchiveName.fromFile(filename).kind !== "blob")
    .map(({ filename }) => `${Snapshot.toPath(namespace, snapshot)}/${filename}`)

/** Registers the chunks of the previous snapshot; answers what the proof of them needs. */
export const prepareKnown = (
  datastore: Datastore["Service"],
  options: SessionOptions,
  snapshot: Snapshot.Snapshot,
  previous: PreviousSnapshot | undefined
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
    const counted = yield* SessionMetrics.begin
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
    const { prepareFinish, writeGiven, writeManifest, ...session } = makeSession(
      datastore,
      options,
      snapshot,
      previous
    )
    counted.watch(session.statistics)
    const publish = (written: typeof writeManifest) =>
      Effect.andThen(lease.check, written).pipe(
        Effect.tap(() => Effect.andThen(keep, lease.flushed)),
        Effect.tap(() => counted.finished),
        Effect.tapError((error) => (mayAppear(error) ? keep : Effect.void))
      )
    const finishBy = (written: typeof writeManifest) =>
      Effect.andThen(Effect.andThen(prepareFinish, prove("finish")), Effect.uninterruptible(publish(written)))
    return {
      ...session,
      known: scene.known,
      knownChunks,
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

interface SessionParts extends Omit<BackupSession, "leftovers" | "known" | "knownChunks" | "finish"> {
  /** Everything but the proof that comes before the manifest. */
  readonly prepareFinish: Effect.Effect<void, Failure>
  readonly writeManifest: Effect.Effect<Manifest.Manifest, Failure>
  readonly writeGiven: (manifest: Manifest.Manifest) => Effect.Effect<Manifest.Manifest, Failure>
}

/** How the content of a snapshot of this datastore is read. */
const contentIn = (
  { chunks, presence, snapshotFiles }: Datastore["Service"],
  namespace: Namespace,
  previous: PreviousSnapshot | undefined
): PreviousContent => ({
  index: (archive) =>
    previous === undefined
      ? Effect.fail(storeError("NoSuchSnapshot", archive.client, "there is no previous snapshot"))
      : snapshotFiles.index(namespace, previous.snapshot, archive),
  chunk: chunks.read,
  condemn: chunks.condemn,
  findAbsent: presence.findAbsent
})

export const makeSession = (
  datastore: Datastore["Service"],
  options: SessionOptions,
  snapshot: Snapshot.Snapshot,
  previous: PreviousSnapshot | undefined
): SessionParts => {
  const { namespace, key } = options
  const { chunks, snapshotFiles } = datastore
  const crypto = SessionFiles.cryptoOf(options)
  const statistics = emptyStatistics()
  const put = ({ file }: ArchiveName.ArchiveName, bytes: Uint8Array) =>
    snapshotFiles.write(namespace, snapshot, file, bytes)
  const files = SessionFiles.make(crypto, put)

  /** A name enters the manifest before its file is stored, and that may have failed. */
  const proveFiles = Effect.gen(function* () {
    const stored = yield* snapshotFiles.stored(namespace, snapshot)
    const missing = files.files.find(({ filename }) => !stored.has(filename))
    if (missing !== undefined) {
      const subject = `${Snapshot.format(snapshot)} ${missing.filename}`
      return yield* storeError("Refused", subject, "this archive was named and never stored")
    }
  })

  const prepareFinish = Effect.gen(function* () {
    yield* SessionFiles.requireFiles(files, Snapshot.format(snapshot))
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
    Effect.as(snapshotFiles.writeManifest(namespace, snapshot, manifest), manifest)

  return {
    datastore,
    namespace,
    snapshot,
    previous,
    previousContent: contentIn(datastore, namespace, previous),
    ...crypto,
    statistics,
    digest: (data) => chunks.digest(data, crypto.crypt),
    openArchive: (archive) =>
      Effect.succeed({
        append: () => undefined,
        store: chunks.insert,
        close: ({ bytes }) => put(archive, bytes)
      }),
    addFile: files.addFile,
    uploadBlob: files.uploadBlob,
    uploadEncodedBlob: files.uploadEncodedBlob,
    prepareFinish,
    writeGiven: (manifest) => Effect.suspend(() => write(withStatistics(manifest))),
    writeManifest: Effect.suspend(() => write(SessionFiles.manifestOf(files, snapshot, key, withStatistics)))
  }
}
