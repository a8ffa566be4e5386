/**
 * System calls that Node does not offer, by way of koffi: extended attributes of links, nanosecond times, device
 * nodes, inode flags, holes, directory-relative operations. Linux on 64-bit machines only.
 *
 * Plain synchronous functions for the hot loops of the directory source and the extractor (about 2 us a call); only
 * flushing a file system, which waits for the disk, is a promise. They throw `PosixError` and nothing else. Names and
 * paths are raw bytes. Nothing is loaded before the first call, so that importing this module has no side effect.
 */
import * as NativeCalls from "./NativeCalls.ts"
import { PosixError } from "./NativeCalls.ts"

export { PosixError }

/** What statx tells of a file; times keep their nanoseconds. */
export interface PosixStat {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly linkCount: number
  readonly inode: bigint
  readonly sizeBytes: number
  readonly blocks: number
  readonly mtimeSeconds: number
  readonly mtimeNanos: number
  readonly ctimeSeconds: number
  readonly ctimeNanos: number
  readonly deviceMajor: number
  readonly deviceMinor: number
  readonly specialMajor: number
  readonly specialMinor: number
}

export const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_EMPTY_PATH = 0x1000
const STATX_BASIC_STATS = 0x7ff
const FS_IOC_GETFLAGS = 0x80086601
const FS_IOC_SETFLAGS = 0x40086602
const SEEK_DATA = 3
const SEEK_HOLE = 4
const largestXattrBytes = 65536

const prototypes = {
  openat: "int openat(int, _, int, uint)",
  mkdirat: "int mkdirat(int, _, uint)",
  symlinkat: "int symlinkat(_, int, _)",
  linkat: "int linkat(int, _, int, _, int)",
  mknodat: "int mknodat(int, _, uint, uint64)",
  unlinkat: "int unlinkat(int, _, int)",
  readlinkat: "int64 readlinkat(int, _, _, uint64)",
  fchownat: "int fchownat(int, _, uint, uint, int)",
  fchmod: "int fchmod(int, uint)",
  utimensat: "int utimensat(int, _, _, int)",
  futimens: "int futimens(int, _)",
  statx: "int statx(int, _, int, uint, _)",
  ioctl: "int ioctl(int, uint64, ...)",
  lseek: "int64 lseek(int, int64, int)",
  syncfs: "int syncfs(int)",
  llistxattr: "int64 llistxattr(_, _, uint64)",
  lgetxattr: "int64 lgetxattr(_, _, _, uint64)",
  lsetxattr: "int lsetxattr(_, _, _, uint64, int)",
  flistxattr: "int64 flistxattr(int, _, uint64)",
  fgetxattr: "int64 fgetxattr(int, _, _, uint64)",
  fsetxattr: "int fsetxattr(int, _, _, uint64, int)"
}

const { run, runLater } = NativeCalls.make(prototypes)

/** Bytes with the terminating NUL that system calls want. A NUL inside the name is refused. */
export const cString = (text: Uint8Array | string): Uint8Array => {
  const bytes = typeof text === "string" ? Buffer.from(text) : text
  if (bytes.includes(0)) throw new PosixError({ syscall: "path", code: "EINVAL" })
  const terminated = new Uint8Array(bytes.length + 1)
  terminated.set(bytes)
  return terminated
}

/** A path that names `name` inside an open directory, for calls that have no `at` form. */
export const childPath = (directoryFd: number, name: Uint8Array): Uint8Array =>
  cString(Buffer.concat([Buffer.from(`/proc/self/fd/${directoryFd}/`), name]))

export const openAt = (directoryFd: number, name: Uint8Array | string, flags: number, mode = 0): number =>
  run("openat", directoryFd, cString(name), flags, mode)

export const makeDirectoryAt = (directoryFd: number, name: Uint8Array, mode: number): void => {
  run("mkdirat", directoryFd, cString(name), mode)
}

export const symlinkAt = (target: Uint8Array, directoryFd: number, name: Uint8Array): void => {
  run("symlinkat", cString(target), directoryFd, cString(name))
}

