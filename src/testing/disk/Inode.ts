/**
 * Inode: what the memory disk keeps of one file, folder, link or fifo, and the error its system calls throw.
 *
 * Content is never changed in place: a write puts a new array there, so arrays may be shared between disks. Only the
 * `InodeTable` that owns an inode changes it.
 */
import type { FileKind } from "../../platform/Files.ts"

export interface Inode {
  /** The table that may change it; every other one copies it first. */
  readonly owner: object
  readonly number: number
  readonly kind: FileKind
  /** Kind and permission bits, as `stat` tells them. */
  readonly mode: number
  /** How many names it has. */
  links: number
  content: Uint8Array
  mtimeMillis: number
  atimeMillis: number
  /** When anything of it last changed; decides whether a read moves the access time (relatime). */
  ctimeMillis: number
  /** Names of a folder. */
  readonly children: Map<string, number> | undefined
  /** Where a symbolic link leads. */
  readonly target: string
}

const typeBits: Record<FileKind, number> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  other: 0o010000
}

export const modeOf = (kind: FileKind, permissions: number): number => typeBits[kind] | (permissions & 0o7777)

/** What an ext4 or xfs folder of a few names says of itself. */
const directorySizeBytes = 4096

export const sizeOf = (inode: Inode): number =>
  inode.kind === "directory"
    ? directorySizeBytes
    : inode.kind === "symlink"
      ? inode.target.length
      : inode.content.length

type SystemErrorCode =
  | "EBADF"
  | "EBUSY"
  | "EEXIST"
  | "EINVAL"
  | "EISDIR"
  | "ELOOP"
  | "EMFILE"
  | "ENAMETOOLONG"
  | "ENOENT"
  | "ENOSPC"
  | "ENOTDIR"
  | "ENOTEMPTY"
  | "EROFS"
  | "ESTALE"

/** What a system call of the memory disk throws; it carries its code as errors of `node:fs` do. */
export class SystemError extends Error {
  readonly code: SystemErrorCode

  constructor(code: SystemErrorCode) {
    super(code)
    this.code = code
  }
}

const errors = new Map<SystemErrorCode, SystemError>()

/** One error a code is enough: a stack trace for every missing file would cost more than all the rest. */
export const fail = (code: SystemErrorCode): never => {
  const error = errors.get(code) ?? new SystemError(code)
  errors.set(code, error)
  throw error
}
