/**
 * RemoteFiles: a datastore on a server, seen as a file system that can only be read: the folder that it is there, as
 * far as the server tells.
 *
 * Folders and names come from listings (see `RemoteListings`), contents from `SnapshotContents`. There are no chunk
 * files: a server does not say which chunks it has. Lock files and leases are not there.
 *
 * Invariant: nothing is changed on the server; every operation that would write fails with `ReadOnlyFileSystem`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Namespace from "../model/Namespace.ts"
import { randomHex } from "../platform/Entropy.ts"
import {
  type ChildStat,
  type FileKind,
  Files,
  FilesError,
  type FileStat,
  isNotFound,
  type PathStat
} from "../platform/Files.ts"
import { refusingWrites } from "../platform/refusingWrites.ts"
import { type Place, placeOf } from "./places.ts"
import type { ListedSnapshot, RemoteListings } from "./RemoteListings.ts"
import { isMissing, type RemoteError } from "./RemoteError.ts"
import { asFilesError, notFound, readOnly } from "./readingFailures.ts"
import type { SnapshotContents } from "./SnapshotContents.ts"

export interface RemoteFilesOptions {
  /** The absolute path under which the datastore is seen. */
  readonly base: string
  readonly listings: RemoteListings
  readonly contents: SnapshotContents
}

interface Node {
  readonly kind: FileKind
  readonly sizeBytes: number
  readonly mtimeSeconds: number
}

type Folder = ReadonlyMap<string, Node>

type PlaceOf<Kind extends Place["kind"]> = Extract<Place, { readonly kind: Kind }>

const chunksFolder = ".chunks"
const looksAtOnce = 8
const suffixBytes = 3

const directory: Node = { kind: "directory", sizeBytes: 0, mtimeSeconds: 0 }

const fileNode = (sizeBytes: number, mtimeSeconds = 0): Node => ({ kind: "file", sizeBytes, mtimeSeconds })

const statOf = ({ kind, mtimeSeconds, sizeBytes }: Node): FileStat => ({
  kind,
  sizeBytes,
  mtimeSeconds,
  atimeSeconds: mtimeSeconds,
  inode: 0n,
  mode: kind === "directory" ? 0o40555 : 0o100444
})

/** What the server calls an empty namespace's folders is not told: types are there where groups are. */
const namespaceFolder = ({ listings }: RemoteFilesOptions, { namespace }: PlaceOf<"namespace">) =>
  Effect.gen(function* () {
    const all = yield* listings.namespaces
    if (!all.has(namespace)) return undefined
    const groups = yield* listings.groups(namespace)
    const types = new Set(groups.map(({ group }) => group.type))
    const hasChildren = [...all].some((other) => Namespace.parent(other) === namespace)
    const own = namespace === Namespace.root ? [chunksFolder] : []
    const names = [...own, ...(hasChildren ? ["ns"] : []), ...types]
    return new Map(names.map((name) => [name, directory]))
  })

const childrenFolder = ({ listings }: RemoteFilesOptions, { namespace }: PlaceOf<"namespaces">) =>
  Effect.map(listings.namespaces, (all) => {
    const children = [...all].filter((other) => Namespace.parent(other) === namespace)
    const names = children.flatMap((child) => Namespace.components(child).at(-1) ?? [])
    return names.length === 0 ? undefined : new Map(names.map((name) => [name, directory]))
  })

const typeFolder = ({ listings }: RemoteFilesOptions, { namespace, type }: PlaceOf<"type">) =>
  Effect.gen(function* () {
    if (!(yield* listings.namespaces).has(namespace)) return undefined
    const groups = (yield* listings.groups(namespace)).filter(({ group }) => group.type === type)
    return groups.length === 0 ? undefined : new Map(groups.map(({ group }) => [group.id, directory]))
  })

const listedGroup = (
  { listings }: RemoteFilesOptions,
  { group, namespace }: PlaceOf<"group" | "group file">
) =>
  Effect.gen(function* () {
    if (!(yield* listings.namespaces).has(namespace)) return undefined
    const groups = yield* listings.groups(namespace)
    return groups.find((listed) => BackupGroup.order(listed.group, group) === 0)
  })

