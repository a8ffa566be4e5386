/**
 * DirectoryReply: a stretch of a directory's entries, as many as fit, with what the kernel needs to ask for the next.
 *
 * A cookie is the number of entries that were taken before, `.` and `..` included. So a stretch can begin at any of
 * them, as long as the list stays the same: the driver keeps it while the directory is open.
 */
import type { Attributes, Inode, Listing, ListedDirectory as Listed, PackedListing } from "../../vfs/Vfs.ts"
import { entryBytes, headerBytes, finish, putEntry, type ReplyBuffer } from "./Reply.ts"

/** Of `fuse_dirent`, without its name. */
const directoryEntryBytes = 24

const dot = Uint8Array.of(0x2e)
const dotDot = Uint8Array.of(0x2e, 0x2e)
/** The kind's bits of a directory's mode, as entries carry them. */
const directoryType = 4

const typeOf = ({ mode }: Attributes): number => (mode >>> 12) & 0xf

interface Stretch {
  readonly reply: ReplyBuffer
  readonly endBytes: number
  readonly withAttributes: boolean
}

/** Writes one entry, and answers where it ended; undefined when it does not fit. */
const putNamed = (
  { endBytes, reply, withAttributes }: Stretch,
  start: number,
  cookie: number,
  name: Uint8Array,
  found: { readonly inode: Inode; readonly type: number; readonly attributes: Attributes | undefined }
): number | undefined => {
  const prefixBytes = withAttributes ? entryBytes : 0
  const nameStart = start + prefixBytes + directoryEntryBytes
  const end = start + prefixBytes + ((directoryEntryBytes + name.length + 7) & ~7)
  if (end > endBytes) return undefined
  const { bytes, view } = reply
  // Without a node the kernel takes the name alone: it knows `.` and `..` by itself.
  if (withAttributes) {
    if (found.attributes === undefined) bytes.fill(0, start, start + entryBytes)
    else putEntry(view, start, found.attributes)
  }
  const at = start + prefixBytes
  view.setBigUint64(at, found.inode, true)
  view.setUint32(at + 8, cookie, true)
  view.setUint32(at + 12, 0, true)
  view.setUint32(at + 16, name.length, true)
  view.setUint32(at + 20, found.type, true)
  bytes.set(name, nameStart)
  bytes.fill(0, nameStart + name.length, end)
  return end
}

export interface ListedDirectory extends Listed {
  readonly inode: Inode
  /** Attributes of directories alone: of everything else the name is enough (`NameWalks`). */
  readonly isByName?: boolean
}

/** How many there are, `.` and `..` not counted. */
export const countOf = (listing: Listing): number => listing.packed?.count ?? listing.entries.length

/** The same for a packed child: nothing is made for it but the attributes, where they are wanted. */
const putPacked = (
  { endBytes, reply, withAttributes }: Stretch,
  start: number,
  cookie: number,
  packed: PackedListing,
  child: number,
  isByName: boolean
): number | undefined => {
  const nameBytes = packed.nameBytes(child)
  const at = start + (withAttributes ? entryBytes : 0)
  const end = at + ((directoryEntryBytes + nameBytes + 7) & ~7)
  if (end > endBytes) return undefined
  const { bytes, view } = reply
  if (withAttributes) {
    if (isByName && !packed.isDirectory(child)) bytes.fill(0, start, at)
    else putEntry(view, start, packed.attributes(child))
  }
  packed.putInode(child, view, at)
  view.setUint32(at + 8, cookie, true)
  view.setUint32(at + 12, 0, true)
  view.setUint32(at + 16, nameBytes, true)
  view.setUint32(at + 20, packed.typeOf(child), true)
  packed.putName(child, bytes, at + directoryEntryBytes)
  for (let pad = at + directoryEntryBytes + nameBytes; pad < end; pad++) bytes[pad] = 0
  return end
}

/** Writes the entries from `cookie` on, in up to `sizeBytes` bytes. An empty reply is the end of the directory. */
export const encode = (
  reply: ReplyBuffer,
  unique: bigint,
  { inode, isByName = false, listing, parent }: ListedDirectory,
  wanted: {
    readonly cookie: number
    readonly sizeBytes: number
    readonly withAttributes: boolean
  }
): number => {
  const endBytes = Math.min(headerBytes + wanted.sizeBytes, reply.bytes.length)
  const stretch: Stretch = { reply, endBytes, withAttributes: wanted.withAttributes }
  const { packed } = listing
  const entries = packed === undefined ? listing.entries : []
  const total = 2 + (packed?.count ?? entries.length)
  const put = (start: number, cookie: number): number | undefined => {
    const entry = entries[cookie - 2]
    if (entry === undefined) {
      const found = { inode: cookie === 0 ? inode : parent, type: directoryType, attributes: undefined }
      return putNamed(stretch, start, cookie + 1, cookie === 0 ? dot : dotDot, found)
    }
    const { attributes, name } = entry
    return putNamed(stretch, start, cookie + 1, name, {
      inode: attributes.inode,
      type: typeOf(attributes),
      attributes: isByName && attributes.kind !== "directory" ? undefined : attributes
    })
  }
  let end = headerBytes
  for (let cookie = wanted.cookie; cookie < total; cookie++) {
    const next =
      cookie < 2 || packed === undefined
        ? put(end, cookie)
        : putPacked(stretch, end, cookie + 1, packed, cookie - 2, isByName)
    if (next === undefined) break
    end = next
  }
  return finish(reply, unique, end)
}
