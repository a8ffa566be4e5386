/**
 * PxarArchive: one file archive that is open, as part of the tree: directories listed with all attributes in one go,
 * names looked up, contents read. Version 1 is one stream, version 2 two; the contents' stream is opened when the first
 * byte of it is wanted.
 *
 * Places are what inodes say: where a directory ends, where anything else begins. Archives may be crafted: what does
 * not fit is `Damaged`, and never followed.
 */
import * as Effect from "effect/Effect"
import { attempt } from "../../format/attempt.ts"
import { fail, type FormatError } from "../../format/FormatError.ts"
import * as Accessor from "../../format/pxar/Accessor.ts"
import type { Entry as PxarEntry, HardlinkEntry } from "../../format/pxar/Entry.ts"
import type { ChildExtent } from "../../format/pxar/GoodbyeTable.ts"
import * as Items from "../../format/pxar/Items.ts"
import type { ExtendedAttribute } from "../../model/FileMetadata.ts"
import { PosixError } from "../../platform/Posix.ts"
import type { ContentReader } from "../content/ContentReader.ts"
import { directoryBase, leafBase } from "../tree/inodes.ts"
import { once } from "../tree/once.ts"
import { inWordsOf } from "../tree/toVfsError.ts"
import type { Attributes, Inode, Listing, Seek } from "../Vfs.ts"
import { type VfsError, vfsError } from "../VfsError.ts"
import { attributesOf, directoryLinkCount, type Owners } from "./attributesOf.ts"
import * as Directories from "./Directories.ts"
import * as DirectoryLists from "./DirectoryLists.ts"
import type { CountsOfLinks } from "./DirectoryLists.ts"
import { type FileRange, FileRanges, isHeaderOf } from "./FileRanges.ts"
import { readNamed } from "./readEntries.ts"
import type { LinkCounts } from "./LinkCounts.ts"
import type { Listings } from "./Listings.ts"
import { xattrsOf } from "./xattrsOf.ts"

export interface PxarArchiveOptions {
  /** Of the archive; see `inodes`. */
  readonly slot: number
  /** Snapshot and archive, for messages. */
  readonly subject: string
  readonly source: ContentReader
  /** The contents of a split archive. */
  readonly payload:
    | { readonly sizeBytes: number; readonly open: Effect.Effect<ContentReader, VfsError> }
    | undefined
  readonly owners: Owners
  readonly listings: Listings
  /** How many names files have, as far as that can be known; asked for when it is first needed. */
  readonly linkCounts: (archive: PxarArchive) => Effect.Effect<LinkCounts, VfsError>
}

/** What has a position in an archive. */
export interface ArchivePlace {
  readonly isDirectory: boolean
  readonly position: number
}

export interface PxarArchive {
  readonly slot: number
  readonly subject: string
  readonly version: 1 | 2
  readonly source: ContentReader
  readonly rootEnd: number
  readonly attributes: (place: ArchivePlace) => Effect.Effect<Attributes, VfsError>
  /** Undefined when the directory has nothing of that name. */
  readonly lookup: (directoryEnd: number, name: Uint8Array) => Effect.Effect<Attributes | undefined, VfsError>
  readonly list: (directoryEnd: number) => Effect.Effect<Listing, VfsError>
  /** The same and the parent at once, where all that it takes is in memory; undefined when it is not. */
  readonly listNow: (
    directoryEnd: number
  ) => { readonly listing: Listing; readonly parent: Inode | undefined } | undefined
  /** Undefined for the root. */
  readonly parent: (directoryEnd: number) => Effect.Effect<Inode | undefined, VfsError>
  /** Where the target of a hard link of that path begins; undefined when there is none. */
  readonly linkTarget: (path: ReadonlyArray<Uint8Array>) => Effect.Effect<number | undefined, VfsError>
  readonly readLink: (place: ArchivePlace) => Effect.Effect<Uint8Array, VfsError>
  readonly xattrs: (place: ArchivePlace) => Effect.Effect<ReadonlyArray<ExtendedAttribute>, VfsError>
  /** The bytes are lent to `use`, as by `ContentReader`. */
  readonly lend: <A>(
    place: ArchivePlace,
    offset: number,
    lengthBytes: number,
    use: (bytes: Uint8Array) => A
  ) => Effect.Effect<A, VfsError>
  /** The same where all of it is in memory; false when it is not, and then `use` was not called. */
  readonly lendNow: (
    place: ArchivePlace,
    offset: number,
    lengthBytes: number,
    use: (bytes: Uint8Array) => void
  ) => boolean
  readonly seek: (
    place: ArchivePlace,
    offset: number,
    wanted: Seek
  ) => Effect.Effect<number | undefined, VfsError>
}

