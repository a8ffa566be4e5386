/**
 * items: snapshots, files and groups as Proxmox Backup Server's listings tell them. A field that is not known is left
 * out; a snapshot without a `size` is one that is still being made, and so is one whose manifest cannot be read.
 */
import * as Effect from "effect/Effect"
import type { Datastore } from "../../datastore/Datastore.ts"
import * as Manifest from "../../format/Manifest.ts"
import * as ManifestNotes from "../../format/ManifestNotes.ts"
import { FormatError } from "../../format/FormatError.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import type { AuthId } from "../../model/AuthId.ts"
import type { BackupGroup } from "../../model/BackupGroup.ts"
import type { Namespace } from "../../model/Namespace.ts"
import type { SnapshotEntry } from "../../store/Hierarchy.ts"
import type { ApiError } from "../ApiError.ts"
import { told } from "../failures.ts"

type Store = Datastore["Service"]

export interface ContentItem {
  readonly filename: string
  readonly "crypt-mode"?: string
  readonly size?: number
}

interface ReadManifest {
  readonly manifest: Manifest.Manifest
  /** Of the file. */
  readonly sizeBytes: number
}

const firstLine = (text: string | undefined): string | undefined => {
  const line = text?.split("\n")[0]?.trim()
  return line === "" ? undefined : line
}

/** Undefined when there is none, or none that can be read. */
const readManifest = (datastore: Store, namespace: Namespace, { snapshot }: SnapshotEntry) =>
  datastore.snapshotFiles.read(namespace, snapshot, ArchiveName.manifestFile).pipe(
    Effect.map((blob): ReadManifest | undefined => {
      try {
        return { manifest: Manifest.decode(blob), sizeBytes: blob.length }
      } catch (error) {
        if (error instanceof FormatError) return undefined
        throw error
      }
    }),
    Effect.orElseSucceed(() => undefined)
  )

const contentOf = (
  read: ReadManifest | undefined,
  names: ReadonlyArray<string>
): ReadonlyArray<ContentItem> => {
  if (read === undefined) return names.map((filename) => ({ filename }))
  const { manifest, sizeBytes } = read
  const listed = new Set([...manifest.files.map(({ filename }) => filename), ArchiveName.manifestFile])
  return [
    ...manifest.files.map((file) => ({
      filename: file.filename,
      "crypt-mode": file.cryptMode,
      size: file.sizeBytes
    })),
    {
      filename: ArchiveName.manifestFile,
      "crypt-mode": manifest.signature === null ? "none" : "sign-only",
      size: sizeBytes
    },
    ...names.filter((name) => !listed.has(name)).map((filename) => ({ filename }))
  ]
}

/** The files of one snapshot. */
export const filesOf = (
  datastore: Store,
  namespace: Namespace,
  entry: SnapshotEntry
): Effect.Effect<ReadonlyArray<ContentItem>> =>
  Effect.map(readManifest(datastore, namespace, entry), (read) => contentOf(read, entry.files))

const ofGroup = ({ id, type }: BackupGroup) => ({ "backup-type": type, "backup-id": id })

const present = (fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const ofManifest = ({ manifest, sizeBytes }: ReadManifest) => {
  const fingerprint = Manifest.keyFingerprint(manifest)
  const verification = ManifestNotes.verifyState(manifest)
  return {
    size: manifest.files.reduce((sum, file) => sum + file.sizeBytes, sizeBytes),
    comment: firstLine(ManifestNotes.notes(manifest)),
    fingerprint,
    verification
  }
}

export const snapshotItem = (
  datastore: Store,
  namespace: Namespace,
  entry: SnapshotEntry,
  owner: AuthId | undefined
) =>
  Effect.map(readManifest(datastore, namespace, entry), (read) => ({
    ...ofGroup(entry.snapshot.group),
    "backup-time": entry.snapshot.time,
    protected: entry.protected,
    files: contentOf(read, entry.files),
    ...present({ owner, ...(read === undefined ? {} : ofManifest(read)) })
  }))

/** Whose the group is; undefined for one that has lost its owner. */
export const ownerOf = (
  datastore: Store,
  namespace: Namespace,
  group: BackupGroup
): Effect.Effect<AuthId | undefined> =>
  datastore.hierarchy.owner(namespace, group).pipe(Effect.orElseSucceed(() => undefined))

/** A group that vanishes while it is looked at was just removed: it has no snapshots. */
export const entriesOf = (
  datastore: Store,
  namespace: Namespace,
  group: BackupGroup
): Effect.Effect<ReadonlyArray<SnapshotEntry>, ApiError> =>
  datastore.hierarchy.snapshots(namespace, group).pipe(
    Effect.catchIf(
      (error) => error._tag === "StoreError" && error.reason === "NoSuchGroup",
      () => Effect.succeed([])
    ),
    told
  )

/** Undefined for a group without snapshots. */
export const groupItem = (
  datastore: Store,
  namespace: Namespace,
  group: BackupGroup,
  owner: AuthId | undefined
) =>
  Effect.gen(function* () {
    const entries = yield* entriesOf(datastore, namespace, group)
    const finished = entries.filter((entry) => entry.finished)
    const [newest] = finished
    const notes = yield* datastore.hierarchy
      .groupNotes(namespace, group)
      .pipe(Effect.orElseSucceed(() => undefined))
    return {
      ...ofGroup(group),
      "last-backup": newest?.snapshot.time ?? 0,
      "backup-count": finished.length,
      files: newest?.files ?? [],
      ...present({ owner, comment: firstLine(notes) })
    }
  })