/** Never follows a symbolic link at the source. */
export const linkAt = (fromFd: number, from: Uint8Array, toFd: number, to: Uint8Array): void => {
  run("linkat", fromFd, cString(from), toFd, cString(to), 0)
}

/** Makes a device node, fifo or socket. `mode` carries the type bits. */
export const makeNodeAt = (
  directoryFd: number,
  name: Uint8Array,
  mode: number,
  device: { readonly major: number; readonly minor: number }
): void => {
  const major = BigInt(device.major)
  const minor = BigInt(device.minor)
  const number =
    ((major & 0xfffn) << 8n) |
    ((major & 0xfffff000n) << 32n) |
    (minor & 0xffn) |
    ((minor & 0xffffff00n) << 12n)
  run("mknodat", directoryFd, cString(name), mode, number)
}

const AT_REMOVEDIR = 0x200

export const unlinkAt = (
  directoryFd: number,
  name: Uint8Array,
  kind: "file" | "directory" = "file"
): void => {
  run("unlinkat", directoryFd, cString(name), kind === "directory" ? AT_REMOVEDIR : 0)
}

const linkTarget = new Uint8Array(4097)

export const readLinkAt = (directoryFd: number, name: Uint8Array): Uint8Array =>
  linkTarget.slice(0, run("readlinkat", directoryFd, cString(name), linkTarget, linkTarget.length))

/** Changes the owner of the thing itself, also of a symbolic link. An empty name means the descriptor. */
export const changeOwnerAt = (directoryFd: number, name: Uint8Array, uid: number, gid: number): void => {
  run(
    "fchownat",
    directoryFd,
    cString(name),
    uid,
    gid,
    AT_SYMLINK_NOFOLLOW | (name.length === 0 ? AT_EMPTY_PATH : 0)
  )
}

export const changeMode = (fd: number, mode: number): void => {
  run("fchmod", fd, mode)
}

const times = new BigInt64Array(4)
const timesBytes = new Uint8Array(times.buffer)

/** Sets access and modification time to one instant, exact to the nanosecond; links are not followed. */
export const setTimesAt = (directoryFd: number, name: Uint8Array, seconds: number, nanos: number): void => {
  times[0] = times[2] = BigInt(seconds)
  times[1] = times[3] = BigInt(nanos)
  run("utimensat", directoryFd, cString(name), timesBytes, AT_SYMLINK_NOFOLLOW)
}

/** The same for an open descriptor. */
export const setTimes = (fd: number, seconds: number, nanos: number): void => {
  times[0] = times[2] = BigInt(seconds)
  times[1] = times[3] = BigInt(nanos)
  run("futimens", fd, timesBytes)
}

const statBytes = new Uint8Array(256)
const statView = new DataView(statBytes.buffer)

const signed64 = (offset: number): number => Number(statView.getBigInt64(offset, true))
const unsigned32 = (offset: number): number => statView.getUint32(offset, true)

/** Describes the thing itself (links are not followed); an empty name means the descriptor. */
export const statAt = (directoryFd: number, name: Uint8Array | string): PosixStat => {
  const flags = AT_SYMLINK_NOFOLLOW | (name.length === 0 ? AT_EMPTY_PATH : 0)
  run("statx", directoryFd, cString(name), flags, STATX_BASIC_STATS, statBytes)
  return {
    linkCount: unsigned32(16),
    uid: unsigned32(20),
    gid: unsigned32(24),
    mode: statView.getUint16(28, true),
    inode: statView.getBigUint64(32, true),
    sizeBytes: signed64(40),
    blocks: signed64(48),
    ctimeSeconds: signed64(96),
    ctimeNanos: unsigned32(104),
    mtimeSeconds: signed64(112),
    mtimeNanos: unsigned32(120),
    specialMajor: unsigned32(128),
    specialMinor: unsigned32(132),
    deviceMajor: unsigned32(136),
    deviceMinor: unsigned32(140)
  }
}

const inodeFlags = new Uint32Array(2)

