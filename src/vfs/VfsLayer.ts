/**
 * VfsLayer: the tree over an open datastore, or over a part of one: a namespace, a group, a snapshot, an archive, a
 * directory in an archive.
 *
 * What an inode stands for is in the inode (`inodes`): something above the archives, or something in one of them. The
 * root has number 1, wherever it is; of a directory in an archive that is another name.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Datastore } from "../datastore/Datastore.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { ArchivePlace, PxarArchive } from "./archive/PxarArchive.ts"
import { copyOf } from "./content/ContentReader.ts"
import { type Place, placeOf } from "./tree/inodes.ts"
import type { Node } from "./tree/Nodes.ts"
import { nameOf, type OpenSnapshot } from "./tree/OpenSnapshots.ts"
import { openTree, type Tree, type VfsOptions } from "./tree/openTree.ts"
import { type Attributes, type Inode, rootInode, type Statistics, Vfs } from "./Vfs.ts"
import { type VfsError, vfsError } from "./VfsError.ts"

export type { VfsOptions } from "./tree/openTree.ts"
export type { VfsRoot } from "./tree/openRoot.ts"

type Operations = Vfs["Service"]

/** What every operation begins with: above the archives, or in one. */
interface Where<A> {
  readonly above: (node: Node) => Effect.Effect<A, VfsError>
  readonly inside: (archive: PxarArchive, place: ArchivePlace) => Effect.Effect<A, VfsError>
}

const longestNameBytes = 255

/** What `df` shows: the file system that the store is on. A bucket has no size, and what cannot be asked has none. */
const statisticsOf = ({ space }: Datastore["Service"]): Effect.Effect<Statistics> =>
  space.pipe(
    Effect.catch(() => Effect.succeed(undefined)),
    Effect.map((found) => ({ totalBytes: 0, availableBytes: 0, ...found, longestNameBytes }))
  )

const unknownInode = (inode: Inode) => vfsError("Gone", `inode ${inode}`, "there is no such thing here")

const notADirectory = (subject: string) => vfsError("NotADirectory", subject, "it is not a directory")

const equalBytes = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0

/** Finds what an inode stands for. */
const finder = ({ lists, nodes, rootDirectory, slots, snapshots }: Tree) => {
  const inArchive = <A>(
    inode: Inode,
    place: Place,
    inside: Where<A>["inside"]
  ): Effect.Effect<A, VfsError> => {
    const slot = slots.find(place.slot)
    if (slot === undefined) return Effect.fail(unknownInode(inode))
    const use = (opened: OpenSnapshot) =>
      Effect.flatMap(opened.archive(slot.filename), (archive) =>
        archive.slot === place.slot
          ? inside(archive, place)
          : Effect.fail(
              vfsError("Gone", `${nameOf(slot.place)} ${slot.name}`, "another snapshot has taken its place")
            )
      )
    return Effect.catchIf(
      snapshots.use(slot.place, use),
      ({ reason }) => reason === "Damaged",
      // Where nobody can be kept from removing it, what is missing may have been removed.
      (error) =>
        Effect.flatMap(lists.isThere(slot.place), (isThere) =>
          Effect.fail(isThere ? error : vfsError("Gone", error.subject, "the snapshot was removed"))
        )
    )
  }

  return <A>(inode: Inode, { above, inside }: Where<A>): Effect.Effect<A, VfsError> =>
    Effect.suspend(() => {
      const place = placeOf(inode === rootInode ? (rootDirectory ?? rootInode) : inode)
      if (place.slot > 0) return inArchive(inode, place, inside)
      const node = nodes.find(place.position)
      return node === undefined || node.inode !== inode ? Effect.fail(unknownInode(inode)) : above(node)
    })
}