const nothing = new Uint8Array(0)

/** What the format reads here and there, in memory of its own: it keeps some of it. */
const rangesOf = (
  sizeBytes: number,
  open: Effect.Effect<ContentReader, VfsError>
): Accessor.RangeReader<VfsError> => ({
  sizeBytes,
  read: (offset, lengthBytes) => Effect.flatMap(open, (content) => content.look(offset, lengthBytes))
})

/** What the parts of an open archive share. */
interface Parts {
  readonly options: PxarArchiveOptions
  readonly archive: Accessor.Archive<VfsError>
  readonly directories: Directories.Directories
  readonly counts: CountsOfLinks
  readonly files: FileRanges
}

type Failure = FormatError | VfsError

/** What an inode stands for. */
type Resolved = Exclude<PxarEntry, HardlinkEntry>

/** Links are resolved before anything gets an inode. */
const notLink = (entry: PxarEntry): Resolved =>
  entry.kind === "hardlink"
    ? fail("pxar archive", entry.targetFileOffset, "an entry that is no hard link", "a hard link")
    : entry

const browsing = ({ archive, counts, directories, files, options }: Parts) => {
  const { listings, owners, slot, source } = options
  const { version } = archive
  const [directoryStart, leafStart] = [directoryBase(slot), leafBase(slot)]

  const ofDirectory = (entry: Resolved, endOffset: number): Attributes =>
    attributesOf(entry, directoryStart + BigInt(endOffset), directoryLinkCount, owners)

  const ofLeaf = (entry: Resolved, fileOffset: number, known: LinkCounts | undefined): Attributes => {
    const linkCount = entry.kind === "file" ? (known?.countOf(fileOffset) ?? 1) : 1
    return attributesOf(entry, leafStart + BigInt(fileOffset), linkCount, owners)
  }

  /** Asked for as late as possible: a directory without regular files never needs them. */
  const countsFor = (entry: PxarEntry) => (entry.kind === "file" ? counts.get : Effect.succeed(undefined))

  const entryOf = ({ isDirectory, position }: ArchivePlace): Effect.Effect<Resolved, Failure> =>
    isDirectory
      ? Effect.map(directories.open(position), ({ entry }) => entry)
      : Effect.flatMap(readNamed(version, source, position), ({ entry }) => attempt(() => notLink(entry)))

  const attributes = ({ isDirectory, position }: ArchivePlace) =>
    Effect.gen(function* () {
      const entry = yield* entryOf({ isDirectory, position })
      if (isDirectory) return ofDirectory(entry, position)
      return ofLeaf(entry, position, yield* countsFor(entry))
    })

  const attributesOfChild = (child: Accessor.Child, entry: PxarEntry, directoryEnd: number) =>
    Effect.gen(function* () {
      if (entry.kind === "directory") {
        directories.remember(child.endOffset, child.entryStart, directoryEnd)
        return ofDirectory(entry, child.endOffset)
      }
      if (entry.kind !== "hardlink") return ofLeaf(entry, child.fileOffset, yield* countsFor(entry))
      const target = yield* Accessor.resolveHardlink(archive, child, entry)
      return ofLeaf(target.entry, target.child.fileOffset, yield* counts.get)
    })

  const childOf = (directoryEnd: number, name: Uint8Array) =>
    Effect.flatMap(directories.open(directoryEnd), ({ entry, table }) =>
      Accessor.lookup(archive, { child: archive.root, entry, table }, name)
    )

  const lookup = (directoryEnd: number, name: Uint8Array) =>
    Effect.gen(function* () {
      const listed = listings.find(directoryStart + BigInt(directoryEnd), name)
      if (listed !== "unknown") return listed
      const child = yield* childOf(directoryEnd, name)
      if (child === undefined) return undefined
      return yield* attributesOfChild(child, yield* Accessor.readEntry(archive, child), directoryEnd)
    })

  const { list, listNow } = DirectoryLists.make({
    archive,
    counts,
    directories,
    files,
    listings,
    owners,
    slot,
    source,
    ofDirectory,
    ofLeaf: (entry, fileOffset) => ofLeaf(entry, fileOffset, undefined)
  })

  const linkTarget = (path: ReadonlyArray<Uint8Array>) =>
    Effect.gen(function* () {
      let directoryEnd = archive.root.endOffset
      for (const name of path.slice(0, -1)) {
        const child = yield* childOf(directoryEnd, name)
        if (child === undefined) return undefined
        directories.remember(child.endOffset, child.entryStart, directoryEnd)
        directoryEnd = child.endOffset
      }
      const child = yield* childOf(directoryEnd, path.at(-1) ?? nothing)
      const entry = child === undefined ? undefined : yield* Accessor.readEntry(archive, child)
      return entry?.kind === "hardlink" ? entry.targetFileOffset : undefined
    })

  return { attributes, entryOf, linkTarget, list, listNow, lookup }
}

