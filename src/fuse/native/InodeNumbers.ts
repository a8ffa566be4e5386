/**
 * InodeNumbers: inodes of 64 bits as the 32 that `fuse-native` has room for.
 *
 * Invariant: two directories, or two files with several names, never have one number, for programs go by it (to find
 * loops and hard links); nor has one of them that of anything else. Files with one name have 31 bits of a hash, which
 * may happen to be another one's: nobody compares them.
 */
import { type Attributes, type Inode, rootInode } from "../../vfs/Vfs.ts"

const exactBit = 0x8000_0000
const hashBits = 31n

/** Fibonacci's: spreads the positions, which are multiples of something. */
const factor = 0x9e37_79b9_7f4a_7c15n
const mask64 = 0xffff_ffff_ffff_ffffn

const hashOf = (inode: Inode): number => {
  const hash = Number(((inode * factor) & mask64) >> (64n - hashBits))
  // 0 is no inode, and 1 is the root.
  return hash < 2 ? 2 : hash
}

export class InodeNumbers {
  readonly #exact = new Map<Inode, number>()

  numberOf({ inode, kind, linkCount }: Attributes): number {
    if (inode === rootInode) return Number(rootInode)
    if (kind !== "directory" && linkCount <= 1) return hashOf(inode)
    const known = this.#exact.get(inode)
    if (known !== undefined) return known
    const number = exactBit + this.#exact.size
    this.#exact.set(inode, number)
    return number
  }
}
