/**
 * Hierarchy: the namespaces, groups and snapshots of one datastore, as folders; their owners, notes and protection.
 *
 * Invariants: a group folder and its owner come into being together; a snapshot is removed by first taking its manifest
 * away, so that a half-removed one never counts as finished; names on disk that break the rules of PBS are not listed.
 * Locks are the caller's business (`StoreLocks`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as AuthId from "../model/AuthId.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { type DirectoryEntry, Files, type FilesError, isNotFound } from "../platform/Files.ts"
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

export class Hierarchy extends Context.Service<
  Hierarchy,
  {
    /** `start` and everything below it, parents first, down to `depthMax` levels below `start`. */
    readonly namespaces: (
      start: Namespace.Namespace,
      depthMax?: number
    ) => Effect.Effect<ReadonlyArray<Namespace.Namespace>, Failure>
    /** Creates a namespace and the ones around it. */
    readonly createNamespace: (namespace: Namespace.Namespace) => Effect.Effect<void, Failure>
    readonly groups: (
      namespace: Namespace.Namespace
    ) => Effect.Effect<ReadonlyArray<BackupGroup.BackupGroup>, Failure>
    /** Newest first. Fails with `NoSuchGroup` when the group is missing. */
    readonly snapshots: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup
    ) => Effect.Effect<ReadonlyArray<SnapshotEntry>, Failure>
    /** One snapshot's folder; fails with `NoSuchSnapshot` when it is missing. */
    readonly entry: (
      namespace: Namespace.Namespace,
      snapshot: Snapshot.Snapshot
    ) => Effect.Effect<SnapshotEntry, Failure>
    readonly owner: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup
    ) => Effect.Effect<AuthId.AuthId, Failure>
    /** Creates the group with its owner, or answers the owner it has. The caller holds the group's lock. */
    readonly ensureGroup: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup,
      owner: AuthId.AuthId
    ) => Effect.Effect<AuthId.AuthId, Failure>
    readonly createSnapshot: (
      namespace: Namespace.Namespace,
      snapshot: Snapshot.Snapshot
    ) => Effect.Effect<void, Failure>
    /** Removes the folder and everything in it. */
    readonly removeSnapshot: (
      namespace: Namespace.Namespace,
      snapshot: Snapshot.Snapshot
    ) => Effect.Effect<void, Failure>
    /** Removes the group when no snapshot is left in it; answers whether it did. */
    readonly removeGroupIfEmpty: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup
    ) => Effect.Effect<boolean, Failure>
    /** Makes the place for a group to come; fails with `Refused` when there is one of this name. */
    readonly prepareGroup: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup
    ) => Effect.Effect<void, Failure>
    /** Renames a group's folder into another namespace. The caller holds both groups' locks. */
    readonly moveGroup: (
      from: Namespace.Namespace,
      group: BackupGroup.BackupGroup,
      to: Namespace.Namespace
    ) => Effect.Effect<void, Failure>
    readonly setProtected: (
      namespace: Namespace.Namespace,
      snapshot: Snapshot.Snapshot,
      isProtected: boolean
    ) => Effect.Effect<void, Failure>
  }
>()("granary/store/Hierarchy") {}

const smallFileMaxBytes = 64 * 1024

/** Parses a name found on disk; one that breaks the rules is not ours and is passed over. */
const parsed = <A>(parse: () => A): A | undefined => {
  try {
    return parse()
  } catch (error) {
    if (error instanceof InvalidName) return undefined
    throw error
  }
}

const noSuchGroup = (group: BackupGroup.BackupGroup): StoreError =>
  storeError("NoSuchGroup", BackupGroup.format(group), "there is no such backup group")

const isArchive = (name: string): boolean => /\.(?:[fd]idx|blob)$/.test(name)

