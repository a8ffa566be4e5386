/**
 * Listings: the directories that were listed lately, of all archives together. A system asks for a large directory
 * piece by piece, and for every name in it besides.
 */
import type { Attributes, Inode } from "../Vfs.ts"
import { WeightedCache } from "../tree/WeightedCache.ts"
import type { ArchiveListing } from "./ArchiveListing.ts"

interface KeptListing {
  readonly listing: ArchiveListing
  /** Numbers of children by name, byte by byte; made when the first name is looked up. */
  names: ReadonlyMap<string, number> | undefined
}

/** An entry takes about 80 bytes, and twice as much where names are looked up. */
const entriesMax = 32_768

/** Large ones that are listed at the same time must not push each other out. */
const stayCount = 4

/** What a listing takes besides its entries. */
const listingWeight = 8

/** A name's bytes as text, one letter a byte. */
export const keyOf = (name: Uint8Array): string =>
  Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString("latin1")

const namesOf = ({ packed }: ArchiveListing): ReadonlyMap<string, number> => {
  const names = new Map<string, number>()
  for (let child = 0; child < packed.count; child++) names.set(packed.nameText(child), child)
  return names
}

export class Listings {
  readonly #kept: WeightedCache<Inode, KeptListing>

  constructor(weightMax = entriesMax) {
    this.#kept = new WeightedCache(weightMax, stayCount)
  }

  get(directory: Inode): ArchiveListing | undefined {
    return this.#kept.get(directory)?.listing
  }

  keep(directory: Inode, listing: ArchiveListing): void {
    this.#kept.set(directory, { listing, names: undefined }, listing.packed.count + listingWeight)
  }

  /** What has that name; undefined when the directory has nothing of it, "unknown" when it is not here. */
  find(directory: Inode, name: Uint8Array): Attributes | undefined | "unknown" {
    const kept = this.#kept.get(directory)
    if (kept === undefined) return "unknown"
    kept.names ??= namesOf(kept.listing)
    const child = kept.names.get(keyOf(name))
    return child === undefined ? undefined : kept.listing.packed.attributes(child)
  }
}
