/**
 * Hierarchy: the namespaces, groups and snapshots of one datastore, as folders; their owners, notes and protection.
 *
 * Invariants: a group folder and its owner come into being together; a snapshot is removed by first taking its manifest
 * away, so that a half-removed one never counts as finished; names on disk that break the rules of PBS are not listed.
 * With a mirror everything is changed in the bucket as well, in the orders of docs/s3.md: what is there locally is in
 * the bucket, and what could not be carried through can be asked for again. Locks are the caller's business
 * (`StoreLocks`). What only looks is in `HierarchyListing`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dirname } from "node:path"
import type * as AuthId from "../model/AuthId.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { Mirror } from "./bucket/Mirror.ts"
import * as HierarchyListing from "./HierarchyListing.ts"
import type { StorageError } from "./StorageError.ts"
import { storeError, type StoreError } from "./StoreError.ts"
import { groupPath, namespacePath, snapshotPath, type StoreLayout } from "./StoreLayout.ts"

type Failure = StorageError | StoreError

export type { SnapshotEntry } from "./HierarchyListing.ts"

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
    /** Removes a namespace, not the root, in which neither a group nor a namespace is; answers whether it did. */
    readonly removeNamespaceIfEmpty: (namespace: Namespace.Namespace) => Effect.Effect<boolean, Failure>
    readonly groups: (
      namespace: Namespace.Namespace
    ) => Effect.Effect<ReadonlyArray<BackupGroup.BackupGroup>, Failure>
    /** Newest first. Fails with `NoSuchGroup` when the group is missing. */
    readonly snapshots: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup
    ) => Effect.Effect<ReadonlyArray<HierarchyListing.SnapshotEntry>, Failure>
    /**
     * Of those only the finished ones, and nothing but that they are: looks at one name in each, and so takes a
     * fraction of the time.
     */
    readonly finishedSnapshots: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup
    ) => Effect.Effect<ReadonlyArray<Snapshot.Snapshot>, Failure>
    /** One snapshot's folder; fails with `NoSuchSnapshot` when it is missing. */
    readonly entry: (
      namespace: Namespace.Namespace,
      snapshot: Snapshot.Snapshot
    ) => Effect.Effect<HierarchyListing.SnapshotEntry, Failure>
    readonly owner: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup
    ) => Effect.Effect<AuthId.AuthId, Failure>
    /** Notes that Proxmox Backup Server keeps beside the snapshots of a group. */
    readonly groupNotes: (
      namespace: Namespace.Namespace,
      group: BackupGroup.BackupGroup
    ) => Effect.Effect<string | undefined, Failure>
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
    /**
     * Renames a group's folder into another namespace; nothing else (see `GroupMove`). The caller holds both groups'
     * locks.
     */
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

export interface HierarchyOptions {
  /** Changes of folders are flushed at once: PBS's sync level `file`, and wherever a bucket holds the same. */
  readonly syncsFolders?: boolean
  /** The same things in the bucket. */
  readonly mirror?: Mirror | undefined
}

/** What the parts of the service work with. */
interface Parts {
  readonly files: Files["Service"]
  readonly layout: StoreLayout
  readonly mirror: Mirror | undefined
  readonly syncsFolders: boolean
  readonly listing: ReturnType<typeof HierarchyListing.make>
}

const ownerLine = (owner: AuthId.AuthId): Buffer => Buffer.from(`${owner}\n`)

/** Answers whether it was there. */
const unlinkIfThere = (files: Files["Service"], path: string): Effect.Effect<boolean, FilesError> =>
  files.unlink(path).pipe(
    Effect.as(true),
    Effect.catchIf(isNotFound, () => Effect.succeed(false))
  )

const ensureDirectory = (files: Files["Service"], path: string): Effect.Effect<void, FilesError> =>
  files.makeDirectory(path).pipe(
    Effect.catchIf(
      (error) => error.reason === "AlreadyExists",
      () => Effect.void
    )
  )

/** Makes the names of all folders from the store down to `path` survive a power loss, its own included. */
const syncFoldersAbove = (parts: Parts, path: string): Effect.Effect<void, FilesError> => {
  const parent = path.slice(0, path.lastIndexOf("/"))
  if (!parts.syncsFolders || !path.startsWith(`${parts.layout.base}/`)) return Effect.void
  return Effect.andThen(parts.files.syncDirectory(parent), syncFoldersAbove(parts, parent))
}

/**
 * Where a bucket holds the same, makes that a name came or went survive a power loss: what is gone here must not be
 * back when it is gone there, nor the other way round.
 */
