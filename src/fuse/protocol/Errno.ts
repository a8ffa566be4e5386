/** Errno: the numbers of Linux's errors that a reply may carry, and which of them stands for a fault in the tree. */
import type { VfsReason } from "../../vfs/VfsError.ts"

export const Errno = {
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EACCES: 13,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EROFS: 30,
  ERANGE: 34,
  ENOSYS: 38,
  ENODATA: 61,
  EPROTO: 71,
  ESTALE: 116
} as const

const ofReason: Record<VfsReason, number> = {
  NotFound: Errno.ENOENT,
  Gone: Errno.ESTALE,
  NotADirectory: Errno.ENOTDIR,
  IsADirectory: Errno.EISDIR,
  WrongKind: Errno.EINVAL,
  NoAttribute: Errno.ENODATA,
  KeyNeeded: Errno.EACCES,
  Damaged: Errno.EIO,
  Unreachable: Errno.EIO
}

export const fromReason = (reason: VfsReason): number => ofReason[reason]