/** Contents of regular files. */
const contents = (
  { archive, files, options }: Parts,
  entryOf: (place: ArchivePlace) => Effect.Effect<Resolved, Failure>
) => {
  const { payload, source, subject } = options
  const rangeOf = (place: ArchivePlace): Effect.Effect<Accessor.ContentRange, Failure> =>
    Effect.gen(function* () {
      const entry = yield* entryOf(place)
      if (entry.kind === "directory") return yield* vfsError("IsADirectory", subject, "it is a directory")
      if (entry.kind !== "file")
        return yield* vfsError("WrongKind", subject, `a ${entry.kind} has no content`)
      if (entry.content.stream === "payload" && payload === undefined) {
        return yield* vfsError(
          "Damaged",
          subject,
          "the snapshot lacks the archive's contents (its .ppxar part)"
        )
      }
      const range = { ...(yield* Accessor.contentRange(archive, entry)), isProven: true }
      files.set(place.position, range)
      return range
    })

  const known = (place: ArchivePlace) => {
    const range = place.isDirectory ? undefined : files.get(place.position)
    return range?.isProven === true ? Effect.succeed(range) : rangeOf(place)
  }

  let openPayload: ContentReader | undefined
  const streamOf = ({ stream }: Accessor.ContentRange) =>
    stream === "archive" || payload === undefined
      ? Effect.succeed(source)
      : Effect.tap(payload.open, (opened) => Effect.sync(() => void (openPayload = opened)))

  const lend = <A>(place: ArchivePlace, offset: number, lengthBytes: number, use: (bytes: Uint8Array) => A) =>
    Effect.flatMap(known(place), (range): Effect.Effect<A, VfsError> => {
      const wantedBytes = Math.min(lengthBytes, range.sizeBytes - offset)
      if (wantedBytes <= 0) return Effect.succeed(use(nothing))
      return Effect.flatMap(streamOf(range), (content) =>
        content.lend(range.offset + offset, wantedBytes, range.offset + range.sizeBytes, use)
      )
    })

  /** One that a listing told of is proven on the way: its header stands right before it. */
  const lendFirst = (
    content: ContentReader,
    range: FileRange,
    wantedBytes: number,
    use: (bytes: Uint8Array) => void
  ): boolean => {
    const { offset, sizeBytes } = range
    const headerStart = offset - Items.HEADER_BYTES
    const isHere = content.lendNow(
      headerStart,
      Items.HEADER_BYTES + wantedBytes,
      offset + sizeBytes,
      (bytes) => {
        range.isProven = isHeaderOf(bytes, sizeBytes)
        if (range.isProven) use(bytes.subarray(Items.HEADER_BYTES))
      }
    )
    return isHere && range.isProven
  }

  const lendNow: PxarArchive["lendNow"] = ({ isDirectory, position }, offset, lengthBytes, use) => {
    const range = isDirectory || offset < 0 ? undefined : files.get(position)
    const content = range?.stream === "archive" ? source : openPayload
    if (range === undefined || content === undefined) return false
    const wantedBytes = Math.min(lengthBytes, range.sizeBytes - offset)
    if (wantedBytes <= 0) return false
    if (!range.isProven) return offset === 0 && lendFirst(content, range, wantedBytes, use)
    return content.lendNow(range.offset + offset, wantedBytes, range.offset + range.sizeBytes, use)
  }

  /** An archive does not say where a file's holes were. */
  const seek = (place: ArchivePlace, offset: number, wanted: Seek) =>
    Effect.map(known(place), ({ sizeBytes }) => {
      if (offset < 0 || offset >= sizeBytes) return undefined
      return wanted === "data" ? offset : sizeBytes
    })

  return { lend, lendNow, seek }
}