const syncBeside = ({ files, mirror, syncsFolders }: Parts, path: string): Effect.Effect<void, FilesError> =>
  mirror !== undefined && syncsFolders ? files.syncDirectory(dirname(path)) : Effect.void

const namespaceChanges = (parts: Parts) => {
  const { files, layout, mirror } = parts

  const createNamespace = (namespace: Namespace.Namespace): Effect.Effect<void, Failure> =>
    Effect.gen(function* () {
      let path = layout.base
      let around = Namespace.root
      for (const name of Namespace.components(namespace)) {
        around = Namespace.child(around, name)
        if (mirror !== undefined) yield* mirror.createNamespace(around)
        yield* ensureDirectory(files, `${path}/ns`)
        path = `${path}/ns/${name}`
        yield* ensureDirectory(files, path)
      }
      if (mirror !== undefined) yield* syncFoldersAbove(parts, path)
    })

  /** Answers whether it is gone. */
  const removeIfEmpty = (path: string): Effect.Effect<boolean, FilesError> =>
    files.removeDirectory(path).pipe(
      Effect.as(true),
      Effect.catchIf(
        ({ reason }) => reason === "NotFound" || reason === "NotEmpty",
        ({ reason }) => Effect.succeed(reason === "NotFound")
      )
    )

  const removeNamespaceIfEmpty = (namespace: Namespace.Namespace): Effect.Effect<boolean, Failure> =>
    Effect.gen(function* () {
      if (namespace === Namespace.root) return false
      if (mirror !== undefined && !(yield* mirror.isNamespaceEmpty(namespace))) return false
      const path = namespacePath(layout, namespace)
      for (const name of ["ns", ...BackupGroup.backupTypes]) {
        if (!(yield* removeIfEmpty(`${path}/${name}`))) return false
      }
      if (!(yield* removeIfEmpty(path))) return false
      yield* syncBeside(parts, path)
      if (mirror !== undefined) yield* mirror.removeNamespace(namespace)
      return true
    })

  return { createNamespace, removeNamespaceIfEmpty }
}

