/**
 * TargetSnapshots: a snapshot of an open datastore in the making, as a sync makes it, or one that is there and made
 * whole.
 *
 * Invariants: it is locked exclusively. One that is new is removed unless it was finished, or may be finished in the
 * bucket without our knowing; one that was there stays with all it has. A manifest is written only when every file that
 * it names is stored, and belongs to this snapshot.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Datastore, snapshotLockName } from "../datastore/Datastore.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { manifestLockName } from "../store/SnapshotFiles.ts"
import { decodeOrDamaged, storeError } from "../store/StoreError.ts"
import type { WriterLease } from "../store/Writers.ts"
import * as storeFailures from "./storeFailures.ts"
import type { SyncError } from "./SyncError.ts"
import type { TargetSnapshot } from "./SyncTarget.ts"

export interface Place {
  readonly store: Datastore["Service"]
  readonly lease: Pick<WriterLease, "check">
  readonly namespace: Namespace.Namespace
  readonly snapshot: Snapshot.Snapshot
}

const isMissing = (error: storeFailures.StoreFailure): boolean =>
  error._tag === "StoreError" &&
  (error.reason === "NoSuchSnapshot" || error.reason === "NoSuchArchive" || error.reason === "Unfinished")

/** A manifest that could not be written may be in the bucket all the same. */
const mayAppear = (error: storeFailures.StoreFailure): boolean =>
  error._tag === "ObjectStoreError" && error.outcomeUnknown

const readOrUndefined = ({ namespace, snapshot, store }: Place, fileName: string) =>
  store.snapshotFiles.read(namespace, snapshot, fileName).pipe(
    Effect.map((bytes): Uint8Array | undefined => bytes),
    Effect.catchIf(isMissing, () => Effect.succeed(undefined))
  )

/** Whether it is new here; if so, its folder is made. */
const create = ({ namespace, snapshot, store }: Place) =>
  store.hierarchy.entry(namespace, snapshot).pipe(
    Effect.as(false),
    Effect.catchIf(isMissing, () => Effect.as(store.hierarchy.createSnapshot(namespace, snapshot), true))
  )

const checkManifest = ({ namespace, snapshot, store }: Place, bytes: Uint8Array) =>
  Effect.gen(function* () {
    const subject = `${Snapshot.format(snapshot)} ${ArchiveName.manifestFile}`
    const manifest = yield* decodeOrDamaged(subject, () => Manifest.decode(bytes))
    if (Snapshot.order(manifest.snapshot, snapshot) !== 0) {
      return yield* storeError("Damaged", subject, "this manifest belongs to another snapshot")
    }
    const stored = yield* store.snapshotFiles.stored(namespace, snapshot)
    const missing = manifest.files.find(({ filename }) => !stored.has(filename))
    if (missing === undefined) return
    return yield* storeError("Refused", subject, `it names ${missing.filename}, which was never stored`)
  })

export const open = (place: Place): Effect.Effect<TargetSnapshot, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const { lease, namespace, snapshot, store } = place
    const { hierarchy, locks, snapshotFiles } = store
    yield* locks.hold(snapshotLockName(namespace, snapshot), "exclusive")
    let stays = false
    const keep = Effect.sync(() => void (stays = true))
    yield* Effect.acquireRelease(create(place), (isNew) =>
      isNew && !stays ? Effect.ignore(hierarchy.removeSnapshot(namespace, snapshot)) : Effect.void
    )
    const { files } = yield* hierarchy.entry(namespace, snapshot)
    const manifest = yield* readOrUndefined(place, ArchiveName.manifestFile)

    /** Notes may be changed at any time: the manifest's lock is for that. */
    const writeManifest = (bytes: Uint8Array) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* locks.holdSoon(manifestLockName(namespace, snapshot), "exclusive")
          yield* lease.check
          yield* snapshotFiles.write(namespace, snapshot, ArchiveName.manifestFile, bytes)
        })
      ).pipe(
        Effect.tap(() => keep),
        Effect.tapError((error) => (mayAppear(error) ? keep : Effect.void)),
        Effect.uninterruptible
      )

    const finish = (bytes: Uint8Array) =>
      Effect.andThen(Effect.andThen(checkManifest(place, bytes), store.flush), writeManifest(bytes))

    return {
      manifest,
      fileNames: new Set(files),
      file: ({ file }: ArchiveName.ArchiveName) => storeFailures.writing(readOrUndefined(place, file)),
      putFile: ({ file }: ArchiveName.ArchiveName, bytes: Uint8Array) =>
        storeFailures.writing(snapshotFiles.write(namespace, snapshot, file, bytes)),
      removeFile: ({ file }: ArchiveName.ArchiveName) =>
        storeFailures.writing(snapshotFiles.remove(namespace, snapshot, file)),
      finish: (bytes: Uint8Array) => storeFailures.writing(finish(bytes))
    }
  }).pipe(storeFailures.writing)
