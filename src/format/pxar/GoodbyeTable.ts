/**
 * The table at the end of a directory through which its children are found by name without reading it all.
 *
 * Content: one item of 24 bytes a child (u64 hash of its name, u64 distance from the child's FILENAME item to
 * the start of the GOODBYE item, u64 size of the child), and a tail item (marker, distance from the
 * directory's ENTRY to the start of the GOODBYE item, full size of the GOODBYE item). Sorted by hash, the
 * items form an implicit binary search tree: root at slot 0, smaller hashes below slot 2i+1, greater ones
 * below 2i+2, every level but the last one full.
 *
 * Children are laid out without gaps, so a child ends where the next one begins. The stored sizes are not
 * used for that: in a split archive the size of a file includes its payload, which is elsewhere.
 */
import type { ByteWriter } from "../ByteWriter.ts"
import { fail } from "../FormatError.ts"
import { sipHash24 } from "../SipHash.ts"
import * as Items from "./Items.ts"

export const GOODBYE_ITEM_BYTES = 24
/** A FILENAME of one letter and the smallest thing that may follow one, a HARDLINK with an empty path. */
const MINIMUM_CHILD_BYTES = 16 + 2 + 16 + 9

export interface GoodbyeItem {
  readonly hashLow: number
  readonly hashHigh: number
  /** Offset of the child's FILENAME item in the archive. */
  readonly fileOffset: number
  readonly sizeBytes: number
}

/** Hash of a child's name, low half first. */
export const hashName = (name: Uint8Array): Uint32Array => {
  const hash = new Uint32Array(2)
  sipHash24(Items.ARCHIVE_KEY, name, hash)
  return hash
}

const compareHashes = (left: GoodbyeItem, right: GoodbyeItem): number =>
  left.hashHigh - right.hashHigh || left.hashLow - right.hashLow

/** For each slot of the search tree over `count` sorted items, the index of the item that belongs there. */
export const searchTreeOrder = (count: number): Uint32Array => {
  const order = new Uint32Array(count)
  const place = (items: number, first: number, level: number, slot: number): void => {
    const half = 2 ** level
    const full = half + half / 2 - 1
    // The left subtree is full when the last level reaches past its middle; otherwise it lacks what is
    // missing there.
    const middle = items > full ? half - 1 : half - 1 - (full - items)
    order[slot] = first + middle
    if (middle > 0) place(middle, first, level - 1, 2 * slot + 1)
    if (middle + 1 < items) place(items - middle - 1, first + middle + 1, level - 1, 2 * slot + 2)
  }
  if (count > 0) place(count, 0, 31 - Math.clz32(count), 0)
  return order
}

