/**
 * The items a pxar archive is made of. Each is a header of 16 bytes, u64 type and u64 full size (header
 * included), and its content; `ITEMS` lists every type there is with the limits of its content.
 *
 * A type is SipHash-2-4 under `ARCHIVE_KEY` of the label `__PROXMOX_FORMAT_<NAME>__`. Types are kept as two
 * 32-bit halves, as that is how they are read and written; the low halves alone are all different.
 */
import type { ByteWriter } from "../ByteWriter.ts"
import { fail } from "../FormatError.ts"
import { makeSipKey } from "../SipHash.ts"

export interface Item {
  /** Name in the format's documentation, for messages. */
  readonly name: string
  readonly low: number
  readonly high: number
  readonly minimumBytes: number
  readonly maximumBytes: number
}

export const HEADER_BYTES = 16
/** Longest file name, link target and hard link path, without the NUL. */
export const PATH_LIMIT_BYTES = 4096
/** Longest name of an extended attribute. */
export const XATTR_NAME_LIMIT_BYTES = 255
/**
 * The prelude has no limit in the format; ours keeps a crafted archive from being held in memory as a whole.
 */
export const PRELUDE_LIMIT_BYTES = 16 * 1024 * 1024
/** The same for all extended attributes and access control entries of one file together. */
export const ATTRIBUTES_LIMIT_BYTES = 64 * 1024 * 1024

/** First 16 bytes of SHA-1("PROXMOX ARCHIVE FORMAT"): keys item types and the hashes of goodbye tables. */
export const ARCHIVE_KEY = makeSipKey(0x83ac3f1cfbb450dbn, 0xaa4f1b6879369fbdn)

const ITEMS = new Map<number, Item>()

const item = (name: string, type: bigint, minimumBytes: number, maximumBytes: number): Item => {
  const low = Number(type & 0xffff_ffffn)
  const made = { name, low, high: Number(type >> 32n), minimumBytes, maximumBytes }
  ITEMS.set(low, made)
  return made
}

const exactly = (name: string, type: bigint, bytes: number): Item => item(name, type, bytes, bytes)

const UNLIMITED = Number.MAX_SAFE_INTEGER
const XATTR_LIMIT_BYTES = XATTR_NAME_LIMIT_BYTES + 65536

export const FORMAT_VERSION = exactly("FORMAT_VERSION", 0x730f6c75df16a40dn, 8)
export const PRELUDE = item("PRELUDE", 0xe309d79d9f7b771bn, 0, PRELUDE_LIMIT_BYTES)
export const ENTRY = exactly("ENTRY", 0xd5956474e588acefn, 40)
export const ENTRY_V1 = exactly("ENTRY_V1", 0x11da850a1c1cceffn, 32)
export const FILENAME = item("FILENAME", 0x16701121063917b3n, 2, PATH_LIMIT_BYTES + 1)
export const SYMLINK = item("SYMLINK", 0x27f971e7dbf5dc5fn, 1, PATH_LIMIT_BYTES + 1)
export const DEVICE = exactly("DEVICE", 0x9fc9e906586d5ce9n, 16)
export const XATTR = item("XATTR", 0x0dab0229b57dcd03n, 2, XATTR_LIMIT_BYTES)
export const ACL_USER = exactly("ACL_USER", 0x2ce8540a457d55b8n, 16)
export const ACL_GROUP = exactly("ACL_GROUP", 0x136e3eceb04c03abn, 16)
export const ACL_GROUP_OBJ = exactly("ACL_GROUP_OBJ", 0x10868031e9582876n, 8)
export const ACL_DEFAULT = exactly("ACL_DEFAULT", 0xbbbb13415a6896f5n, 32)
export const ACL_DEFAULT_USER = exactly("ACL_DEFAULT_USER", 0xc89357b40532cd1fn, 16)
export const ACL_DEFAULT_GROUP = exactly("ACL_DEFAULT_GROUP", 0xf90a8a5816038ffen, 16)
export const FCAPS = item("FCAPS", 0x2da9dd9db5f7fb67n, 0, XATTR_LIMIT_BYTES)
export const QUOTA_PROJID = exactly("QUOTA_PROJID", 0xe07540e82f7d1cbbn, 8)
export const HARDLINK = item("HARDLINK", 0x51269c8422bd7275n, 9, 8 + PATH_LIMIT_BYTES + 1)
export const PAYLOAD = item("PAYLOAD", 0x28147a1b0b7c1a25n, 0, UNLIMITED)
export const PAYLOAD_REF = exactly("PAYLOAD_REF", 0x419d3d6bc4ba977en, 16)
export const GOODBYE = item("GOODBYE", 0x2fec4fa642d5731dn, 24, UNLIMITED)
export const GOODBYE_TAIL_MARKER = exactly("GOODBYE_TAIL_MARKER", 0xef5eed5b753e1555n, 0)
export const PAYLOAD_START_MARKER = exactly("PAYLOAD_START_MARKER", 0x834c68c2194a4ed2n, 0)
export const PAYLOAD_TAIL_MARKER = exactly("PAYLOAD_TAIL_MARKER", 0x6c72b78b984c81b5n, 0)

export const writeHeader = (writer: ByteWriter, written: Item, contentBytes: number): ByteWriter =>
  writer.u64Halves(written.low, written.high).u64(HEADER_BYTES + contentBytes)

export interface Header {
  readonly item: Item
  readonly contentBytes: number
}

const describeType = (low: number, high: number): string =>
  `0x${high.toString(16).padStart(8, "0")}${low.toString(16).padStart(8, "0")}`

/**
 * Reads the header at `at` in `view`, which must hold it whole; `offset` is its place in the archive, for
 * messages.
 */
export const readHeader = (view: DataView, at: number, offset: number): Header => {
  const low = view.getUint32(at, true)
  const high = view.getUint32(at + 4, true)
  const found = ITEMS.get(low)
  if (found === undefined || found.high !== high) {
    return fail("pxar archive", offset, "the type of an item", describeType(low, high))
  }
  const fullHigh = view.getUint32(at + 12, true)
  const fullBytes = fullHigh * 0x1_0000_0000 + view.getUint32(at + 8, true)
  const contentBytes = fullBytes - HEADER_BYTES
  if (contentBytes < found.minimumBytes || contentBytes > found.maximumBytes || fullHigh > 0x1f_ffff) {
    const { minimumBytes, maximumBytes } = found
    const expected = `${minimumBytes} to ${maximumBytes} bytes of ${found.name}`
    return fail("pxar archive", offset + 8, expected, `${fullBytes} bytes with the header`)
  }
  return { item: found, contentBytes }
}