const operationsOf = (tree: Tree): Omit<Operations, "root" | "statistics"> => {
  const { above, files, nodes, rootDirectory, slots, snapshots, validSeconds } = tree
  const find = finder(tree)

  /** As it is told: the root by its own number. */
  const outward = (inode: Inode): Inode => (inode === rootDirectory ? rootInode : inode)

  const ofDirectory = <A>(
    { isDirectory, position }: ArchivePlace,
    subject: string,
    use: (end: number) => Effect.Effect<A, VfsError>
  ) => (isDirectory ? use(position) : Effect.fail(notADirectory(subject)))

  const attributes = (inode: Inode): Effect.Effect<Attributes, VfsError> =>
    find(inode, {
      above: above.attributes,
      inside: (archive, place) => archive.attributes(place)
    }).pipe(Effect.map((found) => (inode === rootInode ? { ...found, inode } : found)))

  const lookup = (directory: Inode, name: Uint8Array) =>
    find(directory, {
      above: (node) => above.lookup(node, name),
      inside: (archive, place) => ofDirectory(place, archive.subject, (end) => archive.lookup(end, name))
    }).pipe(
      Effect.flatMap((found) => {
        if (found !== undefined) return Effect.succeed(found)
        const shown = JSON.stringify(new TextDecoder().decode(name))
        return Effect.fail(vfsError("NotFound", shown, "there is nothing of this name"))
      })
    )

  const list: Operations["list"] = (directory) =>
    find(directory, {
      above: (node) => Effect.map(above.list(node), (entries) => ({ entries, validSeconds })),
      inside: (archive, place) => ofDirectory(place, archive.subject, archive.list)
    })

  /** The archive's own directory is in its snapshot. */
  const parentOutside = (archive: PxarArchive, found: Inode | undefined): Inode => {
    if (found !== undefined) return outward(found)
    const slot = slots.find(archive.slot)
    return slot === undefined ? rootInode : nodes.ofSnapshot(slot.place).inode
  }

  const parentInArchive = (archive: PxarArchive, end: number) =>
    Effect.map(archive.parent(end), (found) => parentOutside(archive, found))

  const parent = (directory: Inode): Effect.Effect<Inode, VfsError> =>
    directory === rootInode
      ? Effect.succeed(rootInode)
      : find(directory, {
          above: (node) => Effect.succeed(node.parent.inode),
          inside: (archive, place) =>
            ofDirectory(place, archive.subject, (end) => parentInArchive(archive, end))
        })

  const readLink = (inode: Inode) =>
    find(inode, { above: above.readLink, inside: (archive, place) => archive.readLink(place) })

  const xattrs = (inode: Inode) =>
    find(inode, { above: () => Effect.succeed([]), inside: (archive, place) => archive.xattrs(place) })

  /** A file above the archives, whose snapshot is open meanwhile. */
  const onFile = <A>(
    { name, place }: Node,
    use: (
      opened: OpenSnapshot,
      file: Extract<Node["place"], { kind: "file" }>["file"]
    ) => Effect.Effect<A, VfsError>
  ): Effect.Effect<A, VfsError> => {
    if (place.kind === "file") return snapshots.use(place.at, (opened) => use(opened, place.file))
    return Effect.fail(
      place.kind === "latest"
        ? vfsError("WrongKind", name, "a symbolic link has no content")
        : vfsError("IsADirectory", name, "it is a directory")
    )
  }

  const lend: Operations["lend"] = (inode, offset, lengthBytes, use) =>
    find(inode, {
      above: (node) =>
        onFile(node, (opened, file) => files.lend(opened, node, file, { offset, lengthBytes }, use)),
      inside: (archive, place) => archive.lend(place, offset, lengthBytes, use)
    })

  /** One that is open. */
  const archiveNow = (number: number): PxarArchive | undefined => {
    const slot = number === 0 ? undefined : slots.find(number)
    const archive = slot === undefined ? undefined : snapshots.now(slot.place)?.archiveNow(slot.filename)
    return archive?.slot === number ? archive : undefined
  }

  const lendNow: Operations["lendNow"] = (inode, offset, lengthBytes, use) => {
    const place = placeOf(inode)
    return archiveNow(place.slot)?.lendNow(place, offset, lengthBytes, use) ?? false
  }

  const listNow: Operations["listNow"] = (directory) => {
    const { isDirectory, position, slot } = placeOf(directory)
    const archive = isDirectory ? archiveNow(slot) : undefined
    const found = archive?.listNow(position)
    return archive === undefined || found === undefined
      ? undefined
      : { listing: found.listing, parent: parentOutside(archive, found.parent) }
  }

  const seek: Operations["seek"] = (inode, offset, wanted) =>
    find(inode, {
      above: (node) => onFile(node, (opened, file) => files.seek(opened, node, file, offset, wanted)),
      inside: (archive, place) => archive.seek(place, offset, wanted)
    })

  return {
    attributes,
    lookup,
    list,
    parent,
    listNow,
    readLink,
    xattrNames: (inode) => Effect.map(xattrs(inode), (all) => all.map(({ name }) => name)),
    xattr: (inode, wanted) =>
      Effect.flatMap(xattrs(inode), (all) => {
        const found = all.find(({ name }) => equalBytes(name, wanted))
        if (found !== undefined) return Effect.succeed(found.value)
        const shown = new TextDecoder().decode(wanted)
        return Effect.fail(vfsError("NoAttribute", shown, "there is no such attribute"))
      }),
    read: (inode, offset, lengthBytes) => lend(inode, offset, lengthBytes, copyOf),
    lend,
    lendNow,
    seek
  }
}

/** Opens the tree; it lasts as long as the scope. Nothing is listed for it. */
export const make = (
  options: VfsOptions = {}
): Effect.Effect<Operations, StorageError | StoreError | VfsError, Datastore | Scope.Scope> =>
  Effect.gen(function* () {
    const tree = yield* openTree(options)
    const operations = operationsOf(tree)
    const root = yield* operations.attributes(rootInode)
    return Vfs.of({ root, ...operations, statistics: statisticsOf(yield* Datastore) })
  })

export const layer = (
  options: VfsOptions = {}
): Layer.Layer<Vfs, StorageError | StoreError | VfsError, Datastore> => Layer.effect(Vfs, make(options))
