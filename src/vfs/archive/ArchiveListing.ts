/**
 * ArchiveListing: a directory of an archive as it is listed. Its entries become objects when somebody asks for them.
 *
 * Invariant: it never changes.
 */
import type { Entry, Listing } from "../Vfs.ts"
import type { PackedEntries } from "./PackedEntries.ts"

export class ArchiveListing implements Listing {
  readonly packed: PackedEntries
  readonly validSeconds = Number.POSITIVE_INFINITY

  constructor(packed: PackedEntries) {
    this.packed = packed
  }

  get entries(): ReadonlyArray<Entry> {
    return Array.from({ length: this.packed.count }, (_, child) => this.packed.entry(child))
  }
}
