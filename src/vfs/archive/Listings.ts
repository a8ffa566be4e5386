/**
 * Listings: the directories that were listed lately, of all archives together. A system asks for a large directory
 * piece by piece, and for every name in it besides.
 */
import type { Entry, Inode, Listing } from "../Vfs.ts"
import { WeightedCache } from "../tree/WeightedCache.ts"

interface KeptListing {
  readonly listing: Listing
  /** By name, byte by byte; made when the first name is looked up. */
  names: ReadonlyMap<string, Entry> | undefined
}

/** An entry takes about half a KiB. */
const entriesMax = 32_768

/** Large ones that are listed at the same time must not push each other out. */
const stayCount = 4

/** What a listing takes besides its entries. */
const listingWeight = 8

/** A name's bytes as text, one letter a byte. */
export const keyOf = (name: Uint8Array): string =>
  Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString("latin1")

export class Listings {
  readonly #kept: WeightedCache<Inode, KeptListing>

  constructor(weightMax = entriesMax) {
    this.#kept = new WeightedCache(weightMax, stayCount)
  }

  get(directory: Inode): Listing | undefined {
    return this.#kept.get(directory)?.listing
  }

  keep(directory: Inode, listing: Listing): void {
    this.#kept.set(directory, { listing, names: undefined }, listing.entries.length + listingWeight)
  }

  /** The entry of that name; undefined when the directory has none, "unknown" when it is not here. */
  find(directory: Inode, name: Uint8Array): Entry | undefined | "unknown" {
    const kept = this.#kept.get(directory)
    if (kept === undefined) return "unknown"
    kept.names ??= new Map(kept.listing.entries.map((entry) => [keyOf(entry.name), entry]))
    return kept.names.get(keyOf(name))
  }
}