const groupFolder = (options: RemoteFilesOptions, place: PlaceOf<"group">) =>
  Effect.gen(function* () {
    const found = yield* listedGroup(options, place)
    if (found === undefined) return undefined
    const snapshots = yield* options.listings.snapshots(place)
    const folder = new Map<string, Node>(snapshots.map(({ snapshot }) => [snapshot.directory, directory]))
    return found.owner === undefined ? folder : folder.set("owner", fileNode(found.owner.length + 1))
  })

const listedSnapshot = (
  { listings }: RemoteFilesOptions,
  { namespace, snapshot }: PlaceOf<"snapshot" | "file">
) =>
  Effect.gen(function* () {
    if (!(yield* listings.namespaces).has(namespace)) return undefined
    const snapshots = yield* listings.snapshots({ namespace, group: snapshot.group })
    return snapshots.find((listed) => listed.snapshot.time === snapshot.time)
  })

const filesOf = (listed: ListedSnapshot): Folder => {
  const { time } = listed.snapshot
  const folder = new Map(listed.files.map(({ name, sizeBytes = 0 }) => [name, fileNode(sizeBytes, time)]))
  return listed.protected ? folder.set(ArchiveName.protectedFile, fileNode(0, time)) : folder
}

const snapshotFolder = (options: RemoteFilesOptions, place: PlaceOf<"snapshot">) =>
  Effect.map(listedSnapshot(options, place), (listed) => listed && filesOf(listed))

/** The names in a folder; undefined for what is none. */
const folderOf = (
  options: RemoteFilesOptions,
  place: Place
): Effect.Effect<Folder | undefined, RemoteError> => {
  switch (place.kind) {
    case "namespace":
      return namespaceFolder(options, place)
    case "namespaces":
      return childrenFolder(options, place)
    case "type":
      return typeFolder(options, place)
    case "group":
      return groupFolder(options, place)
    case "snapshot":
      return snapshotFolder(options, place)
    case "group file":
    case "file":
      return Effect.succeed(undefined)
  }
}

/** The content of a file of a group. */
const groupFile = (options: RemoteFilesOptions, place: PlaceOf<"group file">) =>
  Effect.gen(function* () {
    const found = yield* listedGroup(options, place)
    if (found === undefined) return undefined
    const text = place.name === "owner" ? found.owner : yield* options.listings.groupNotes(place)
    if (text === undefined) return undefined
    return Buffer.from(place.name === "owner" ? `${text}\n` : text)
  })

/** A file that its snapshot has, as far as is known. */
const contentOf = (options: RemoteFilesOptions, place: PlaceOf<"file">) =>
  Effect.gen(function* () {
    const listed = yield* listedSnapshot(options, place)
    const node = listed && filesOf(listed).get(place.name)
    if (node === undefined) return undefined
    if (place.name === ArchiveName.protectedFile) return new Uint8Array(0)
    return yield* Effect.tapError(options.contents.file(place, place.name), (error) =>
      // What was listed is gone.
      isMissing(error) ? options.listings.forget : Effect.void
    )
  })

const bytesOf = (
  options: RemoteFilesOptions,
  place: Place
): Effect.Effect<Uint8Array | undefined, RemoteError> => {
  if (place.kind === "file") return contentOf(options, place)
  return place.kind === "group file" ? groupFile(options, place) : Effect.succeed(undefined)
}

const nodeOf = (options: RemoteFilesOptions, place: Place): Effect.Effect<Node | undefined, RemoteError> => {
  if (place.kind === "file") {
    return Effect.map(listedSnapshot(options, place), (listed) => listed && filesOf(listed).get(place.name))
  }
  return place.kind === "group file"
    ? Effect.map(groupFile(options, place), (bytes) => bytes && fileNode(bytes.length))
    : Effect.map(folderOf(options, place), (folder) => folder && directory)
}

