/**
 * FileRanges: where the contents of an archive's files are, by where the files begin: of those that were read lately,
 * and of those that were listed lately, for who lists a directory often reads the files in it next.
 *
 * What a listing says of a content in the other stream is not proven: at the place that an entry names must be a
 * PAYLOAD item of the right size, which is looked at when the content is read. Invariant: not more than twice
 * `generationMax` files are remembered, and the listings of as many children, or one larger one.
 */
import type { ContentRange } from "../../format/pxar/Accessor.ts"
import * as Items from "../../format/pxar/Items.ts"
import type { PackedEntries } from "./PackedEntries.ts"

export interface FileRange extends ContentRange {
  isProven: boolean
}

const generationMax = 16_384

/** A search looks into each. */
const listingsMax = 256

/** Whether that is the header of a content of that size. */
export const isHeaderOf = (bytes: Uint8Array, sizeBytes: number): boolean => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return (
    view.getUint32(0, true) === Items.PAYLOAD.low &&
    view.getUint32(4, true) === Items.PAYLOAD.high &&
    view.getUint32(12, true) * 0x1_0000_0000 + view.getUint32(8, true) === sizeBytes + Items.HEADER_BYTES
  )
}

export class FileRanges {
  /** What is neither used nor found anew while the young ones become too many is forgotten. */
  #young = new Map<number, FileRange>()
  #old = new Map<number, FileRange>()
  /** Latest first. */
  readonly #listings: Array<PackedEntries> = []
  #listedCount = 0

  get(fileOffset: number): FileRange | undefined {
    const young = this.#young.get(fileOffset)
    if (young !== undefined) return young
    const old = this.#old.get(fileOffset)
    const found = old ?? this.#listed(fileOffset)
    if (found !== undefined) this.set(fileOffset, found)
    return found
  }

  /** Remembers a directory that was listed just now. */
  list(packed: PackedEntries): void {
    if (!packed.hasFiles) return
    this.#listings.unshift(packed)
    this.#listedCount += packed.count
    const isTooMany = (): boolean =>
      this.#listings.length > listingsMax || this.#listedCount > 2 * generationMax
    while (this.#listings.length > 1 && isTooMany()) this.#listedCount -= this.#listings.pop()?.count ?? 0
  }

  #listed(fileOffset: number): FileRange | undefined {
    for (const packed of this.#listings) {
      const content = packed.contentAt(fileOffset)
      if (content !== undefined) return { ...content, isProven: content.stream === "archive" }
    }
    return undefined
  }

  set(fileOffset: number, range: FileRange): void {
    if (this.#young.size >= generationMax) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(fileOffset, range)
  }
}