/** `syncsFolders`: a new snapshot's folder, and those around it, are flushed at once (PBS's sync level `file`). */
export const make = (
  layout: StoreLayout,
  syncsFolders = false
): Effect.Effect<Hierarchy["Service"], never, Files> =>
  Effect.map(Files, (files) => {
    /** A file where a folder should be holds nothing of ours either. */
    const listOrEmpty = (path: string): Effect.Effect<ReadonlyArray<DirectoryEntry>, FilesError> =>
      files.readDirectory(path).pipe(
        Effect.catchIf(
          (error) => isNotFound(error) || error.reason === "NotADirectory",
          () => Effect.succeed([])
        )
      )

    const ensureDirectory = (path: string): Effect.Effect<void, FilesError> =>
      files.makeDirectory(path).pipe(
        Effect.catchIf(
          (error) => error.reason === "AlreadyExists",
          () => Effect.void
        )
      )

    const childrenOf = (namespace: Namespace.Namespace) =>
      Effect.map(listOrEmpty(`${namespacePath(layout, namespace)}/ns`), (entries) =>
        entries
          .filter(({ kind }) => kind === "directory")
          .flatMap(({ name }) => parsed(() => Namespace.child(namespace, name)) ?? [])
          .toSorted()
      )

    const requireNamespace = (namespace: Namespace.Namespace): Effect.Effect<void, Failure> =>
      files.stat(namespacePath(layout, namespace)).pipe(
        Effect.asVoid,
        Effect.catchIf(isNotFound, () =>
          Effect.fail(
            storeError("NoSuchNamespace", `namespace ${namespace}`, "this datastore has no such namespace")
          )
        )
      )

    const namespaces = (
      start: Namespace.Namespace,
      depthMax: number = Namespace.depthMax
    ): Effect.Effect<ReadonlyArray<Namespace.Namespace>, Failure> =>
      Effect.gen(function* () {
        yield* requireNamespace(start)
        const found = [start]
        const bottom = Namespace.depth(start) + depthMax
        for (let index = 0; index < found.length; index++) {
          const current = found[index] ?? start
          if (Namespace.depth(current) < bottom) found.push(...(yield* childrenOf(current)))
        }
        return found
      })

    const createNamespace = (namespace: Namespace.Namespace) =>
      Effect.gen(function* () {
        let path = layout.base
        for (const name of Namespace.components(namespace)) {
          yield* ensureDirectory(`${path}/ns`)
          path = `${path}/ns/${name}`
          yield* ensureDirectory(path)
        }
      })

    const groupsOfType = (namespace: Namespace.Namespace, type: BackupGroup.BackupType) =>
      Effect.map(listOrEmpty(`${namespacePath(layout, namespace)}/${type}`), (entries) =>
        entries
          .filter(({ kind, name }) => kind === "directory" && BackupGroup.isBackupId(name))
          .map(({ name }) => BackupGroup.make(type, name))
      )

    const groups = (namespace: Namespace.Namespace) =>
      Effect.gen(function* () {
        yield* requireNamespace(namespace)
        const found = yield* Effect.forEach(BackupGroup.backupTypes, (type) => groupsOfType(namespace, type))
        return found.flat().toSorted(BackupGroup.order)
      })

    const describe = (snapshot: Snapshot.Snapshot, entries: ReadonlyArray<DirectoryEntry>): SnapshotEntry => {
      const names = entries.filter(({ kind }) => kind === "file").map(({ name }) => name)
      return {
        snapshot,
        finished: names.includes(ArchiveName.manifestFile),
        protected: names.includes(ArchiveName.protectedFile),
        files: names.filter(isArchive).toSorted()
      }
    }

    const entry = (namespace: Namespace.Namespace, snapshot: Snapshot.Snapshot) =>
      files.readDirectory(snapshotPath(layout, namespace, snapshot)).pipe(
        Effect.map((entries) => describe(snapshot, entries)),
        Effect.catchIf(isNotFound, () =>
          Effect.fail(storeError("NoSuchSnapshot", Snapshot.format(snapshot), "there is no such snapshot"))
        )
      )

    const snapshots = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
      Effect.gen(function* () {
        const entries = yield* files
          .readDirectory(groupPath(layout, namespace, group))
          .pipe(Effect.catchIf(isNotFound, () => Effect.fail(noSuchGroup(group))))
        const found = entries
          .filter(({ kind }) => kind === "directory")
          .flatMap(({ name }) => parsed(() => Snapshot.fromDirectory(group, name)) ?? [])
          .toSorted((left, right) => Snapshot.order(right, left))
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
        const text = yield* files.readFile(path, smallFileMaxBytes).pipe(
          Effect.map((bytes) => Buffer.from(bytes).toString()),
          Effect.catchIf(isNotFound, () => Effect.flatMap(explainNoOwner(namespace, group), Effect.fail))
        )
        return yield* decodeOrDamaged(path, () => AuthId.parse((text.split("\n")[0] ?? "").trimEnd()))
      })

    const ensureGroup = (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup,
      newOwner: AuthId.AuthId
    ) =>
      Effect.gen(function* () {
        const path = groupPath(layout, namespace, group)
        yield* requireNamespace(namespace)
        yield* ensureDirectory(`${namespacePath(layout, namespace)}/${group.type}`)
        yield* ensureDirectory(path)
        // A crash may have left the file empty; the caller holds the group, so nobody else is about to write it.
        const ownerPath = `${path}/owner`
        const written = yield* files.stat(ownerPath).pipe(
          Effect.map(({ sizeBytes }) => sizeBytes > 0),
          Effect.catchIf(isNotFound, () => Effect.succeed(false))
        )
        // Flushed: torn by a power loss it would keep everybody out of the group.
        if (!written) yield* files.replaceFile(ownerPath, [Buffer.from(`${newOwner}\n`)], { sync: true })
        return yield* owner(namespace, group)
      })

    /** Makes the names of all folders from the store down to `path` survive a power loss, its own included. */
    const syncFoldersAbove = (path: string): Effect.Effect<void, FilesError> => {
      const parent = path.slice(0, path.lastIndexOf("/"))
      if (!path.startsWith(`${layout.base}/`)) return Effect.void
      return Effect.andThen(files.syncDirectory(parent), syncFoldersAbove(parent))
    }

    const createSnapshot = (namespace: Namespace.Namespace, snapshot: Snapshot.Snapshot) =>
      files.makeDirectory(snapshotPath(layout, namespace, snapshot)).pipe(
        Effect.andThen(
          syncsFolders ? syncFoldersAbove(snapshotPath(layout, namespace, snapshot)) : Effect.void
        ),
        Effect.catchIf(
          (error) => error.reason === "AlreadyExists",
          () =>
            Effect.fail(
              storeError("SnapshotExists", Snapshot.format(snapshot), "this snapshot exists already")
            )
        )
      )

    const removeTree = (path: string): Effect.Effect<void, FilesError> =>
      Effect.gen(function* () {
        for (const { name, kind } of yield* files.readDirectory(path)) {
          yield* kind === "directory" ? removeTree(`${path}/${name}`) : files.unlink(`${path}/${name}`)
        }
        yield* files.removeDirectory(path)
      })

    const removeSnapshot = (namespace: Namespace.Namespace, snapshot: Snapshot.Snapshot) =>
      Effect.gen(function* () {
        const path = snapshotPath(layout, namespace, snapshot)
        yield* files
          .unlink(`${path}/${ArchiveName.manifestFile}`)
          .pipe(Effect.catchIf(isNotFound, () => Effect.void))
        yield* removeTree(path)
      })

    const removeGroupIfEmpty = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
      Effect.gen(function* () {
        const path = groupPath(layout, namespace, group)
        const entries = yield* listOrEmpty(path)
        if (entries.some(({ kind }) => kind === "directory")) return false
        for (const { name } of entries) yield* files.unlink(`${path}/${name}`)
        yield* files.removeDirectory(path).pipe(Effect.catchIf(isNotFound, () => Effect.void))
        return true
      })

    const moveGroup = (from: Namespace.Namespace, group: BackupGroup.BackupGroup, to: Namespace.Namespace) =>
      files
        .rename(groupPath(layout, from, group), groupPath(layout, to, group))
        .pipe(Effect.catchIf(isNotFound, () => Effect.fail(noSuchGroup(group))))

    /** Makes the place for a group; refuses when there is one already. */
    const prepareGroup = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
      Effect.gen(function* () {
        yield* requireNamespace(namespace)
        yield* ensureDirectory(`${namespacePath(layout, namespace)}/${group.type}`)
        const isTaken = yield* files.stat(groupPath(layout, namespace, group)).pipe(
          Effect.as(true),
          Effect.catchIf(isNotFound, () => Effect.succeed(false))
        )
        if (!isTaken) return
        const subject =
          namespace === Namespace.root
            ? BackupGroup.format(group)
            : `${namespace}: ${BackupGroup.format(group)}`
        return yield* storeError("Refused", subject, "there is a backup group of this name already")
      })

    const setProtected = (
      namespace: Namespace.Namespace,
      snapshot: Snapshot.Snapshot,
      isProtected: boolean
    ) => {
      const path = `${snapshotPath(layout, namespace, snapshot)}/${ArchiveName.protectedFile}`
      return isProtected
        ? files.replaceFile(path, [], { sync: true })
        : files.unlink(path).pipe(Effect.catchIf(isNotFound, () => Effect.void))
    }

    return Hierarchy.of({
      namespaces,
      createNamespace,
      groups,
      snapshots,
      entry,
      owner,
      ensureGroup,
      createSnapshot,
      removeSnapshot,
      removeGroupIfEmpty,
      prepareGroup,
      moveGroup,
      setProtected
    })
  })
