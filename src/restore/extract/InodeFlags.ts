/**
 * From the flags of an archive to those of Linux's inodes (linux/fs.h, FS_*_FL). The three that only FAT
 * knows have no place there.
 */
import { FileFlag } from "../../model/FileMetadata.ts"

const PAIRS: ReadonlyArray<readonly [archive: number, inode: number]> = [
  [FileFlag.compress, 0x4],
  [FileFlag.sync, 0x8],
  [FileFlag.immutable, 0x10],
  [FileFlag.append, 0x20],
  [FileFlag.noDump, 0x40],
  [FileFlag.noAtime, 0x80],
  [FileFlag.noCompress, 0x400],
  [FileFlag.dirSync, 0x1_0000],
  [FileFlag.noCopyOnWrite, 0x80_0000],
  [FileFlag.projectInherit, 0x2000_0000]
]

/** Every inode flag that an archive can speak of. */
export const KNOWN_INODE_FLAGS = PAIRS.reduce((all, [, inode]) => all | inode, 0)

export const inodeFlagsOf = (flags: number): number =>
  PAIRS.reduce((all, [archive, inode]) => ((flags & archive) === 0 ? all : all | inode), 0)

/** Flags that only work on a file without content, as they say how content is stored. */
export const isBeforeContent = (flags: number): boolean =>
  (flags & (FileFlag.noCopyOnWrite | FileFlag.compress | FileFlag.noCompress)) !== 0

/** Flags after which a file takes no further name, and a directory no further child. */
export const isFinal = (flags: number): boolean => withoutFinal(flags) !== flags

export const withoutFinal = (flags: number): number => flags & ~(FileFlag.immutable | FileFlag.append)