/** Writes the GOODBYE item of the directory whose ENTRY stands at `entryStart`; sorts `items`. */
export const writeGoodbye = (writer: ByteWriter, items: Array<GoodbyeItem>, entryStart: number): void => {
  const goodbyeStart = writer.position
  const contentBytes = (items.length + 1) * GOODBYE_ITEM_BYTES
  items.sort(compareHashes)
  Items.writeHeader(writer, Items.GOODBYE, contentBytes)
  for (const index of searchTreeOrder(items.length)) {
    const { fileOffset, hashHigh, hashLow, sizeBytes } = items[index]!
    writer
      .u64Halves(hashLow, hashHigh)
      .u64(goodbyeStart - fileOffset)
      .u64(sizeBytes)
  }
  const marker = Items.GOODBYE_TAIL_MARKER
  writer
    .u64Halves(marker.low, marker.high)
    .u64(goodbyeStart - entryStart)
    .u64(Items.HEADER_BYTES + contentBytes)
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const u64At = (view: DataView, at: number, offset: number): number => {
  const high = view.getUint32(at + 4, true)
  if (high > 0x1f_ffff) fail("pxar archive", offset + at, "a distance below 2^53", `high half ${high}`)
  return high * 0x1_0000_0000 + view.getUint32(at, true)
}

/**
 * The extent of a directory as its goodbye tail gives it; offsets are of the ENTRY and of the GOODBYE item.
 */
export interface DirectoryExtent {
  readonly entryStart: number
  readonly goodbyeStart: number
  readonly endOffset: number
}

/**
 * Reads a goodbye tail, the 24 bytes before `endOffset`, and checks that the directory it describes is
 * possible.
 */
export const readGoodbyeTail = (tail: Uint8Array, endOffset: number): DirectoryExtent => {
  const view = viewOf(tail)
  const offset = endOffset - GOODBYE_ITEM_BYTES
  const marker = Items.GOODBYE_TAIL_MARKER
  if (view.getUint32(0, true) !== marker.low || view.getUint32(4, true) !== marker.high) {
    fail("pxar archive", offset, "the marker of a goodbye tail", "something else")
  }
  const fullBytes = u64At(view, 16, offset)
  const goodbyeStart = endOffset - fullBytes
  const entryStart = goodbyeStart - u64At(view, 8, offset)
  const count = (fullBytes - Items.HEADER_BYTES) / GOODBYE_ITEM_BYTES - 1
  const roomBytes = goodbyeStart - entryStart - Items.HEADER_BYTES - Items.ENTRY_V1.maximumBytes
  if (!Number.isInteger(count) || count < 0 || entryStart < 0 || roomBytes < count * MINIMUM_CHILD_BYTES) {
    fail("pxar archive", offset, "a goodbye tail that fits its directory", `${fullBytes} bytes of table`)
  }
  return { entryStart, goodbyeStart, endOffset }
}

/** A child as the table gives it: from its FILENAME item to the next child or the table. */
export interface ChildExtent {
  readonly fileOffset: number
  readonly endOffset: number
  readonly sizeBytes: number
}

/** The decoded table of one directory. */
export class GoodbyeTable {
  readonly extent: DirectoryExtent
  /** In the order they stand in the archive. */
  readonly children: ReadonlyArray<ChildExtent>
  readonly #items: DataView

  /** `bytes` is the GOODBYE item from its header to its end. */
  constructor(extent: DirectoryExtent, bytes: Uint8Array) {
    const start = extent.goodbyeStart
    const header = Items.readHeader(viewOf(bytes), 0, start)
    if (header.item !== Items.GOODBYE || header.contentBytes !== bytes.length - Items.HEADER_BYTES) {
      fail("pxar archive", start, "a goodbye table as large as its tail says", header.item.name)
    }
    this.extent = extent
    this.#items = viewOf(bytes.subarray(Items.HEADER_BYTES, bytes.length - GOODBYE_ITEM_BYTES))
    this.children = this.#readChildren()
  }

  get count(): number {
    return this.#items.byteLength / GOODBYE_ITEM_BYTES
  }

  #fileOffset(slot: number): number {
    const { goodbyeStart } = this.extent
    return goodbyeStart - u64At(this.#items, slot * GOODBYE_ITEM_BYTES + 8, goodbyeStart + Items.HEADER_BYTES)
  }

  #readChildren(): ReadonlyArray<ChildExtent> {
    const { entryStart, goodbyeStart } = this.extent
    const starts: Array<{ readonly fileOffset: number; readonly sizeBytes: number }> = []
    for (let slot = 0; slot < this.count; slot++) {
      const sizeBytes = u64At(this.#items, slot * GOODBYE_ITEM_BYTES + 16, goodbyeStart + Items.HEADER_BYTES)
      starts.push({ fileOffset: this.#fileOffset(slot), sizeBytes })
    }
    starts.sort((left, right) => left.fileOffset - right.fileOffset)
    return starts.map(({ fileOffset, sizeBytes }, index) => {
      const endOffset = starts[index + 1]?.fileOffset ?? goodbyeStart
      if (fileOffset <= entryStart || endOffset - fileOffset < MINIMUM_CHILD_BYTES) {
        fail(
          "pxar archive",
          goodbyeStart,
          "children one after the other",
          `one from ${fileOffset} to ${endOffset}`
        )
      }
      return { fileOffset, endOffset, sizeBytes }
    })
  }

  /** Children whose name has this hash; nearly always none or one. */
  find(hashLow: number, hashHigh: number): ReadonlyArray<ChildExtent> {
    const found: Array<ChildExtent> = []
    const pending = [0]
    for (let slot = pending.pop(); slot !== undefined; slot = pending.pop()) {
      if (slot >= this.count) continue
      const at = slot * GOODBYE_ITEM_BYTES
      const order =
        hashHigh - this.#items.getUint32(at + 4, true) || hashLow - this.#items.getUint32(at, true)
      if (order === 0) found.push(this.#childAt(this.#fileOffset(slot)))
      if (order >= 0) pending.push(2 * slot + 2)
      if (order <= 0) pending.push(2 * slot + 1)
    }
    return found
  }

  #childAt(fileOffset: number): ChildExtent {
    let low = 0
    let high = this.children.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.children[middle]!.fileOffset < fileOffset) low = middle + 1
      else high = middle
    }
    return this.children[low]!
  }
}
