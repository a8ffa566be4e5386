/**
 * ArchiveTree: a file archive of a snapshot, browsed: any path looked up, directories listed, subtrees walked, single
 * files read, without reading the rest. Version 1 is one archive, version 2 is split into entries and contents; the
 * contents are opened when the first file is read.
 *
 * Archives may be crafted: what does not fit is a `StoreError` that says "damaged", walks keep lists of what is to come
 * instead of recursing, and the format's own rules see to it that they end.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import { FormatError } from "../format/FormatError.ts"
import type { ManifestFile } from "../format/Manifest.ts"
import * as Accessor from "../format/pxar/Accessor.ts"
import type { Entry, FileEntry, HardlinkEntry } from "../format/pxar/Entry.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as ArchiveReader from "./ArchiveReader.ts"
import { PathError, pathError } from "./browse/PathError.ts"
import { readAtOnce, streamOf } from "./browse/pieces.ts"
import * as PxarParts from "./browse/PxarParts.ts"
import { splitPath, TreeNode } from "./browse/TreeNode.ts"
import { walk } from "./browse/walk.ts"
import type { PieceStream } from "./PieceStream.ts"
import type { SnapshotReader } from "./SnapshotReader.ts"

export { PathError, TreeNode }

/** What can go wrong below: chunks, files, damage. */
export type TreeError = ArchiveReader.ReadError | StoreError

/** A directory that is open for lookups of its children. */
export interface OpenDirectory {
  readonly node: TreeNode
  readonly directory: Accessor.Directory
}

/** The bytes of one file, and the chunks they lie in. */
export interface FileBytes {
  readonly index: ChunkIndex
  /** Of the first byte in the index's archive. */
  readonly offset: number
  readonly sizeBytes: number
  readonly pieces: Effect.Effect<PieceStream<TreeError>, never, Scope.Scope>
}

/** What an entry is, hard links resolved. */
export type ResolvedEntry = Exclude<Entry, HardlinkEntry>

export interface ArchiveTree {
  readonly reader: SnapshotReader
  readonly parts: PxarParts.PxarParts
  readonly version: 1 | 2
  readonly root: TreeNode
  /** The entry at a path, which may begin with a slash. Symbolic links are not followed. */
  readonly lookup: (path: Uint8Array) => Effect.Effect<TreeNode, TreeError | PathError>
  /** The children of the directory at a path, in archive order. */
  readonly list: (path: Uint8Array) => Effect.Effect<ReadonlyArray<TreeNode>, TreeError | PathError>
  readonly children: (node: TreeNode) => Effect.Effect<ReadonlyArray<TreeNode>, TreeError | PathError>
  /** The entry at the path and everything below it, in archive order: a directory before what is in it. */
  readonly walk: (path?: Uint8Array) => Stream.Stream<TreeNode, TreeError | PathError>
  readonly walkFrom: (node: TreeNode) => Stream.Stream<TreeNode, TreeError>
  readonly openDirectory: (node: TreeNode) => Effect.Effect<OpenDirectory, TreeError | PathError>
  /** One child by name; undefined when there is none. */
  readonly childOf: (
    parent: OpenDirectory,
    name: Uint8Array
  ) => Effect.Effect<TreeNode | undefined, TreeError>
  /** What the entry is; for a hard link the file it is another name of. */
  readonly resolve: (node: TreeNode) => Effect.Effect<ResolvedEntry, TreeError>
  /** Where the bytes of a file or hard link are. */
  readonly locate: (node: TreeNode) => Effect.Effect<FileBytes, TreeError | PathError>
  /** The content of a file or hard link, fetched ahead. */
  readonly read: (node: TreeNode) => Stream.Stream<Uint8Array, TreeError | PathError>
}

const NO_PATH = new Uint8Array(0)

/** Files up to this size are read through the cache of chunks: neighbours often share one. */
const smallFileBytes = 1024 * 1024

interface Part {
  readonly index: ChunkIndex
  readonly bytes: ArchiveReader.ArchiveReader
}

const openPart = (reader: SnapshotReader, file: ManifestFile): Effect.Effect<Part, TreeError> =>
  Effect.gen(function* () {
    if (file.cryptMode === "encrypt" && reader.crypt === undefined) {
      const subject = `${Snapshot.format(reader.snapshot)} ${file.filename}`
      return yield* storeError("KeyNeeded", subject, "it is encrypted")
    }
    const index = yield* reader.index(file)
    return { index, bytes: yield* ArchiveReader.make(reader.datastore.chunks, index, reader.crypt) }
  })

/** A part that is opened when the first byte of it is wanted. */
const rangesOf = (
  file: ManifestFile,
  part: Effect.Effect<Part, TreeError>
): Accessor.RangeReader<TreeError> => ({
  sizeBytes: file.sizeBytes,
  read: (offset, lengthBytes) => Effect.flatMap(part, ({ bytes }) => bytes.read(offset, lengthBytes))
})