const groupChanges = (parts: Parts) => {
  const { files, layout, listing, mirror } = parts

  /** A crash may have left it empty; the caller holds the group, so nobody else is about to write it. */
  const hasOwner = (ownerPath: string) =>
    files.stat(ownerPath).pipe(
      Effect.map(({ sizeBytes }) => sizeBytes > 0),
      Effect.catchIf(isNotFound, () => Effect.succeed(false))
    )

  /**
   * What is to be written here, so that it is the same as in the bucket: there may have been somebody before, on
   * another host. Even where the folder has an owner, it may be what is left of a removal that was cut off.
   */
  const claimOwner = (
    held: Mirror,
    namespace: Namespace.Namespace,
    group: BackupGroup.BackupGroup,
    newOwner: AuthId.AuthId
  ) =>
    Effect.gen(function* () {
      const own = yield* listing
        .owner(namespace, group)
        .pipe(Effect.catchTag("StoreError", () => Effect.succeed(undefined)))
      const content = yield* held.claimOwner(namespace, group, ownerLine(own ?? newOwner))
      return own !== undefined && ownerLine(own).equals(content) ? undefined : content
    })

  const ensureGroup = (
    namespace: Namespace.Namespace,
    group: BackupGroup.BackupGroup,
    newOwner: AuthId.AuthId
  ): Effect.Effect<AuthId.AuthId, Failure> =>
    Effect.gen(function* () {
      const path = groupPath(layout, namespace, group)
      const ownerPath = `${path}/owner`
      yield* HierarchyListing.requireNamespace(files, layout, namespace)
      const claimed = mirror === undefined ? undefined : yield* claimOwner(mirror, namespace, group, newOwner)
      yield* ensureDirectory(files, `${namespacePath(layout, namespace)}/${group.type}`)
      yield* ensureDirectory(files, path)
      const isWritten = mirror === undefined ? yield* hasOwner(ownerPath) : claimed === undefined
      // Flushed: torn by a power loss it would keep everybody out of the group.
      if (!isWritten) yield* files.replaceFile(ownerPath, [claimed ?? ownerLine(newOwner)], { sync: true })
      return yield* listing.owner(namespace, group)
    })

  const removeGroupIfEmpty = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
    Effect.gen(function* () {
      const path = groupPath(layout, namespace, group)
      const entries = yield* HierarchyListing.listOrEmpty(files, path)
      if (entries.some(({ kind }) => kind === "directory")) return false
      if (mirror !== undefined && !(yield* mirror.removeGroupIfEmpty(namespace, group))) return false
      for (const { name } of entries) yield* files.unlink(`${path}/${name}`)
      yield* files.removeDirectory(path).pipe(Effect.catchIf(isNotFound, () => Effect.void))
      yield* syncBeside(parts, path)
      return true
    })

  const moveGroup = (from: Namespace.Namespace, group: BackupGroup.BackupGroup, to: Namespace.Namespace) =>
    Effect.gen(function* () {
      const [source, target] = [groupPath(layout, from, group), groupPath(layout, to, group)]
      yield* files
        .rename(source, target)
        .pipe(Effect.catchIf(isNotFound, () => Effect.fail(HierarchyListing.noSuchGroup(group))))
      // The new name first: a power loss in between must not take both.
      yield* syncBeside(parts, target)
      yield* syncBeside(parts, source)
    })

  /** Makes the place for a group; refuses when there is one already. */
  const prepareGroup = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup) =>
    Effect.gen(function* () {
      const typePath = `${namespacePath(layout, namespace)}/${group.type}`
      yield* HierarchyListing.requireNamespace(files, layout, namespace)
      yield* ensureDirectory(files, typePath)
      if (mirror !== undefined) yield* syncFoldersAbove(parts, typePath)
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

  return { ensureGroup, removeGroupIfEmpty, prepareGroup, moveGroup }
}

const snapshotChanges = (parts: Parts) => {
  const { files, layout, mirror } = parts

  const refuseExisting = (snapshot: Snapshot.Snapshot) =>
    Effect.fail(storeError("SnapshotExists", Snapshot.format(snapshot), "this snapshot exists already"))

  /** The bucket is asked before there is a folder: who removes that one later removes what the bucket has as well. */
  const refuseOthers = (held: Mirror, namespace: Namespace.Namespace, snapshot: Snapshot.Snapshot) =>
    files.stat(snapshotPath(layout, namespace, snapshot)).pipe(
      Effect.andThen(refuseExisting(snapshot)),
      Effect.catchIf(
        (error) => error._tag === "FilesError" && isNotFound(error),
        () => held.refuseExisting(namespace, snapshot)
      )
    )

  const createSnapshot = (namespace: Namespace.Namespace, snapshot: Snapshot.Snapshot) =>
    Effect.gen(function* () {
      const path = snapshotPath(layout, namespace, snapshot)
      if (mirror !== undefined) yield* refuseOthers(mirror, namespace, snapshot)
      yield* files.makeDirectory(path)
      yield* syncFoldersAbove(parts, path)
    }).pipe(
      Effect.catchIf(
        (error) => error._tag === "FilesError" && error.reason === "AlreadyExists",
        () => refuseExisting(snapshot)
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
      const removal = mirror === undefined ? undefined : yield* mirror.prepareRemoval(namespace, snapshot)
      yield* unlinkIfThere(files, `${path}/${ArchiveName.manifestFile}`)
      if (removal !== undefined) {
        yield* syncBeside(parts, `${path}/${ArchiveName.manifestFile}`)
        yield* removal
      }
      // Last: while the folder is there, whoever removes it once more finds what is left in the bucket.
      yield* removeTree(path)
      yield* syncBeside(parts, path)
    })

  const setProtected = (
    namespace: Namespace.Namespace,
    snapshot: Snapshot.Snapshot,
    isProtected: boolean
  ): Effect.Effect<void, Failure> => {
    const path = `${snapshotPath(layout, namespace, snapshot)}/${ArchiveName.protectedFile}`
    const mark = files.replaceFile(path, [], { sync: true })
    const mirrored = mirror?.setProtected(namespace, snapshot, isProtected) ?? Effect.void
    if (isProtected) return Effect.andThen(mirrored, mark)
    return Effect.gen(function* () {
      if (!(yield* unlinkIfThere(files, path))) return yield* mirrored
      yield* syncBeside(parts, path)
      // What the bucket still protects is protected here too.
      yield* mirror === undefined ? mirrored : Effect.onError(mirrored, () => Effect.ignore(mark))
    })
  }

  return { createSnapshot, removeSnapshot, setProtected }
}

export const make = (
  layout: StoreLayout,
  { mirror, syncsFolders = false }: HierarchyOptions = {}
): Effect.Effect<Hierarchy["Service"], never, Files> =>
  Effect.map(Files, (files) => {
    const listing = HierarchyListing.make(files, layout)
    const parts: Parts = { files, layout, mirror, syncsFolders, listing }
    return Hierarchy.of({
      ...listing,
      ...namespaceChanges(parts),
      ...groupChanges(parts),
      ...snapshotChanges(parts)
    })
  })
