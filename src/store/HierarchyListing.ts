/**
 * HierarchyListing: the half of `Hierarchy` that only looks: which namespaces, groups and snapshots there are, and
 * whose they are.
 *
 * Invariants: nothing here changes anything; names on disk that break the rules of Proxmox Backup Server are not
 * listed; what vanishes while it is looked at is left out, or told as missing, never as damaged.
 */
import * as Effect from "effect/Effect"
import * as AuthId from "../model/AuthId.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { type DirectoryEntry, type Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { StorageError } from "./StorageError.ts"
import { decodeOrDamaged, storeError, type StoreError } from "./StoreError.ts"
import { groupPath, namespacePath, snapshotPath, type StoreLayout } from "./StoreLayout.ts"

type Failure = StorageError | StoreError

/** A snapshot's folder as it stands, without having read the manifest. */
export interface SnapshotEntry {
  readonly snapshot: Snapshot.Snapshot
  /** Its manifest is there: the backup ended well. */
  readonly finished: boolean
  readonly protected: boolean
  /** File names in the folder that are archives or the manifest. */
  readonly files: ReadonlyArray<string>
}

const ownerMaxBytes = 64 * 1024

const notesMaxBytes = 128 * 1024

/** Nothing else runs meanwhile. */
const looksAtOnce = 64

/** Parses a name found on disk; one that breaks the rules is not ours and is passed over. */
const parsed = <A>(parse: () => A): A | undefined => {
  try {
    return parse()
  } catch (error) {
    if (error instanceof InvalidName) return undefined
    throw error
  }
}

export const noSuchGroup = (group: BackupGroup.BackupGroup): StoreError =>
  storeError("NoSuchGroup", BackupGroup.format(group), "there is no such backup group")

const isArchive = (name: string): boolean => /\.(?:[fd]idx|blob)$/.test(name)

const describe = (snapshot: Snapshot.Snapshot, entries: ReadonlyArray<DirectoryEntry>): SnapshotEntry => {
  const names = entries.filter(({ kind }) => kind === "file").map(({ name }) => name)
  return {
    snapshot,
    finished: names.includes(ArchiveName.manifestFile),
    protected: names.includes(ArchiveName.protectedFile),
    files: names.filter(isArchive).toSorted()
  }
}

/** A file where a folder should be holds nothing of ours either. */
export const listOrEmpty = (
  files: Files["Service"],
  path: string
): Effect.Effect<ReadonlyArray<DirectoryEntry>, FilesError> =>
  files.readDirectory(path).pipe(
    Effect.catchIf(
      (error) => isNotFound(error) || error.reason === "NotADirectory",
      () => Effect.succeed([])
    )
  )

export const requireNamespace = (
  files: Files["Service"],
  layout: StoreLayout,
  namespace: Namespace.Namespace
): Effect.Effect<void, Failure> =>
  files.stat(namespacePath(layout, namespace)).pipe(
    Effect.asVoid,
    Effect.catchIf(isNotFound, () =>
      Effect.fail(
        storeError("NoSuchNamespace", `namespace ${namespace}`, "this datastore has no such namespace")
      )
    )
  )

/** The namespaces of a store. */
const namespacesOf = (files: Files["Service"], layout: StoreLayout) => {
  const childrenOf = (namespace: Namespace.Namespace) =>
    Effect.map(listOrEmpty(files, `${namespacePath(layout, namespace)}/ns`), (entries) =>
      entries
        .filter(({ kind }) => kind === "directory")
        .flatMap(({ name }) => parsed(() => Namespace.child(namespace, name)) ?? [])
        .toSorted()
    )

  return (
    start: Namespace.Namespace,
    depthMax: number = Namespace.depthMax
  ): Effect.Effect<ReadonlyArray<Namespace.Namespace>, Failure> =>
    Effect.gen(function* () {
      yield* requireNamespace(files, layout, start)
      const found = [start]
      const bottom = Namespace.depth(start) + depthMax
      for (let index = 0; index < found.length; index++) {
        const current = found[index] ?? start
        if (Namespace.depth(current) < bottom) found.push(...(yield* childrenOf(current)))
      }
      return found
    })
}

