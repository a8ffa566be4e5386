/**
 * DirectoryReply: a stretch of a directory's entries, as many as fit, with what the kernel needs to ask for the next.
 *
 * A cookie is the number of entries that were taken before, `.` and `..` included. So a stretch can begin at any of
 * them, as long as the list stays the same: the driver keeps it while the directory is open.
 */
import type { Attributes, Inode, Listing } from "../../vfs/Vfs.ts"
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

export interface ListedDirectory {
  readonly inode: Inode
  readonly parent: Inode
  readonly listing: Listing
  /** Attributes of directories alone: of everything else the name is enough (`NameWalks`). */
  readonly isByName?: boolean
}

/** Writes the entries from `cookie` on, in up to `sizeBytes` bytes. An empty reply is the end of the directory. */
export const encode = (
  reply: ReplyBuffer,
  unique: bigint,
  { inode, isByName = false, listing: { entries }, parent }: ListedDirectory,
  wanted: {
    readonly cookie: number
    readonly sizeBytes: number
    readonly withAttributes: boolean
  }
): number => {
  const endBytes = Math.min(headerBytes + wanted.sizeBytes, reply.bytes.length)
  const stretch: Stretch = { reply, endBytes, withAttributes: wanted.withAttributes }
  const special = (node: Inode) => ({ inode: node, type: directoryType, attributes: undefined })
  let end = headerBytes
  for (let cookie = wanted.cookie; cookie < entries.length + 2; cookie++) {
    const entry = entries[cookie - 2]
    const next =
      entry === undefined
        ? putNamed(
            stretch,
            end,
            cookie + 1,
            cookie === 0 ? dot : dotDot,
            special(cookie === 0 ? inode : parent)
          )
        : putNamed(stretch, end, cookie + 1, entry.name, {
            inode: entry.attributes.inode,
            type: typeOf(entry.attributes),
            attributes: isByName && entry.attributes.kind !== "directory" ? undefined : entry.attributes
          })
    if (next === undefined) break
    end = next
  }
  return finish(reply, unique, end)
}