const countsOf = (count: Effect.Effect<LinkCounts, VfsError>): Effect.Effect<CountsOfLinks> =>
  Effect.gen(function* () {
    let known: LinkCounts | undefined
    const get: CountsOfLinks["get"] = yield* once(
      Effect.tap(count, (counted) => Effect.sync(() => void (known = counted)))
    )
    return { get, now: () => known }
  })

export const open = (options: PxarArchiveOptions): Effect.Effect<PxarArchive, VfsError> =>
  Effect.gen(function* () {
    const { payload, source, subject } = options
    const told = inWordsOf(subject)
    const archive = yield* told(
      Accessor.openArchive(
        rangesOf(source.sizeBytes, Effect.succeed(source)),
        payload === undefined ? undefined : rangesOf(payload.sizeBytes, payload.open)
      )
    )
    const { root, version } = archive
    const directories = Directories.make(archive, source, (extent: ChildExtent) =>
      readNamed(version, source, extent.fileOffset, extent)
    )
    const counts = yield* countsOf(Effect.suspend(() => options.linkCounts(opened)))
    const parts: Parts = { options, archive, directories, counts, files: new FileRanges() }
    const { attributes, entryOf, linkTarget, list, listNow, lookup } = browsing(parts)
    const { lend, lendNow, seek } = contents(parts, entryOf)

    const readLink = (place: ArchivePlace) =>
      Effect.flatMap(entryOf(place), (entry): Effect.Effect<Uint8Array, VfsError> =>
        entry.kind === "symlink"
          ? Effect.succeed(entry.target)
          : Effect.fail(vfsError("WrongKind", subject, `a ${entry.kind} leads nowhere`))
      )

    const xattrs = (place: ArchivePlace) =>
      Effect.flatMap(entryOf(place), (entry) =>
        Effect.try({
          try: () => xattrsOf(entry.metadata),
          catch: (error) => {
            if (!(error instanceof PosixError)) throw error
            return vfsError("Damaged", subject, "an access control list that no system could have")
          }
        })
      )

    const parentOf = ({ parentEnd }: Directories.Surrounding): Inode | undefined =>
      parentEnd === undefined ? undefined : directoryBase(options.slot) + BigInt(parentEnd)

    const parent = (directoryEnd: number) => Effect.map(directories.surrounding(directoryEnd), parentOf)

    const listedNow: PxarArchive["listNow"] = (directoryEnd) => {
      const around = directories.surroundingNow(directoryEnd)
      const listing = around === undefined ? undefined : listNow(directoryEnd)
      return around === undefined || listing === undefined ? undefined : { listing, parent: parentOf(around) }
    }

    const opened: PxarArchive = {
      slot: options.slot,
      subject,
      version,
      source,
      rootEnd: root.endOffset,
      attributes: (place) => told(attributes(place)),
      lookup: (directoryEnd, name) => told(lookup(directoryEnd, name)),
      list: (directoryEnd) => told(list(directoryEnd)),
      listNow: listedNow,
      parent: (directoryEnd) => told(parent(directoryEnd)),
      linkTarget: (path) => told(linkTarget(path)),
      readLink: (place) => told(readLink(place)),
      xattrs: (place) => told(xattrs(place)),
      lendNow,
      lend: (place, offset, lengthBytes, use) => told(lend(place, offset, lengthBytes, use)),
      seek: (place, offset, wanted) => told(seek(place, offset, wanted))
    }
    return opened
  })