/** Opens a file archive of the snapshot; `name` is `root.pxar`, also for a split one, or that of a part. */
export const open = (reader: SnapshotReader, name: string): Effect.Effect<ArchiveTree, TreeError> =>
  Effect.gen(function* () {
    const parts = yield* PxarParts.find(reader.manifest, name)
    const subject = `${Snapshot.format(reader.snapshot)} ${parts.name}`
    const archivePart = yield* openPart(reader, parts.archive)
    const { payload } = parts
    const payloadPart = payload === undefined ? undefined : yield* Effect.cached(openPart(reader, payload))
    const sound = soundness(subject)
    const archive = yield* sound(
      Accessor.openArchive(
        rangesOf(parts.archive, Effect.succeed(archivePart)),
        payload === undefined || payloadPart === undefined ? undefined : rangesOf(payload, payloadPart)
      )
    )
    const root = new TreeNode(
      undefined,
      archive.root,
      yield* sound(Accessor.readEntry(archive, archive.root))
    )
    const browsing = browse(archive, root, subject)
    const content = contents(archive, archivePart, payloadPart, subject)
    return { reader, parts, version: archive.version, root, ...browsing, ...content }
  })

/** Damage is told with the archive's name. */
const soundness =
  (subject: string) =>
  <A, E, R>(effect: Effect.Effect<A, E | FormatError, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.catchIf(
      effect,
      (error): error is FormatError => error instanceof FormatError,
      (error) => Effect.fail(storeError("Damaged", subject, error.message))
    )

/** Directories and paths. */
const browse = (archive: Accessor.Archive<TreeError>, root: TreeNode, subject: string) => {
  const sound = soundness(subject)

  const nodeOf = (parent: TreeNode, child: Accessor.Child) =>
    Effect.map(sound(Accessor.readEntry(archive, child)), (entry) => new TreeNode(parent, child, entry))

  const openDirectory = (node: TreeNode): Effect.Effect<OpenDirectory, TreeError | PathError> =>
    node.entry.kind === "directory"
      ? Effect.map(sound(Accessor.openDirectory(archive, node.child)), (directory) => ({ node, directory }))
      : Effect.fail(pathError("NotADirectory", subject, node.path))

  const childOf = ({ node, directory }: OpenDirectory, name: Uint8Array) =>
    Effect.flatMap(sound(Accessor.lookup(archive, directory, name)), (child) =>
      child === undefined ? Effect.succeed(undefined) : nodeOf(node, child)
    )

  const lookup = (path: Uint8Array) =>
    Effect.gen(function* () {
      let node = root
      for (const name of splitPath(path)) {
        const found: TreeNode | undefined = yield* childOf(yield* openDirectory(node), name)
        if (found === undefined) return yield* pathError("NoSuchPath", subject, path)
        node = found
      }
      return node
    })

  const childrenOf = ({ directory }: OpenDirectory) => sound(Accessor.listChildren(archive, directory))

  const children = (node: TreeNode) =>
    Effect.gen(function* () {
      const opened = yield* openDirectory(node)
      return yield* Effect.forEach(yield* childrenOf(opened), (child) => nodeOf(node, child))
    })

  const childrenBelow = (node: TreeNode) =>
    node.entry.kind === "directory"
      ? Effect.flatMap(sound(Accessor.openDirectory(archive, node.child)), (directory) =>
          childrenOf({ node, directory })
        )
      : Effect.succeed([])

  const walkFrom = (start: TreeNode) => walk(start, childrenBelow, nodeOf)

  return {
    openDirectory,
    childOf,
    lookup,
    children,
    list: (path: Uint8Array) => Effect.flatMap(lookup(path), children),
    walkFrom,
    walk: (path: Uint8Array = NO_PATH) => Stream.unwrap(Effect.map(lookup(path), walkFrom))
  }
}

/** Contents of files. */
const contents = (
  archive: Accessor.Archive<TreeError>,
  archivePart: Part,
  payloadPart: Effect.Effect<Part, TreeError> | undefined,
  subject: string
) => {
  const sound = soundness(subject)

  const resolve = (node: TreeNode): Effect.Effect<ResolvedEntry, TreeError> =>
    node.entry.kind === "hardlink"
      ? Effect.map(sound(Accessor.resolveHardlink(archive, node.child, node.entry)), ({ entry }) => entry)
      : Effect.succeed(node.entry)

  const partOf = (file: FileEntry): Effect.Effect<Part, TreeError> => {
    if (file.content.stream === "archive") return Effect.succeed(archivePart)
    const missing = "the snapshot lacks the archive's contents (its .ppxar part)"
    return payloadPart ?? Effect.fail(storeError("Damaged", subject, missing))
  }

  const locate = (node: TreeNode): Effect.Effect<FileBytes, TreeError | PathError> =>
    Effect.gen(function* () {
      const file = yield* resolve(node)
      if (file.kind !== "file") return yield* pathError("NotAFile", subject, node.path)
      const { index, bytes } = yield* partOf(file)
      const { offset, sizeBytes } = yield* sound(Accessor.contentRange(archive, file))
      const pieces =
        sizeBytes <= smallFileBytes
          ? Effect.sync(() => readAtOnce(sizeBytes, (from, length) => bytes.read(offset + from, length)))
          : bytes.pieces(offset, sizeBytes)
      return { index, offset, sizeBytes, pieces }
    })

  return {
    resolve,
    locate,
    read: (node: TreeNode) => streamOf(Effect.flatMap(locate(node), ({ pieces }) => pieces))
  }
}