/** The groups of a namespace, and what is told of one. */
const groupsOf = (files: Files["Service"], layout: StoreLayout) => {
  const groupsOfType = (namespace: Namespace.Namespace, type: BackupGroup.BackupType) =>
    Effect.map(listOrEmpty(files, `${namespacePath(layout, namespace)}/${type}`), (entries) =>
      entries
        .filter(({ kind, name }) => kind === "directory" && BackupGroup.isBackupId(name))
        .map(({ name }) => BackupGroup.make(type, name))
    )

  const groups = (namespace: Namespace.Namespace) =>
    Effect.gen(function* () {
      yield* requireNamespace(files, layout, namespace)
      const found = yield* Effect.forEach(BackupGroup.backupTypes, (type) => groupsOfType(namespace, type))
      return found.flat().toSorted(BackupGroup.order)
    })

  const explainNoOwner = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
    files.stat(groupPath(layout, namespace, group)).pipe(
      Effect.match({
        onFailure: () => noSuchGroup(group),
        onSuccess: () => storeError("Damaged", BackupGroup.format(group), "this backup group has no owner")
      })
    )

  const owner = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
    Effect.gen(function* () {
      const path = `${groupPath(layout, namespace, group)}/owner`
      const text = yield* files.readFile(path, ownerMaxBytes).pipe(
        Effect.map((bytes) => Buffer.from(bytes).toString()),
        Effect.catchIf(isNotFound, () => Effect.flatMap(explainNoOwner(namespace, group), Effect.fail))
      )
      return yield* decodeOrDamaged(path, () => AuthId.parse((text.split("\n")[0] ?? "").trimEnd()))
    })

  const groupNotes = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
    files.readFile(`${groupPath(layout, namespace, group)}/notes`, notesMaxBytes).pipe(
      Effect.map((bytes): string | undefined => new TextDecoder().decode(bytes)),
      Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
    )

  return { groups, owner, groupNotes }
}

/** The snapshots of a group. */
const snapshotsOf = (files: Files["Service"], layout: StoreLayout) => {
  const entry = (namespace: Namespace.Namespace, snapshot: Snapshot.Snapshot) =>
    files.readDirectory(snapshotPath(layout, namespace, snapshot)).pipe(
      Effect.map((entries) => describe(snapshot, entries)),
      Effect.catchIf(isNotFound, () =>
        Effect.fail(storeError("NoSuchSnapshot", Snapshot.format(snapshot), "there is no such snapshot"))
      )
    )

  /** Newest first, finished or not. */
  const folders = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
    files.readDirectory(groupPath(layout, namespace, group)).pipe(
      Effect.catchIf(isNotFound, () => Effect.fail(noSuchGroup(group))),
      Effect.map((entries) =>
        entries
          .filter(({ kind }) => kind === "directory")
          .flatMap(({ name }) => parsed(() => Snapshot.fromDirectory(group, name)) ?? [])
          .toSorted((left, right) => Snapshot.order(right, left))
      )
    )

  const finishedSnapshots = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
    Effect.gen(function* () {
      const found = yield* folders(namespace, group)
      const finished: Array<Snapshot.Snapshot> = []
      for (let at = 0; at < found.length; at += looksAtOnce) {
        const some = found.slice(at, at + looksAtOnce)
        const manifests = some.map(
          (snapshot) => `${snapshotPath(layout, namespace, snapshot)}/${ArchiveName.manifestFile}`
        )
        const stats = yield* files.statEach(manifests)
        finished.push(...some.filter((_, place) => stats[place]?.kind === "file"))
        yield* Effect.yieldNow
      }
      return finished
    })

  const snapshots = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
    Effect.gen(function* () {
      const found = yield* folders(namespace, group)
      const described = yield* Effect.forEach(found, (snapshot) =>
        // One that vanishes while we look was just removed.
        entry(namespace, snapshot).pipe(
          Effect.catchIf(
            (error) => error._tag === "StoreError" && error.reason === "NoSuchSnapshot",
            () => Effect.succeed(undefined)
          )
        )
      )
      return described.filter((item) => item !== undefined)
    })

  return { entry, snapshots, finishedSnapshots }
}

export const make = (files: Files["Service"], layout: StoreLayout) => ({
  namespaces: namespacesOf(files, layout),
  ...groupsOf(files, layout),
  ...snapshotsOf(files, layout)
})
