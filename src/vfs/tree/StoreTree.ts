/**
 * StoreTree: the tree above the archives: namespaces, groups, snapshots, and the files in a snapshot that are no
 * directory trees. Nothing is listed before somebody asks for it; what is listed is soon asked for again, so that new
 * snapshots come and forgotten ones go.
 *
 * Invariant: only finished snapshots are shown; looking at a list opens none of them.
 */
import * as Effect from "effect/Effect"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as Namespace from "../../model/Namespace.ts"
import { MODE_TYPE } from "../../model/FileMetadata.ts"
import { blocksOf, directoryLinkCount, type Owners } from "../archive/attributesOf.ts"
import type { Branches, Child } from "./branches.ts"
import type { Node, NodePlace, Nodes } from "./Nodes.ts"
import { nameOf, type OpenSnapshot, type OpenSnapshots, type SnapshotPlace } from "./OpenSnapshots.ts"
import type { Slot, Slots } from "./Slots.ts"
import { listedItems, looseFile, type SnapshotFile, type SnapshotItem } from "./SnapshotFolder.ts"
import type { SnapshotFiles } from "./SnapshotFileReading.ts"
import type { StoreLists } from "./StoreLists.ts"
import type { Attributes, Entry } from "../Vfs.ts"
import { type VfsError, vfsError } from "../VfsError.ts"

export interface StoreTreeOptions {
  readonly nodes: Nodes
  readonly slots: Slots
  readonly lists: StoreLists
  readonly branches: Branches
  readonly snapshots: OpenSnapshots
  readonly files: SnapshotFiles
  readonly owners: Required<{ readonly [Key in keyof Owners]: number }>
  /** Of what has no time of its own. */
  readonly openedSeconds: number
  readonly validSeconds: number
}

export interface StoreTree {
  readonly attributes: (node: Node) => Effect.Effect<Attributes, VfsError>
  readonly list: (node: Node) => Effect.Effect<ReadonlyArray<Entry>, VfsError>
  readonly lookup: (node: Node, name: Uint8Array) => Effect.Effect<Attributes | undefined, VfsError>
  readonly readLink: (node: Node) => Effect.Effect<Uint8Array, VfsError>
}

const archivesAtOnce = 4

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder("utf-8", { fatal: true })

/** Nothing above the archives has a name that is not UTF-8. */
const textOf = (name: Uint8Array): string | undefined => {
  try {
    return strictDecoder.decode(name)
  } catch {
    return undefined
  }
}

/** Everybody may look around; what backups hold is for the owner. */
const modes = { directory: 0o555, file: 0o400, symlink: 0o777 }

const timeOf = (place: NodePlace, openedSeconds: number): number => {
  const at = "at" in place ? place.at : undefined
  return at === undefined ? openedSeconds : at.snapshot.time
}

const described = (
  { openedSeconds, owners, validSeconds }: StoreTreeOptions,
  node: Pick<Node, "inode" | "place">,
  kind: "directory" | "file" | "symlink",
  sizeBytes = 0,
  dataBytes = sizeBytes
): Attributes => ({
  inode: node.inode,
  kind,
  mode: MODE_TYPE[kind] | modes[kind],
  linkCount: directoryLinkCount,
  uid: owners.uid,
  gid: owners.gid,
  sizeBytes,
  blocks: kind === "file" ? blocksOf(dataBytes) : 0,
  mtimeSeconds: timeOf(node.place, openedSeconds),
  mtimeNanos: 0,
  device: undefined,
  validSeconds
})

/** What is in a snapshot. */
const snapshotFolder = (options: StoreTreeOptions) => {
  const { files, nodes, slots, snapshots, validSeconds } = options

  /** The archive's own directory, as it is stored; as well as may be where it cannot be opened. */
  const archiveAttributes = (opened: OpenSnapshot, slot: Slot): Effect.Effect<Attributes, VfsError> =>
    opened.archive(slot.filename).pipe(
      Effect.flatMap((archive) => archive.attributes({ isDirectory: true, position: archive.rootEnd })),
      Effect.map((attributes) => ({ ...attributes, validSeconds })),
      Effect.catchIf(
        ({ reason }) => reason === "KeyNeeded" || reason === "Damaged",
        () => {
          const place: NodePlace = { kind: "snapshot", at: slot.place }
          return Effect.succeed(described(options, { inode: slot.root, place }, "directory"))
        }
      )
    )

  const fileAttributes = (opened: OpenSnapshot, node: Node, file: SnapshotFile) =>
    Effect.map(files.measure(opened, node, file), ({ dataBytes, sizeBytes }) =>
      described(options, node, "file", sizeBytes, dataBytes)
    )

  const loose = (opened: OpenSnapshot, parent: Node, at: SnapshotPlace, filename: string) =>
    Effect.gen(function* () {
      const { content, file } = yield* looseFile(opened, filename)
      const node = nodes.child(parent, file.name, { kind: "file", at, file })
      if (content !== undefined) files.keep(node, content)
      return { name: file.name, attributes: yield* fileAttributes(opened, node, file) }
    })

  const listed = (opened: OpenSnapshot, parent: Node, at: SnapshotPlace, item: SnapshotItem) =>
    Effect.gen(function* () {
      const { name } = item
      if (item.kind === "file") {
        const node = nodes.child(parent, name, { kind: "file", at, file: item.file })
        return { name, attributes: yield* fileAttributes(opened, node, item.file) }
      }
      const slot = slots.slotOf(at, item.parts)
      if (slot !== undefined) return { name, attributes: yield* archiveAttributes(opened, slot) }
      return yield* vfsError("WrongKind", `${nameOf(at)} ${name}`, "there are no inodes left for it")
    })

  /** The files that no manifest lists. */
  const looseNames = (at: SnapshotPlace) =>
    Effect.map(options.lists.files(at), (names) =>
      [ArchiveName.manifestFile, ArchiveName.clientLogFile].filter((name) => names.includes(name))
    )

  const list = (parent: Node, at: SnapshotPlace): Effect.Effect<ReadonlyArray<Entry>, VfsError> =>
    snapshots.use(at, (opened) =>
      Effect.gen(function* () {
        const items = yield* Effect.forEach(listedItems(opened), (item) => listed(opened, parent, at, item), {
          concurrency: archivesAtOnce
        })
        const others = yield* Effect.forEach(yield* looseNames(at), (name) => loose(opened, parent, at, name))
        return [...items, ...others].map(({ attributes, name }) => ({
          name: encoder.encode(name),
          attributes
        }))
      })
    )

  const lookup = (parent: Node, at: SnapshotPlace, name: string) =>
    snapshots.use(at, (opened) =>
      Effect.gen(function* () {
        const item = listedItems(opened).find((each) => each.name === name)
        if (item !== undefined) return (yield* listed(opened, parent, at, item)).attributes
        const filename = (yield* looseNames(at)).find((each) => each === `${name}.blob`)
        return filename === undefined ? undefined : (yield* loose(opened, parent, at, filename)).attributes
      })
    )

  const attributes = (node: Node, at: SnapshotPlace, file: SnapshotFile) =>
    snapshots.use(at, (opened) => fileAttributes(opened, node, file))

  return { attributes, list, lookup }
}