/** Runs on what the path stands for; what stands for nothing is not there. */
const at = <A>(
  { base }: RemoteFilesOptions,
  operation: string,
  target: string,
  run: (place: Place) => Effect.Effect<A | undefined, RemoteError>
): Effect.Effect<A, FilesError> =>
  Effect.suspend(() => {
    const relative = path.relative(base, target)
    const place = relative === ".." || relative.startsWith("../") ? undefined : placeOf(relative)
    return place === undefined ? Effect.succeed(undefined) : run(place)
  }).pipe(
    Effect.mapError((error) => asFilesError(operation, target, error)),
    Effect.flatMap((found) =>
      found === undefined ? Effect.fail(notFound(operation, target)) : Effect.succeed(found)
    )
  )

const stat = (options: RemoteFilesOptions, target: string): Effect.Effect<FileStat, FilesError> =>
  path.relative(options.base, target) === chunksFolder
    ? Effect.succeed(statOf(directory))
    : Effect.map(
        at(options, "stat", target, (place) => nodeOf(options, place)),
        statOf
      )

const list = (options: RemoteFilesOptions, target: string): Effect.Effect<Folder, FilesError> =>
  at(options, "list", target, (place) => folderOf(options, place)).pipe(
    Effect.catchIf(isNotFound, (missing) =>
      Effect.flatMap(Effect.result(stat(options, target)), ({ _tag }) =>
        Effect.fail(
          _tag === "Success"
            ? new FilesError({ operation: "list", path: target, reason: "NotADirectory" })
            : missing
        )
      )
    )
  )

const readFile = (options: RemoteFilesOptions, target: string, maxSizeBytes: number) =>
  Effect.flatMap(
    at(options, "read", target, (place) => bytesOf(options, place)),
    (bytes) =>
      bytes.length <= maxSizeBytes
        ? Effect.succeed(bytes)
        : Effect.fail(new FilesError({ operation: "read", path: target, reason: "TooLarge" }))
  )

const openRead = (options: RemoteFilesOptions, target: string) =>
  Effect.map(readFile(options, target, Number.MAX_SAFE_INTEGER), (bytes) => ({
    sizeBytes: bytes.length,
    readAt: (offset: number, into: Uint8Array) =>
      Effect.sync(() => {
        const piece = bytes.subarray(offset, offset + into.length)
        into.set(piece)
        return piece.length
      })
  }))

const childOf = ([name, node]: readonly [string, Node]): ChildStat => {
  const { atimeSeconds, kind, mtimeSeconds, sizeBytes } = statOf(node)
  return { name, kind, sizeBytes, mtimeSeconds, atimeSeconds }
}

const orUndefined = (described: Effect.Effect<FileStat, FilesError>) =>
  described.pipe(
    Effect.map(({ kind, sizeBytes }): PathStat | undefined => ({ kind, sizeBytes })),
    Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
  )

export const make = (options: RemoteFilesOptions): Files["Service"] =>
  Files.of({
    ...refusingWrites(readOnly),
    stat: (target) => stat(options, target),
    readFile: (target, maxSizeBytes) => readFile(options, target, maxSizeBytes),
    readDirectory: (target) =>
      Effect.map(list(options, target), (folder) =>
        Array.from(folder, ([name, { kind }]) => ({ name, kind }))
      ),
    statDirectory: (target) => Effect.map(list(options, target), (folder) => Array.from(folder, childOf)),
    statEach: (targets) =>
      Effect.forEach(targets, (target) => orUndefined(stat(options, target)), { concurrency: looksAtOnce }),
    openRead: (target) => openRead(options, target),
    // Whoever wants to know asks the server (see `RemoteReading`).
    statFileSystem: () =>
      Effect.succeed({ totalBytes: Number.MAX_SAFE_INTEGER, availableBytes: Number.MAX_SAFE_INTEGER }),
    temporaryName: (target) => Effect.map(randomHex(suffixBytes), (letters) => `${target}.tmp_${letters}`)
  })

export const layer = (options: RemoteFilesOptions): Layer.Layer<Files> => Layer.succeed(Files, make(options))
