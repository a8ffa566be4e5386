/**
 * The inode flags of Linux, as chattr(1) sets them, and the bits that archives keep of them. Flags without a bit (such
 * as "has extents") describe how a file system stores a file and are no part of a backup.
 */
import { FileFlag } from "../../model/FileMetadata.ts"

/** Bits of FS_IOC_GETFLAGS, with the archive's bits that stand for them. */
const PAIRS: ReadonlyArray<readonly [inodeFlag: number, fileFlag: number]> = [
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

/** The archive's flags for those of an inode. */
export const fileFlagsOfInode = (inodeFlags: number): number => {
  let flags = 0
  for (const [inodeFlag, fileFlag] of PAIRS) if ((inodeFlags & inodeFlag) !== 0) flags |= fileFlag
  return flags
}
