/** openRoot: finds what a tree is to begin with, and refuses what is not there with the reason. */
import * as Effect from "effect/Effect"
import type { Datastore } from "../../datastore/Datastore.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Namespace from "../../model/Namespace.ts"
import type * as Snapshot from "../../model/Snapshot.ts"
import * as PxarParts from "../../restore/browse/PxarParts.ts"
import { splitPath } from "../../restore/browse/TreeNode.ts"
import type { StorageError } from "../../store/StorageError.ts"
import { storeError, type StoreError } from "../../store/StoreError.ts"
import { checkKey } from "./checkKey.ts"
import { placeOf } from "./inodes.ts"
import type { NodePlace } from "./Nodes.ts"
import { nameOf, type OpenSnapshots, type SnapshotPlace } from "./OpenSnapshots.ts"
import type { PathTemplate } from "./PathTemplate.ts"
import type { Slots } from "./Slots.ts"
import { listedItems } from "./SnapshotFolder.ts"
import type { Inode } from "../Vfs.ts"
import { type VfsError, vfsError } from "../VfsError.ts"

/** Each member makes the tree begin further down; one of an archive needs the snapshot. */
export interface VfsRoot {
  /** Default: the datastore's own. */
  readonly namespace?: Namespace.Namespace
  readonly group?: BackupGroup.BackupGroup
  readonly snapshot?: Snapshot.Snapshot
  /** As people call it, `root.pxar`. One that is no directory tree is a file in a directory of its own. */
  readonly archive?: string
  /** Of a directory in the archive. Symbolic links are not followed. */
  readonly path?: Uint8Array
}

export interface FoundRoot {
  readonly place: NodePlace
  /** The directory in an archive that the root is. */
  readonly directory: Inode | undefined
}

export interface RootParts {
  readonly datastore: Datastore["Service"]
  readonly snapshots: OpenSnapshots
  readonly slots: Slots
  readonly template: PathTemplate
  readonly crypt: CryptConfig | undefined
}

type Failure = StorageError | StoreError | VfsError

const requireSnapshot = ({ crypt, datastore, snapshots }: RootParts, at: SnapshotPlace) =>
  Effect.gen(function* () {
    const { finished } = yield* datastore.hierarchy.entry(at.namespace, at.snapshot)
    if (!finished) return yield* storeError("Unfinished", nameOf(at), "this backup was never finished")
    if (crypt === undefined) return
    const isKey = yield* snapshots.use(at, ({ reader }) => Effect.succeed(reader.crypt !== undefined))
    if (!isKey) return yield* storeError("KeyNeeded", nameOf(at), "it was made with another key")
  })

const requireGroup = (
  { datastore }: RootParts,
  namespace: Namespace.Namespace,
  group: BackupGroup.BackupGroup
) =>
  Effect.gen(function* () {
    const groups = yield* datastore.hierarchy.groups(namespace)
    const name = BackupGroup.format(group)
    if (groups.some((each) => BackupGroup.format(each) === name)) return
    return yield* storeError("NoSuchGroup", name, "there is no such backup group")
  })

/** Goes down to a directory of the archive whose own directory has that inode. */
const directoryAt = (
  { slots, snapshots }: RootParts,
  root: Inode,
  path: Uint8Array
): Effect.Effect<Inode, VfsError> =>
  Effect.gen(function* () {
    const slot = slots.find(placeOf(root).slot)
    if (slot === undefined) return root
    return yield* snapshots.use(slot.place, (opened) =>
      Effect.gen(function* () {
        const archive = yield* opened.archive(slot.filename)
        let inode = root
        for (const name of splitPath(path)) {
          const { isDirectory, position } = placeOf(inode)
          const shown = `${archive.subject} ${JSON.stringify(new TextDecoder().decode(path))}`
          if (!isDirectory) return yield* vfsError("NotADirectory", shown, "it is not a directory")
          const found = yield* archive.lookup(position, name)
          if (found === undefined) return yield* vfsError("NotFound", shown, "the archive has no such path")
          inode = found.inode
        }
        if (placeOf(inode).isDirectory) return inode
        return yield* vfsError("NotADirectory", archive.subject, "the path is not that of a directory")
      })
    )
  })

const openArchiveRoot = (
  parts: RootParts,
  at: SnapshotPlace,
  name: string,
  path: Uint8Array | undefined
): Effect.Effect<FoundRoot, Failure> =>
  Effect.gen(function* () {
    const { slots, snapshots } = parts
    const { manifest, file } = yield* snapshots.use(at, (opened) => {
      const items = listedItems(opened)
      const wanted = items.find(
        (item) => item.name === name || (item.kind === "file" && item.file.filename === name)
      )
      return Effect.succeed({ manifest: opened.reader.manifest, file: wanted })
    })
    if (file?.kind === "file") {
      if (path === undefined) {
        return { place: { kind: "single", at, file: file.file }, directory: undefined }
      }
      return yield* vfsError("NotADirectory", `${nameOf(at)} ${name}`, "this archive is a single file")
    }
    const slot = slots.slotOf(at, yield* PxarParts.find(manifest, name))
    if (slot === undefined) {
      return yield* storeError("Refused", `${nameOf(at)} ${name}`, "the archive is too large to be shown")
    }
    const directory = yield* directoryAt(parts, slot.root, path ?? new Uint8Array(0))
    return { place: { kind: "snapshot", at }, directory }
  })

export const openRoot = (parts: RootParts, root: VfsRoot): Effect.Effect<FoundRoot, Failure> =>
  Effect.gen(function* () {
    const { archive, namespace = Namespace.root, path, snapshot } = root
    const { crypt, datastore, template } = parts
    if (snapshot !== undefined) {
      const at = { namespace, snapshot }
      yield* requireSnapshot(parts, at)
      if (archive !== undefined) return yield* openArchiveRoot(parts, at, archive, path)
      return { place: { kind: "snapshot", at }, directory: undefined }
    }
    if (archive !== undefined || path !== undefined) {
      return yield* storeError("Refused", archive ?? "path", "an archive needs the snapshot that it is in")
    }
    const { group } = root
    if (group === undefined) {
      // Lists nothing, and fails when there is no such namespace.
      yield* datastore.hierarchy.namespaces(namespace, 0)
      if (crypt !== undefined) yield* checkKey(datastore, crypt, namespace, undefined)
      return { place: { kind: "branch", namespace, names: [] }, directory: undefined }
    }
    yield* requireGroup(parts, namespace, group)
    if (crypt !== undefined) yield* checkKey(datastore, crypt, namespace, group)
    const names = template.hasGroupFolder ? template.ofGroup(group) : []
    return { place: { kind: "branch", namespace, names }, directory: undefined }
  })
