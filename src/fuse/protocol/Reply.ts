/**
 * Reply: what the kernel is answered, encoded into memory that is used again and again (protocol 7.31 and later,
 * little endian).
 *
 * Functions called `put...` write at an offset and answer where they ended; those that make a whole reply answer its
 * length. Every byte of a structure is written, for the memory still holds what was answered before.
 */
import type { Attributes, Statistics } from "../../vfs/Vfs.ts"

export interface ReplyBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
}

export const headerBytes = 16
export const attributesBytes = 88
export const entryBytes = 40 + attributesBytes

export const makeBuffer = (sizeBytes: number): ReplyBuffer => {
  const bytes = new Uint8Array(sizeBytes)
  return { bytes, view: new DataView(bytes.buffer) }
}

const twoTo32 = 4_294_967_296

/** A whole number of up to 53 bits, below zero too. */
const put64 = (view: DataView, offset: number, value: number): void => {
  const high = Math.floor(value / twoTo32)
  view.setUint32(offset, value - high * twoTo32, true)
  view.setInt32(offset + 4, high, true)
}

/** "Without end", for a kernel that computes with it: ten years. */
const endlessSeconds = 315_360_000

const wholeSeconds = (seconds: number): number =>
  seconds > 0 ? Math.floor(Math.min(seconds, endlessSeconds)) : 0

const restNanos = (seconds: number): number =>
  seconds > 0 && seconds < endlessSeconds ? Math.floor((seconds % 1) * 1e9) : 0

/** As the kernel packs device numbers into 32 bits. */
const deviceNumber = ({ major, minor }: { readonly major: number; readonly minor: number }): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0

/** `fuse_attr`. */
const putAttributes = (view: DataView, start: number, attributes: Attributes): number => {
  const { device, mtimeNanos, mtimeSeconds } = attributes
  view.setBigUint64(start, attributes.inode, true)
  put64(view, start + 8, attributes.sizeBytes)
  put64(view, start + 16, attributes.blocks)
  for (let time = 0; time < 3; time++) {
    put64(view, start + 24 + time * 8, mtimeSeconds)
    view.setUint32(start + 48 + time * 4, mtimeNanos, true)
  }
  view.setUint32(start + 60, attributes.mode, true)
  view.setUint32(start + 64, attributes.linkCount, true)
  view.setUint32(start + 68, attributes.uid, true)
  view.setUint32(start + 72, attributes.gid, true)
  view.setUint32(start + 76, device === undefined ? 0 : deviceNumber(device), true)
  view.setUint32(start + 80, 4096, true)
  view.setUint32(start + 84, 0, true)
  return start + attributesBytes
}

/** `fuse_entry_out`: a name's inode, and how long both may be relied on. */
export const putEntry = (view: DataView, start: number, attributes: Attributes): number => {
  const seconds = wholeSeconds(attributes.validSeconds)
  const nanos = restNanos(attributes.validSeconds)
  view.setBigUint64(start, attributes.inode, true)
  put64(view, start + 8, 0)
  put64(view, start + 16, seconds)
  put64(view, start + 24, seconds)
  view.setUint32(start + 32, nanos, true)
  view.setUint32(start + 36, nanos, true)
  return putAttributes(view, start + 40, attributes)
}

/** Writes the header once the length is known, and answers it. */
export const finish = ({ view }: ReplyBuffer, unique: bigint, lengthBytes: number): number => {
  view.setUint32(0, lengthBytes, true)
  view.setInt32(4, 0, true)
  view.setBigUint64(8, unique, true)
  return lengthBytes
}

export const error = ({ view }: ReplyBuffer, unique: bigint, errno: number): number => {
  view.setUint32(0, headerBytes, true)
  view.setInt32(4, -errno, true)
  view.setBigUint64(8, unique, true)
  return headerBytes
}

/** Done, with nothing to tell. */
export const empty = (reply: ReplyBuffer, unique: bigint): number => finish(reply, unique, headerBytes)

export const entry = (reply: ReplyBuffer, unique: bigint, attributes: Attributes): number =>
  finish(reply, unique, putEntry(reply.view, headerBytes, attributes))

/** There is nothing of that name, and that may be relied on for a while. */
export const noEntry = (reply: ReplyBuffer, unique: bigint, validSeconds: number): number => {
  reply.bytes.fill(0, headerBytes, headerBytes + entryBytes)
  put64(reply.view, headerBytes + 16, wholeSeconds(validSeconds))
  reply.view.setUint32(headerBytes + 32, restNanos(validSeconds), true)
  return finish(reply, unique, headerBytes + entryBytes)
}

/** `fuse_attr_out`. */
export const attributes = (reply: ReplyBuffer, unique: bigint, found: Attributes): number => {
  put64(reply.view, headerBytes, wholeSeconds(found.validSeconds))
  reply.view.setUint32(headerBytes + 8, restNanos(found.validSeconds), true)
  reply.view.setUint32(headerBytes + 12, 0, true)
  return finish(reply, unique, putAttributes(reply.view, headerBytes + 16, found))
}

export const OpenFlag = { keepCache: 2, cacheDirectory: 8 } as const

/** `fuse_open_out`. */
export const opened = (reply: ReplyBuffer, unique: bigint, handle: number, flags: number): number => {
  put64(reply.view, headerBytes, handle)
  reply.view.setUint32(headerBytes + 8, flags, true)
  reply.view.setUint32(headerBytes + 12, 0, true)
  return finish(reply, unique, headerBytes + 16)
}

/** `fuse_getxattr_out`: how long a value or a list of names is. */
export const xattrSize = (reply: ReplyBuffer, unique: bigint, sizeBytes: number): number => {
  reply.view.setUint32(headerBytes, sizeBytes, true)
  reply.view.setUint32(headerBytes + 4, 0, true)
  return finish(reply, unique, headerBytes + 8)
}

/** `fuse_lseek_out`. */
export const sought = (reply: ReplyBuffer, unique: bigint, offset: number): number => {
  put64(reply.view, headerBytes, offset)
  return finish(reply, unique, headerBytes + 8)
}

const blockBytes = 4096

/** `fuse_kstatfs`. */
export const statistics = (reply: ReplyBuffer, unique: bigint, found: Statistics): number => {
  const { bytes, view } = reply
  const freeBlocks = Math.floor(found.availableBytes / blockBytes)
  bytes.fill(0, headerBytes, headerBytes + 80)
  put64(view, headerBytes, Math.ceil(found.totalBytes / blockBytes))
  put64(view, headerBytes + 8, freeBlocks)
  put64(view, headerBytes + 16, freeBlocks)
  view.setUint32(headerBytes + 40, blockBytes, true)
  view.setUint32(headerBytes + 44, found.longestNameBytes, true)
  view.setUint32(headerBytes + 48, blockBytes, true)
  return finish(reply, unique, headerBytes + 80)
}
