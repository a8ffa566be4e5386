/**
 * The inode flags of Linux, as chattr(1) sets them (linux/fs.h, FS_*_FL), and the bits that archives keep of
 * them. Flags without a bit (such as "has extents") describe how a file system stores a file and are no part of
 * a backup; the three bits that only FAT knows have no inode flag.
 */
import { FileFlag } from "./FileMetadata.ts"

const pairs: ReadonlyArray<readonly [inodeFlag: number, fileFlag: number]> = [
  [0x0000_0004, FileFlag.compress],
  [0x0000_0008, FileFlag.sync],
  [0x0000_0010, FileFlag.immutable],
  [0x0000_0020, FileFlag.append],
  [0x0000_0040, FileFlag.noDump],
  [0x0000_0080, FileFlag.noAtime],
  [0x0000_0400, FileFlag.noCompress],
  [0x0001_0000, FileFlag.dirSync],
  [0x0080_0000, FileFlag.noCopyOnWrite],
  [0x2000_0000, FileFlag.projectInherit]
]

/** Every inode flag that an archive can speak of. */
export const knownInodeFlags = pairs.reduce((all, [inodeFlag]) => all | inodeFlag, 0)

/** The archive's flags for those of an inode. */
export const fileFlagsOfInode = (inodeFlags: number): number => {
  let flags = 0
  for (const [inodeFlag, fileFlag] of pairs) if ((inodeFlags & inodeFlag) !== 0) flags |= fileFlag
  return flags
}

/** The inode's flags for those of an archive. */
export const inodeFlagsOfFile = (fileFlags: number): number => {
  let flags = 0
  for (const [inodeFlag, fileFlag] of pairs) if ((fileFlags & fileFlag) !== 0) flags |= inodeFlag
  return flags
}

/** Flags that only work on a file without content, as they say how content is stored. */
export const isBeforeContent = (fileFlags: number): boolean =>
  (fileFlags & (FileFlag.noCopyOnWrite | FileFlag.compress | FileFlag.noCompress)) !== 0

/** Flags after which a file takes no further name, and a directory no further child. */
export const isFinal = (fileFlags: number): boolean => withoutFinal(fileFlags) !== fileFlags

export const withoutFinal = (fileFlags: number): number => fileFlags & ~(FileFlag.immutable | FileFlag.append)