/** The inode's flags as chattr knows them (FS_IOC_GETFLAGS). */
export const getInodeFlags = (fd: number): number => {
  run("ioctl", fd, FS_IOC_GETFLAGS, "void *", inodeFlags)
  return inodeFlags[0] ?? 0
}

export const setInodeFlags = (fd: number, flags: number): void => {
  inodeFlags[0] = flags
  run("ioctl", fd, FS_IOC_SETFLAGS, "void *", inodeFlags)
}

/** Start of the first data at or after `offset`; undefined when only a hole follows. */
export const nextData = (fd: number, offset: number): number | undefined => seekOrEnd(fd, offset, SEEK_DATA)

/** Start of the first hole at or after `offset` (the end of the file counts as one). */
export const nextHole = (fd: number, offset: number): number | undefined => seekOrEnd(fd, offset, SEEK_HOLE)

const seekOrEnd = (fd: number, offset: number, whence: number): number | undefined => {
  try {
    return Number(run("lseek", fd, offset, whence))
  } catch (error) {
    if (error instanceof PosixError && error.code === "ENXIO") return undefined
    throw error
  }
}

/** A disk may take seconds for it. */
export const syncFileSystem = async (fd: number): Promise<void> => {
  await runLater("syncfs", fd)
}

/** Where extended attributes are read or written: an open descriptor, or a path whose last part is not followed. */
export type XattrPlace = number | Uint8Array

const xattrBytes = new Uint8Array(largestXattrBytes)

const splitNames = (joined: Uint8Array): Array<Uint8Array> => {
  const names: Array<Uint8Array> = []
  let start = 0
  for (let end = joined.indexOf(0); end >= 0; end = joined.indexOf(0, start)) {
    names.push(joined.slice(start, end))
    start = end + 1
  }
  return names
}

/** Names of a file's extended attributes; empty where the file system has none to offer. */
export const listXattrs = (place: XattrPlace): ReadonlyArray<Uint8Array> => {
  try {
    const length =
      typeof place === "number"
        ? run("flistxattr", place, xattrBytes, largestXattrBytes)
        : run("llistxattr", place, xattrBytes, largestXattrBytes)
    return length === 0 ? [] : splitNames(xattrBytes.subarray(0, length))
  } catch (error) {
    if (error instanceof PosixError && (error.code === "ENOTSUP" || error.code === "EOPNOTSUPP")) return []
    throw error
  }
}

/** The value of one extended attribute; undefined when it has gone meanwhile. */
export const getXattr = (place: XattrPlace, name: Uint8Array): Uint8Array | undefined => {
  try {
    const length =
      typeof place === "number"
        ? run("fgetxattr", place, cString(name), xattrBytes, largestXattrBytes)
        : run("lgetxattr", place, cString(name), xattrBytes, largestXattrBytes)
    return xattrBytes.slice(0, length)
  } catch (error) {
    if (error instanceof PosixError && error.code === "ENODATA") return undefined
    throw error
  }
}

export const setXattr = (place: XattrPlace, name: Uint8Array, value: Uint8Array): void => {
  if (typeof place === "number") run("fsetxattr", place, cString(name), value, value.length, 0)
  else run("lsetxattr", place, cString(name), value, value.length, 0)
}

const FS_IOC_FSGETXATTR = 0x801c581f
const FS_IOC_FSSETXATTR = 0x401c5820
const PROJECT_ID_INDEX = 3
const fileAttributes = new Uint32Array(7)

/** Counts the inode to a quota project, where the file system knows such. */
export const setProjectId = (fd: number, projectId: number): void => {
  run("ioctl", fd, FS_IOC_FSGETXATTR, "void *", fileAttributes)
  fileAttributes[PROJECT_ID_INDEX] = projectId
  run("ioctl", fd, FS_IOC_FSSETXATTR, "void *", fileAttributes)
}

/** The project whose quota an inode counts against; 0 when it belongs to none. */
export const getProjectId = (fd: number): number => {
  run("ioctl", fd, FS_IOC_FSGETXATTR, "void *", fileAttributes)
  return fileAttributes[PROJECT_ID_INDEX] ?? 0
}
