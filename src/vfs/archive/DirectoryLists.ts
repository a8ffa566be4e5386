/**
 * DirectoryLists: one archive's directories, each listed with all attributes in one go.
 *
 * Where everything that it takes is in memory a listing is made at once (`listNow`), without running an effect, which
 * takes as long as all the rest for who goes through a thousand small directories. Invariant: it is the same listing;
 * whatever is out of the ordinary, in an archive that may be crafted, is left to `list`, which says what is wrong.
 */
import * as Effect from "effect/Effect"
import { FormatError } from "../../format/FormatError.ts"
import type { Archive } from "../../format/pxar/Accessor.ts"
import type { DirectoryEntry, Entry as PxarEntry, FileEntry, HardlinkEntry } from "../../format/pxar/Entry.ts"
import type { ContentReader } from "../content/ContentReader.ts"
import { directoryBase } from "../tree/inodes.ts"
import type { Attributes, Entry } from "../Vfs.ts"
import type { VfsError } from "../VfsError.ts"
import { ArchiveListing } from "./ArchiveListing.ts"
import type { Owners } from "./attributesOf.ts"
import type { Directories, OpenDirectory } from "./Directories.ts"
import type { FileRanges } from "./FileRanges.ts"
import type { LinkCounts } from "./LinkCounts.ts"
import type { Listings } from "./Listings.ts"
import { PackedEntries } from "./PackedEntries.ts"
import { PlainEntries } from "./PlainEntries.ts"
import { type Found, type ReadChild, readChildren, readChildrenNow, readTargets } from "./readEntries.ts"

/** How many names files have: found out when it is first asked for, and known from then on. */
export interface CountsOfLinks {
  readonly get: Effect.Effect<LinkCounts, VfsError>
  readonly now: () => LinkCounts | undefined
}

export interface DirectoryListsOptions {
  readonly slot: number
  readonly archive: Archive<VfsError>
  readonly source: ContentReader
  readonly directories: Directories
  readonly listings: Listings
  readonly files: FileRanges
  readonly owners: Owners
  readonly counts: CountsOfLinks
  readonly ofDirectory: (entry: DirectoryEntry, endOffset: number) => Attributes
  readonly ofLeaf: (
    entry: Exclude<PxarEntry, HardlinkEntry | DirectoryEntry>,
    fileOffset: number
  ) => Attributes
}

export interface DirectoryLists {
  readonly list: (directoryEnd: number) => Effect.Effect<ArchiveListing, FormatError | VfsError>
  readonly listNow: (directoryEnd: number) => ArchiveListing | undefined
}

type Targets = ReadonlyMap<number, FileEntry>

const noTargets: Targets = new Map()

const isLink = (child: ReadChild): boolean => "named" in child && child.named.entry.kind === "hardlink"

export const make = (options: DirectoryListsOptions): DirectoryLists => {
  const { archive, counts, directories, files, listings, ofDirectory, ofLeaf, owners, slot, source } = options
  const { version } = archive

  const inodeOf = (directoryEnd: number) => directoryBase(slot) + BigInt(directoryEnd)

  const shownOf = ({ endOffset, named }: Found, targets: Targets, directoryEnd: number): Entry => {
    const { entry, entryStart, fileOffset, name } = named
    if (entry.kind === "directory") {
      directories.remember(endOffset, entryStart, directoryEnd)
      return { name, attributes: ofDirectory(entry, endOffset) }
    }
    if (entry.kind !== "hardlink") return { name, attributes: ofLeaf(entry, fileOffset) }
    const target = targets.get(entry.targetFileOffset)
    if (target === undefined) throw new Error(`the target at ${entry.targetFileOffset} was not read`)
    return { name, attributes: ofLeaf(target, entry.targetFileOffset) }
  }

  const begin = (directoryEnd: number, { table }: OpenDirectory) => {
    const packed = new PackedEntries(slot, table.children.length)
    const onDirectory = (endOffset: number, entryStart: number): void =>
      directories.remember(endOffset, entryStart, directoryEnd)
    const plain = new PlainEntries({ packed, version, owners, onDirectory })
    return { extents: table.children, packed, plain }
  }

  /** Puts in what is not plain. */
  const putOthers = (
    packed: PackedEntries,
    children: ReadonlyArray<ReadChild>,
    targets: Targets,
    directoryEnd: number
  ): void => {
    for (const [number, child] of children.entries()) {
      if (!("named" in child)) continue
      const entry = shownOf(child, targets, directoryEnd)
      const isDirectory = entry.attributes.kind === "directory"
      packed.putOther(number, entry, isDirectory ? child.endOffset : child.named.fileOffset)
    }
  }

  const keep = (directoryEnd: number, packed: PackedEntries): ArchiveListing => {
    files.list(packed)
    const listing = new ArchiveListing(packed)
    listings.keep(inodeOf(directoryEnd), listing)
    return listing
  }

  const list: DirectoryLists["list"] = (directoryEnd) =>
    Effect.gen(function* () {
      const kept = listings.get(inodeOf(directoryEnd))
      if (kept !== undefined) return kept
      const { extents, packed, plain } = begin(directoryEnd, yield* directories.open(directoryEnd))
      const children = yield* readChildren(version, source, extents, plain)
      putOthers(packed, children, yield* readTargets(archive, source, children), directoryEnd)
      if (packed.hasFiles) packed.linkCounts = yield* counts.get
      return keep(directoryEnd, packed)
    })

  const makeNow = (directoryEnd: number): ArchiveListing | undefined => {
    const directory = directories.openNow(directoryEnd)
    if (directory === undefined) return undefined
    const { extents, packed, plain } = begin(directoryEnd, directory)
    const children = readChildrenNow(version, source, extents, plain)
    if (children === undefined || children.some(isLink)) return undefined
    putOthers(packed, children, noTargets, directoryEnd)
    const known = packed.hasFiles ? counts.now() : undefined
    if (known !== undefined) packed.linkCounts = known
    return packed.hasFiles && known === undefined ? undefined : keep(directoryEnd, packed)
  }

  const listNow: DirectoryLists["listNow"] = (directoryEnd) => {
    const kept = listings.get(inodeOf(directoryEnd))
    if (kept !== undefined) return kept
    try {
      return makeNow(directoryEnd)
    } catch (error) {
      if (error instanceof FormatError) return undefined
      throw error
    }
  }

  return { list, listNow }
}
