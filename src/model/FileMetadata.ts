/**
 * What an archive knows of a file besides its name and content: mode, owner, times and the extended
 * attributes.
 *
 * Everything textual (names of extended attributes, link targets, paths) is raw bytes, because a Unix file
 * system promises nothing about encodings. `mode` is the full `st_mode` with Linux's type bits on every
 * platform, so the kind of a file follows from it; only a hard link has no metadata of its own. `flags` is a
 * number: all bits that are defined (`FileFlag`) lie below 2^26, and values of 2^53 and more do not decode.
 */

export type FileKind =
  | "directory"
  | "file"
  | "symlink"
  | "device-block"
  | "device-char"
  | "fifo"
  | "socket"
  | "hardlink"

/** How Proxmox Backup Server's listings name a kind. */
export const kindLetters: Readonly<Record<FileKind, string>> = {
  directory: "d",
  file: "f",
  symlink: "l",
  hardlink: "h",
  "device-block": "b",
  "device-char": "c",
  fifo: "p",
  socket: "s"
}

export interface ExtendedAttribute {
  readonly name: Uint8Array
  readonly value: Uint8Array
}

export interface AclEntry {
  /** A uid or a gid. */
  readonly id: number
  /** read 4, write 2, execute 1 */
  readonly permissions: number
}

/** Default permissions of a directory; a member that the file system did not have is undefined. */
export interface AclDefault {
  readonly userObject: number | undefined
  readonly groupObject: number | undefined
  readonly other: number | undefined
  readonly mask: number | undefined
}

/** POSIX access control list, without what the mode bits already say. */
export interface Acl {
  readonly users: ReadonlyArray<AclEntry>
  readonly groups: ReadonlyArray<AclEntry>
  /** Permissions of the owning group; the mode's group bits hold the mask then. */
  readonly groupObject: number | undefined
  readonly default: AclDefault | undefined
  readonly defaultUsers: ReadonlyArray<AclEntry>
  readonly defaultGroups: ReadonlyArray<AclEntry>
}

export interface FileMetadata {
  readonly mode: number
  readonly flags: number
  readonly uid: number
  readonly gid: number
  /** Floored: half a second before the epoch is -1 s and 500,000,000 ns. */
  readonly mtimeSeconds: number
  readonly mtimeNanos: number
  readonly xattrs: ReadonlyArray<ExtendedAttribute>
  readonly acl: Acl | undefined
  /** Raw value of `security.capability`. */
  readonly fcaps: Uint8Array | undefined
  readonly quotaProjectId: bigint | undefined
}

export interface Device {
  readonly major: number
  readonly minor: number
}

/** Bits of `FileMetadata.flags`: attributes that chattr(1) and FAT know. */
export const FileFlag = {
  hidden: 0x2000,
  system: 0x4000,
  archive: 0x8000,
  append: 0x1_0000,
  noAtime: 0x2_0000,
  compress: 0x4_0000,
  noCopyOnWrite: 0x8_0000,
  noDump: 0x10_0000,
  dirSync: 0x20_0000,
  immutable: 0x40_0000,
  sync: 0x80_0000,
  noCompress: 0x100_0000,
  projectInherit: 0x200_0000
} as const

const TYPE_MASK = 0o170000

/** Type bits of `st_mode`, by kind. */
export const MODE_TYPE = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  "device-block": 0o060000,
  "device-char": 0o020000,
  fifo: 0o010000,
  socket: 0o140000
} as const satisfies Record<Exclude<FileKind, "hardlink">, number>

/** The kind that the type bits of a mode stand for, or undefined when they stand for none. */
export const kindOfMode = (mode: number): Exclude<FileKind, "hardlink"> | undefined => {
  switch (mode & TYPE_MASK) {
    case MODE_TYPE.file:
      return "file"
    case MODE_TYPE.directory:
      return "directory"
    case MODE_TYPE.symlink:
      return "symlink"
    case MODE_TYPE["device-block"]:
      return "device-block"
    case MODE_TYPE["device-char"]:
      return "device-char"
    case MODE_TYPE.fifo:
      return "fifo"
    case MODE_TYPE.socket:
      return "socket"
    default:
      return undefined
  }
}

const NO_XATTRS: ReadonlyArray<ExtendedAttribute> = []

/** Metadata with everything absent or 0 that is not given. */
export const makeFileMetadata = (
  fields: Partial<FileMetadata> & Pick<FileMetadata, "mode">
): FileMetadata => ({
  mode: fields.mode,
  flags: fields.flags ?? 0,
  uid: fields.uid ?? 0,
  gid: fields.gid ?? 0,
  mtimeSeconds: fields.mtimeSeconds ?? 0,
  mtimeNanos: fields.mtimeNanos ?? 0,
  xattrs: fields.xattrs ?? NO_XATTRS,
  acl: fields.acl,
  fcaps: fields.fcaps,
  quotaProjectId: fields.quotaProjectId
})

/** Splits Linux's `dev_t`, as `lstat` reports it, into its two numbers. */
export const deviceFromNumber = (device: bigint): Device => ({
  major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n)),
  minor: Number((device & 0xffn) | ((device >> 12n) & 0xffff_ff00n))
})

/** Inverse of `deviceFromNumber`. */
export const deviceToNumber = (device: Device): bigint => {
  const major = BigInt(device.major)
  const minor = BigInt(device.minor)
  return (
    ((major & 0xfffn) << 8n) |
    ((major & 0xffff_f000n) << 32n) |
    (minor & 0xffn) |
    ((minor & 0xffff_ff00n) << 12n)
  )
}