export const make = (options: StoreTreeOptions): StoreTree => {
  const { branches, lists, nodes } = options
  const folder = snapshotFolder(options)

  const gone = (at: SnapshotPlace) => Effect.fail(vfsError("Gone", nameOf(at), "the snapshot was removed"))

  const attributes = (node: Node): Effect.Effect<Attributes, VfsError> => {
    const { place } = node
    switch (place.kind) {
      case "file":
        return folder.attributes(node, place.at, place.file)
      case "latest":
        return Effect.map(branches.latestTarget(place.namespace, place.group), (target) =>
          described(options, node, "symlink", encoder.encode(target).length)
        )
      case "snapshot":
        return Effect.flatMap(lists.isThere(place.at), (isThere) =>
          isThere ? Effect.succeed(described(options, node, "directory")) : gone(place.at)
        )
      case "namespaces":
      case "branch":
      case "single":
        return Effect.succeed(described(options, node, "directory"))
    }
  }

  /** What a folder of folders holds. */
  const childrenOf = (node: Node): Effect.Effect<ReadonlyArray<Child>, VfsError> => {
    const { place } = node
    switch (place.kind) {
      case "namespaces":
        return Effect.map(lists.namespaces(place.namespace), (found) =>
          found.map((namespace) => ({
            name: Namespace.components(namespace).at(-1) ?? "",
            place: { kind: "branch", namespace, names: [] }
          }))
        )
      case "branch":
        return branches.children(place)
      case "single":
        return Effect.succeed([
          { name: place.file.name, place: { kind: "file", at: place.at, file: place.file } }
        ])
      case "snapshot":
      case "latest":
      case "file":
        return Effect.fail(vfsError("NotADirectory", node.name, "it is not a directory"))
    }
  }

  /** Of something just listed: that it is there is known. */
  const listedAttributes = (parent: Node, { name, place }: Child): Effect.Effect<Attributes, VfsError> => {
    const node = nodes.child(parent, name, place)
    return place.kind === "snapshot"
      ? Effect.succeed(described(options, node, "directory"))
      : attributes(node)
  }

  const list = (node: Node): Effect.Effect<ReadonlyArray<Entry>, VfsError> =>
    node.place.kind === "snapshot"
      ? folder.list(node, node.place.at)
      : Effect.flatMap(childrenOf(node), (children) =>
          Effect.forEach(children, (child) =>
            Effect.map(listedAttributes(node, child), (found) => ({
              name: encoder.encode(child.name),
              attributes: found
            }))
          )
        )

  const lookupListed = (node: Node, name: string) =>
    Effect.flatMap(childrenOf(node), (children) => {
      const child = children.find((each) => each.name === name)
      return child === undefined ? Effect.succeed(undefined) : listedAttributes(node, child)
    })

  const lookup = (node: Node, rawName: Uint8Array): Effect.Effect<Attributes | undefined, VfsError> => {
    const name = textOf(rawName)
    if (name === undefined) return Effect.succeed(undefined)
    if (node.place.kind === "snapshot") return folder.lookup(node, node.place.at, name)
    const known = nodes.knownSnapshot(node, name)
    // One that was seen before is looked at alone, instead of its whole group.
    if (known?.place.kind !== "snapshot") return lookupListed(node, name)
    return Effect.map(lists.isThere(known.place.at), (isThere) =>
      isThere ? described(options, known, "directory") : undefined
    )
  }

  const readLink = ({ name, place }: Node): Effect.Effect<Uint8Array, VfsError> =>
    place.kind === "latest"
      ? Effect.map(branches.latestTarget(place.namespace, place.group), (target) => encoder.encode(target))
      : Effect.fail(vfsError("WrongKind", name, "it is no symbolic link"))

  return { attributes, list, lookup, readLink }
}
