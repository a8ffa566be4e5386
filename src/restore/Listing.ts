/**
 * Listing: what a datastore holds: namespaces, groups, snapshots, with what their manifests say.
 *
 * A listing goes on where single things are wrong: an unfinished snapshot is listed as such, one whose manifest cannot
 * be read carries the reason. Nothing is locked; what vanishes meanwhile is left out.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Datastore } from "../datastore/Datastore.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import type { AuthId } from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import { isNotFound } from "../platform/Files.ts"
import type { SnapshotEntry } from "../store/Hierarchy.ts"
import { storeError, StoreError } from "../store/StoreError.ts"
import type { StorageError } from "../store/StorageError.ts"

export type ListingError = StorageError | StoreError

export interface SnapshotInfo {
  readonly namespace: Namespace
  readonly snapshot: Snapshot
  /** `damaged`: the manifest is there but cannot be read; `problem` says why. */
  readonly state: "finished" | "unfinished" | "damaged"
  readonly problem: string | undefined
  readonly files: ReadonlyArray<Manifest.ManifestFile>
  /** Of all files together; undefined unless finished. */
  readonly sizeBytes: number | undefined
  /** Undefined when the group has lost its owner file. */
  readonly owner: AuthId | undefined
  readonly isProtected: boolean
  /** First line of the notes. */
  readonly comment: string | undefined
  /** Of the key that encrypted or signed. */
  readonly fingerprint: string | undefined
  readonly verification: ManifestNotes.VerifyState | undefined
}

export interface GroupInfo {
  readonly namespace: Namespace
  readonly group: BackupGroup.BackupGroup
  /** The newest finished snapshot, with its file names. */
  readonly last: { readonly snapshot: Snapshot; readonly files: ReadonlyArray<string> } | undefined
  /** Finished snapshots. */
  readonly backupCount: number
  readonly owner: AuthId | undefined
  /** First line of the group's notes. */
  readonly comment: string | undefined
}

const firstLine = (text: string | undefined): string | undefined => {
  const line = text?.split("\n")[0]?.trim()
  return line === "" ? undefined : line
}

const ownerOf = (namespace: Namespace, group: BackupGroup.BackupGroup) =>
  Effect.gen(function* () {
    const { hierarchy } = yield* Datastore
    return yield* hierarchy.owner(namespace, group).pipe(
      Effect.catchIf(
        (error) => (error._tag === "FilesError" ? isNotFound(error) : error.reason === "Damaged"),
        () => Effect.succeed(undefined)
      )
    )
  })

const bare = (namespace: Namespace, entry: SnapshotEntry, owner: AuthId | undefined): SnapshotInfo => ({
  namespace,
  snapshot: entry.snapshot,
  state: "unfinished",
  problem: undefined,
  files: [],
  sizeBytes: undefined,
  owner,
  isProtected: entry.protected,
  comment: undefined,
  fingerprint: undefined,
  verification: undefined
})

const withManifest = (info: SnapshotInfo, manifest: Manifest.Manifest): SnapshotInfo => ({
  ...info,
  state: "finished",
  files: manifest.files,
  sizeBytes: manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  comment: firstLine(ManifestNotes.notes(manifest)),
  fingerprint: Manifest.keyFingerprint(manifest),
  verification: ManifestNotes.verifyState(manifest)
})

/** What is to be told of one snapshot; undefined when it vanished meanwhile. */
const describe = (namespace: Namespace, entry: SnapshotEntry, owner: AuthId | undefined) =>
  Effect.gen(function* () {
    const { snapshotFiles } = yield* Datastore
    const info = bare(namespace, entry, owner)
    if (!entry.finished) return info
    return yield* snapshotFiles.manifest(namespace, entry.snapshot).pipe(
      Effect.map((manifest) => withManifest(info, manifest)),
      Effect.catchTags({
        StoreError: (error) => {
          if (error.reason === "NoSuchSnapshot") return Effect.succeed(undefined)
          if (error.reason === "Unfinished") return Effect.succeed(info)
          return Effect.succeed<SnapshotInfo>({ ...info, state: "damaged", problem: error.message })
        },
        FilesError: (error) =>
          Effect.succeed<SnapshotInfo>({ ...info, state: "damaged", problem: error.message })
      })
    )
  })

const manifestsAtOnce = 8

/** The snapshots of one group, newest first. */
export const snapshotsOf = (
  namespace: Namespace,
  group: BackupGroup.BackupGroup
): Stream.Stream<SnapshotInfo, ListingError, Datastore> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { hierarchy } = yield* Datastore
      const entries = yield* hierarchy.snapshots(namespace, group)
      const owner = yield* ownerOf(namespace, group)
      return Stream.fromIterable(entries).pipe(
        Stream.mapEffect((entry) => describe(namespace, entry, owner), { concurrency: manifestsAtOnce }),
        Stream.filter((info) => info !== undefined)
      )
    })
  )

const unlessVanished = <A, E, R>(stream: Stream.Stream<A, E | StoreError, R>) =>
  Stream.catchIf(
    stream,
    (error): error is StoreError => error instanceof StoreError && error.reason === "NoSuchGroup",
    () => Stream.empty
  )

/** All snapshots of a namespace, by group, newest first; those of one group only when one is given. */
export const snapshots = (
  namespace: Namespace,
  group?: BackupGroup.BackupGroup
): Stream.Stream<SnapshotInfo, ListingError, Datastore> =>
  group === undefined
    ? Stream.fromIterableEffect(
        Effect.flatMap(Datastore, ({ hierarchy }) => hierarchy.groups(namespace))
      ).pipe(Stream.flatMap((each) => unlessVanished(snapshotsOf(namespace, each))))
    : snapshotsOf(namespace, group)

/** One snapshot as the listing tells it. */
export const snapshot = (namespace: Namespace, wanted: Snapshot) =>
  Effect.gen(function* () {
    const { hierarchy } = yield* Datastore
    const entry = yield* hierarchy.entry(namespace, wanted)
    const info = yield* describe(namespace, entry, yield* ownerOf(namespace, wanted.group))
    return info ?? bare(namespace, entry, undefined)
  })

const describeGroup = (namespace: Namespace, group: BackupGroup.BackupGroup) =>
  Effect.gen(function* () {
    const { hierarchy } = yield* Datastore
    const finished = (yield* hierarchy.snapshots(namespace, group)).filter((entry) => entry.finished)
    const info: GroupInfo = {
      namespace,
      group,
      last: finished[0],
      backupCount: finished.length,
      owner: yield* ownerOf(namespace, group),
      comment: firstLine(yield* hierarchy.groupNotes(namespace, group))
    }
    return info
  })

/** The backup groups of a namespace. */
export const groups = (namespace: Namespace): Stream.Stream<GroupInfo, ListingError, Datastore> =>
  Stream.fromIterableEffect(Effect.flatMap(Datastore, ({ hierarchy }) => hierarchy.groups(namespace))).pipe(
    Stream.flatMap((group) => unlessVanished(Stream.fromEffect(describeGroup(namespace, group))))
  )

/** The newest finished snapshot of a group. */
export const latest = (namespace: Namespace, group: BackupGroup.BackupGroup) =>
  Effect.gen(function* () {
    const { hierarchy } = yield* Datastore
    const entries = yield* hierarchy.snapshots(namespace, group)
    const found = entries.find(({ finished }) => finished)
    if (found !== undefined) return found.snapshot
    return yield* storeError(
      "NoSuchSnapshot",
      BackupGroup.format(group),
      "this group has no finished snapshot"
    )
  })
