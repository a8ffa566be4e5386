/**
 * The kernel's structures, written member by member as they stand in linux/fuse.h: what encoders and decoders are
 * compared with. Nothing here knows an offset.
 */

/** Members in order, little endian. */
export const struct = (...members: ReadonlyArray<Uint8Array>): Uint8Array => Buffer.concat(members)

export const u16 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

export const u32 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

export const u64 = (value: bigint | number): Uint8Array => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)))
  return bytes
}

export const text = (value: string): Uint8Array => Buffer.from(value)

/** A name as the kernel sends it. */
export const name = (value: string): Uint8Array => Buffer.from(`${value}\0`)

export interface InHeader {
  readonly opcode: number
  readonly unique?: bigint
  readonly inode?: bigint
  readonly threadId?: number
}

/** `fuse_in_header` and what follows it. */
export const request = (
  { inode = 5n, opcode, threadId = 77, unique = 9n }: InHeader,
  ...body: ReadonlyArray<Uint8Array>
): Uint8Array => {
  const follows = struct(...body)
  const head = struct(u64(unique), u64(inode), u32(1000), u32(1001), u32(threadId), u16(0), u16(0))
  return struct(u32(8 + head.length + follows.length), u32(opcode), head, follows)
}

/** `fuse_out_header` and what follows it. */
export const reply = (unique: bigint, errno: number, ...body: ReadonlyArray<Uint8Array>): Uint8Array => {
  const follows = struct(...body)
  return struct(u32(16 + follows.length), u32(-errno), u64(unique), follows)
}

export interface AttrMembers {
  readonly ino: bigint
  readonly size: number
  readonly blocks: number
  readonly seconds: number
  readonly nanos: number
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly rdev: number
}

/** `fuse_attr`. */
export const attr = (of: AttrMembers): Uint8Array =>
  struct(
    u64(of.ino),
    u64(of.size),
    u64(of.blocks),
    u64(of.seconds),
    u64(of.seconds),
    u64(of.seconds),
    u32(of.nanos),
    u32(of.nanos),
    u32(of.nanos),
    u32(of.mode),
    u32(of.nlink),
    u32(of.uid),
    u32(of.gid),
    u32(of.rdev),
    u32(4096),
    u32(0)
  )

/** `fuse_entry_out`. */
export const entryOut = (of: AttrMembers, [seconds, nanos]: readonly [number, number]): Uint8Array =>
  struct(u64(of.ino), u64(0), u64(seconds), u64(seconds), u32(nanos), u32(nanos), attr(of))

/** `fuse_dirent` with its name, padded to 8 bytes. */
export const dirent = (ino: bigint, cookie: number, type: number, called: Uint8Array): Uint8Array => {
  const plain = struct(u64(ino), u64(cookie), u32(called.length), u32(type), called)
  return struct(plain, new Uint8Array((8 - (plain.length % 8)) % 8))
}
