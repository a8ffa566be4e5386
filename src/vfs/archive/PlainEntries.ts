/**
 * PlainEntries: decodes the entries that nearly all are, files, directories and symbolic links without extended
 * attributes, straight into `PackedEntries`. A listing of a hundred thousand files is a matter of such entries.
 *
 * Invariant: an entry is either decoded exactly as `decodeChild` and `attributesOf` would, or left to them: whatever is
 * not as it should be in the least is theirs to judge.
 */
import type { ChildExtent } from "../../format/pxar/GoodbyeTable.ts"
import * as Items from "../../format/pxar/Items.ts"
import { kindOfMode } from "../../model/FileMetadata.ts"
import type { Owners } from "./attributesOf.ts"
import type { PackedEntries, PlainFields } from "./PackedEntries.ts"

export interface PlainOptions {
  readonly packed: PackedEntries
  readonly version: 1 | 2
  readonly owners: Owners
  /** Told of every directory: where it ends, and where its entry begins. */
  readonly onDirectory: (endOffset: number, entryStart: number) => void
}

const entryBytes = Items.HEADER_BYTES + Items.ENTRY.maximumBytes
const safeHigh = 0x1f_ffff
const slash = 0x2f
const dot = 0x2e
const nanosPerSecond = 1_000_000_000

const isItem = (view: DataView, at: number, item: Items.Item): boolean =>
  view.getUint32(at, true) === item.low && view.getUint32(at + 4, true) === item.high

/** -1 for what a number cannot hold exactly. */
const u64At = (view: DataView, at: number): number => {
  const high = view.getUint32(at + 4, true)
  return high > safeHigh ? -1 : high * 0x1_0000_0000 + view.getUint32(at, true)
}

/** An item of that type and a size that it may have. */
const isWhole = (view: DataView, at: number, item: Items.Item): boolean => {
  const contentBytes = u64At(view, at + 8) - Items.HEADER_BYTES
  return isItem(view, at, item) && contentBytes >= item.minimumBytes && contentBytes <= item.maximumBytes
}

const isName = (bytes: Uint8Array, start: number, end: number): boolean => {
  const lengthBytes = end - start
  if (lengthBytes < 1 || lengthBytes > Items.PATH_LIMIT_BYTES) return false
  for (let at = start; at < end; at++) if (bytes[at] === 0 || bytes[at] === slash) return false
  return !(bytes[start] === dot && (lengthBytes === 1 || (lengthBytes === 2 && bytes[start + 1] === dot)))
}

