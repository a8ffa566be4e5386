/**
 * PlainEntries: decodes the entries that nearly all are, files, directories and symbolic links without extended
 * attributes, straight into what the tree shows. A listing of a hundred thousand files is a matter of such entries.
 *
 * Invariant: an entry is either decoded exactly as `decodeChild` and `attributesOf` would, or left to them: whatever is
 * not as it should be in the least is theirs to judge.
 */
import type { ContentRange } from "../../format/pxar/Accessor.ts"
import type { ChildExtent } from "../../format/pxar/GoodbyeTable.ts"
import * as Items from "../../format/pxar/Items.ts"
import { kindOfMode } from "../../model/FileMetadata.ts"
import { directoryBase, leafBase } from "../tree/inodes.ts"
import type { Attributes, Entry } from "../Vfs.ts"
import { blocksOf, directoryLinkCount, type Owners } from "./attributesOf.ts"

export interface PlainOptions {
  readonly slot: number
  readonly version: 1 | 2
  readonly owners: Owners
  /** Told of every directory: where it ends, and where its entry begins. */
  readonly onDirectory: (endOffset: number, entryStart: number) => void
  /** Told of every file: where its content is, and of one in the other stream where it is said to be. */
  readonly onFile: (fileOffset: number, content: ContentRange) => void
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
  readonly #directoryBase: bigint
  readonly #leafBase: bigint

  constructor(options: PlainOptions) {
    this.#options = options
    this.#directoryBase = directoryBase(options.slot)
    this.#leafBase = leafBase(options.slot)
  }

  /** Decodes the child, which begins at `at` in the bytes; undefined for one that is left to others. */
  decode(bytes: Uint8Array, view: DataView, at: number, extent: ChildExtent): Entry | undefined {
    const nameStart = at + Items.HEADER_BYTES
    if (nameStart > bytes.length || !isItem(view, at, Items.FILENAME)) return undefined
    const entryAt = at + u64At(view, at + 8)
    const bodyAt = entryAt + entryBytes
    if (entryAt <= nameStart || bodyAt + Items.HEADER_BYTES > bytes.length || bytes[entryAt - 1] !== 0) {
      return undefined
    }
    const isEntry = isItem(view, entryAt, Items.ENTRY) && u64At(view, entryAt + 8) === entryBytes
    if (!isEntry || !isName(bytes, nameStart, entryAt - 1)) return undefined
    const endAt = at + extent.endOffset - extent.fileOffset
    const attributes = this.#attributes(bytes, view, bodyAt, endAt, extent)
    if (attributes === undefined) return undefined
    if (attributes.kind === "directory") {
      this.#options.onDirectory(extent.endOffset, extent.fileOffset + entryAt - at)
    }
    return { name: bytes.slice(nameStart, entryAt - 1), attributes }
  }

  #attributes(
    bytes: Uint8Array,
    view: DataView,
    bodyAt: number,
    endAt: number,
    extent: ChildExtent
  ): Attributes | undefined {
    const statAt = bodyAt - Items.ENTRY.maximumBytes
    const mode = u64At(view, statAt)
    const kind = mode < 0 || mode > 0xffff_ffff ? undefined : kindOfMode(mode)
    if (kind !== "file" && kind !== "directory" && kind !== "symlink") return undefined
    const sizeBytes = this.#sizeOf(kind, bytes, view, bodyAt, endAt, extent)
    const mtimeSeconds = view.getInt32(statAt + 28, true) * 0x1_0000_0000 + view.getUint32(statAt + 24, true)
    const mtimeNanos = view.getUint32(statAt + 32, true)
    const hasFlags = u64At(view, statAt + 8) >= 0
    const isSound = hasFlags && Number.isSafeInteger(mtimeSeconds) && mtimeNanos < nanosPerSecond
    if (sizeBytes < 0 || !isSound) return undefined
    const { owners } = this.#options
    const isDirectory = kind === "directory"
    return {
      inode: isDirectory
        ? this.#directoryBase + BigInt(extent.endOffset)
        : this.#leafBase + BigInt(extent.fileOffset),
      kind,
      mode,
      linkCount: isDirectory ? directoryLinkCount : 1,
      uid: owners.uid ?? view.getUint32(statAt + 16, true),
      gid: owners.gid ?? view.getUint32(statAt + 20, true),
      sizeBytes,
      blocks: kind === "file" ? blocksOf(sizeBytes) : 0,
      mtimeSeconds,
      mtimeNanos,
      device: undefined,
      validSeconds: Number.POSITIVE_INFINITY
    }
  }

  /** From the item behind the ENTRY; -1 when that is not the only one this kind may have there. */
  #sizeOf(
    kind: "file" | "directory" | "symlink",
    bytes: Uint8Array,
    view: DataView,
    bodyAt: number,
    endAt: number,
    { endOffset, fileOffset, sizeBytes }: ChildExtent
  ): number {
    if (kind === "directory") {
      const isBare = isWhole(view, bodyAt, Items.FILENAME) || isWhole(view, bodyAt, Items.GOODBYE)
      return isBare && bodyAt + Items.HEADER_BYTES <= endAt && sizeBytes === endOffset - fileOffset ? 0 : -1
    }
    const contentAt = bodyAt + Items.HEADER_BYTES
    const contentBytes = endAt - contentAt
    if (u64At(view, bodyAt + 8) !== contentBytes + Items.HEADER_BYTES) return -1
    if (kind === "file" && isItem(view, bodyAt, Items.PAYLOAD)) {
      const offset = endOffset - contentBytes
      this.#options.onFile(fileOffset, { stream: "archive", offset, sizeBytes: contentBytes })
      return contentBytes
    }
    if (endAt > bytes.length) return -1
    if (kind === "file") {
      const isReference = this.#options.version === 2 && isItem(view, bodyAt, Items.PAYLOAD_REF)
      const isExact = isReference && contentBytes === Items.PAYLOAD_REF.maximumBytes
      if (!isExact) return -1
      const payloadOffset = u64At(view, contentAt)
      if (payloadOffset < Items.HEADER_BYTES) return -1
      const payloadBytes = u64At(view, contentAt + 8)
      const offset = payloadOffset + Items.HEADER_BYTES
      if (payloadBytes >= 0)
        this.#options.onFile(fileOffset, { stream: "payload", offset, sizeBytes: payloadBytes })
      return payloadBytes
    }
    const lengthBytes = contentBytes - 1
    const isTarget =
      isItem(view, bodyAt, Items.SYMLINK) && lengthBytes >= 0 && lengthBytes <= Items.PATH_LIMIT_BYTES
    return isTarget && bytes.indexOf(0, contentAt) === endAt - 1 ? lengthBytes : -1
  }
}
