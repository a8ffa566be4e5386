/**
 * inodes: how the things of the tree are numbered, so that no table grows with the files that are looked at.
 *
 *     bit 63             62 to 45   44 to 0
 *     not a directory    slot       position
 *
 * Every archive that was seen has a slot of its own. Inside of it a directory's position is the end of its range, that
 * of anything else the start of its FILENAME item: so whatever has an inode is found again in the archive by the inode
 * alone. Slot 0 is the tree above the archives, where positions are numbers from a list.
 *
 * Invariant: numbers below 2^64, never 0; different things have different numbers.
 */
import type { Inode } from "../Vfs.ts"

const positionBits = 45n
const slotBits = 18n
const positionMask = (1n << positionBits) - 1n
const slotMask = (1n << slotBits) - 1n
const leafBit = 1n << 63n

/** An archive of this size or more cannot be numbered: 32 TiB of entries, or of entries and contents in version 1. */
export const archiveMaxBytes = 2 ** Number(positionBits)

export const slotMax = 2 ** Number(slotBits) - 1

export interface Place {
  readonly slot: number
  readonly isDirectory: boolean
  readonly position: number
}

/** What all directories of a slot begin with; add the position. */
export const directoryBase = (slot: number): bigint => BigInt(slot) << positionBits

/** The same for what is no directory. */
export const leafBase = (slot: number): bigint => leafBit | (BigInt(slot) << positionBits)

/** The upper 32 bits of what a directory's inode, or another's, begins with. */
export const slotHigh = (slot: number, isDirectory: boolean): number =>
  (isDirectory ? 0 : 2 ** 31) + slot * 2 ** (Number(positionBits) - 32)

export const placeOf = (inode: Inode): Place => ({
  slot: Number((inode >> positionBits) & slotMask),
  isDirectory: (inode & leafBit) === 0n,
  position: Number(inode & positionMask)
})