export class PlainEntries {
  readonly #options: PlainOptions
  readonly #fields: PlainFields = {
    position: 0,
    sizeBytes: 0,
    contentOffset: 0,
    contentPlace: "none",
    mode: 0,
    uid: 0,
    gid: 0,
    mtimeSeconds: 0,
    mtimeNanos: 0
  }

  constructor(options: PlainOptions) {
    this.#options = options
  }

  /** Decodes a directory's child, which begins at `at` in the bytes; false for one that is left to others. */
  decode(bytes: Uint8Array, view: DataView, at: number, extent: ChildExtent, child: number): boolean {
    const nameStart = at + Items.HEADER_BYTES
    if (nameStart > bytes.length || !isItem(view, at, Items.FILENAME)) return false
    const entryAt = at + u64At(view, at + 8)
    const bodyAt = entryAt + entryBytes
    if (entryAt <= nameStart || bodyAt + Items.HEADER_BYTES > bytes.length || bytes[entryAt - 1] !== 0) {
      return false
    }
    const isEntry = isItem(view, entryAt, Items.ENTRY) && u64At(view, entryAt + 8) === entryBytes
    if (!isEntry || !isName(bytes, nameStart, entryAt - 1)) return false
    const endAt = at + extent.endOffset - extent.fileOffset
    const kind = this.#take(bytes, view, bodyAt, endAt, extent)
    if (kind === undefined) return false
    this.#options.packed.putPlain(child, this.#fields, bytes, nameStart, entryAt - 1)
    if (kind === "directory") {
      this.#options.onDirectory(extent.endOffset, extent.fileOffset + entryAt - at)
    }
    return true
  }

  /** Takes all but the name; undefined when it is not plain. */
  #take(
    bytes: Uint8Array,
    view: DataView,
    bodyAt: number,
    endAt: number,
    extent: ChildExtent
  ): "file" | "directory" | "symlink" | undefined {
    const statAt = bodyAt - Items.ENTRY.maximumBytes
    const mode = u64At(view, statAt)
    const kind = mode < 0 || mode > 0xffff_ffff ? undefined : kindOfMode(mode)
    if (kind !== "file" && kind !== "directory" && kind !== "symlink") return undefined
    const fields = this.#fields
    fields.contentPlace = "none"
    fields.contentOffset = 0
    const sizeBytes = this.#sizeOf(kind, bytes, view, bodyAt, endAt, extent)
    const mtimeSeconds = view.getInt32(statAt + 28, true) * 0x1_0000_0000 + view.getUint32(statAt + 24, true)
    const mtimeNanos = view.getUint32(statAt + 32, true)
    const hasFlags = u64At(view, statAt + 8) >= 0
    const isSound = hasFlags && Number.isSafeInteger(mtimeSeconds) && mtimeNanos < nanosPerSecond
    if (sizeBytes < 0 || !isSound) return undefined
    const { owners } = this.#options
    fields.position = kind === "directory" ? extent.endOffset : extent.fileOffset
    fields.sizeBytes = sizeBytes
    fields.mode = mode
    fields.uid = owners.uid ?? view.getUint32(statAt + 16, true)
    fields.gid = owners.gid ?? view.getUint32(statAt + 20, true)
    fields.mtimeSeconds = mtimeSeconds
    fields.mtimeNanos = mtimeNanos
    return kind
  }

  /**
   * From the item behind the ENTRY; -1 when that is not the only one this kind may have there. Takes where a file's
   * content is, or, of one in the other stream, where it is said to be.
   */
  #sizeOf(
    kind: "file" | "directory" | "symlink",
    bytes: Uint8Array,
    view: DataView,
    bodyAt: number,
    endAt: number,
    { endOffset, fileOffset, sizeBytes }: ChildExtent
  ): number {
    const fields = this.#fields
    if (kind === "directory") {
      const isBare = isWhole(view, bodyAt, Items.FILENAME) || isWhole(view, bodyAt, Items.GOODBYE)
      return isBare && bodyAt + Items.HEADER_BYTES <= endAt && sizeBytes === endOffset - fileOffset ? 0 : -1
    }
    const contentAt = bodyAt + Items.HEADER_BYTES
    const contentBytes = endAt - contentAt
    if (u64At(view, bodyAt + 8) !== contentBytes + Items.HEADER_BYTES) return -1
    if (kind === "file" && isItem(view, bodyAt, Items.PAYLOAD)) {
      fields.contentPlace = "archive"
      fields.contentOffset = endOffset - contentBytes
      return contentBytes
    }
    if (endAt > bytes.length) return -1
    if (kind === "file") {
      const isReference = this.#options.version === 2 && isItem(view, bodyAt, Items.PAYLOAD_REF)
      const isExact = isReference && contentBytes === Items.PAYLOAD_REF.maximumBytes
      if (!isExact) return -1
      const payloadOffset = u64At(view, contentAt)
      if (payloadOffset < Items.HEADER_BYTES) return -1
      fields.contentPlace = "payload"
      fields.contentOffset = payloadOffset + Items.HEADER_BYTES
      return u64At(view, contentAt + 8)
    }
    const lengthBytes = contentBytes - 1
    const isTarget =
      isItem(view, bodyAt, Items.SYMLINK) && lengthBytes >= 0 && lengthBytes <= Items.PATH_LIMIT_BYTES
    return isTarget && bytes.indexOf(0, contentAt) === endAt - 1 ? lengthBytes : -1
  }
}
