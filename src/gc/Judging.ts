/**
 * Judging: the rules by which a sweep decides on what it finds under a chunk's digest, wherever that lies: kept,
 * pending, or to be removed.
 *
 * Something is removed when no mark keeps it and its times do not reach the cutoff (the later of access and
 * modification counts, for a file system may not keep access times up by itself). Younger things that nobody needs are
 * pending: a later collection will find them old enough.
 */
import * as Digest from "../model/Digest.ts"
import type { ChildStat } from "../platform/Files.ts"
import { covers, type Doubt } from "../store/Doubts.ts"
import type { Marks } from "./Marks.ts"
import { type RemovalKind, Removals } from "./Removals.ts"

export interface JudgingInput {
  readonly marks: Marks
  readonly cutoffSeconds: number
  /** Unneeded files that are older than this wait for their removal; younger ones may be in use. */
  readonly writersSeconds: number
  /** What a power loss may have torn. */
  readonly doubts: ReadonlyArray<Doubt>
}

export interface ChunkCounts {
  chunks: number
  bytes: number
}

export interface ChunkListing {
  readonly removals: Removals
  readonly kept: ChunkCounts
  readonly pending: ChunkCounts
  readonly removable: ChunkCounts
  readonly removableBad: number
  /** Condemned chunks that stay. */
  readonly keptBad: number
  /** Temporary files of crashed writers. */
  readonly abandoned: ChunkCounts
  /** Chunks in doubt that stay although no mark keeps them (marks that are access times keep none). */
  readonly doubtful: number
  /** Files that are none of ours. */
  readonly foreign: number
  readonly folders: number
  readonly errors: ReadonlyArray<string>
}

export interface Judging extends JudgingInput {
  readonly listing: ChunkListing & {
    removableBad: number
    keptBad: number
    doubtful: number
    foreign: number
    folders: number
  }
  readonly errors: Array<string>
  /** The digest that is judged at the moment. */
  readonly digestBytes: Buffer
}

export const make = (input: JudgingInput): Judging => {
  const errors: Array<string> = []
  const listing = {
    removals: new Removals(),
    kept: { chunks: 0, bytes: 0 },
    pending: { chunks: 0, bytes: 0 },
    removable: { chunks: 0, bytes: 0 },
    removableBad: 0,
    keptBad: 0,
    abandoned: { chunks: 0, bytes: 0 },
    doubtful: 0,
    foreign: 0,
    folders: 0,
    errors
  }
  return { ...input, listing, errors, digestBytes: Buffer.alloc(Digest.lengthBytes) }
}

export const digestHexLength = 64

const badPattern = /^\.[0-9]\.bad$/
const temporaryStart = ".tmp_"

export const plainChunk: RemovalKind = { kind: "chunk" }

/** What the name of a file says behind the digest; undefined when it is not one of ours. */
export const meaningOf = (suffix: string): RemovalKind | undefined => {
  if (badPattern.test(suffix)) return { kind: "bad", number: Number(suffix[1]) }
  return suffix.startsWith(temporaryStart) ? { kind: "temporary", suffix } : undefined
}

/** Puts the digest of a name where `settle` finds it; false when the name does not begin with one of this folder. */
export const loadDigest = ({ digestBytes }: Judging, folder: string, hex: string): boolean => {
  if (!Digest.isDigest(hex) || !hex.startsWith(folder)) return false
  digestBytes.write(hex, "hex")
  return true
}

const count = (counts: ChunkCounts, sizeBytes: number): void => {
  counts.chunks += 1
  counts.bytes += sizeBytes
}

/** Counts one thing that is old or young, marked or not; what may go is entered into `removals`. */
export const settle = (
  judging: Judging,
  child: Pick<ChildStat, "sizeBytes" | "atimeSeconds" | "mtimeSeconds">,
  meaning: RemovalKind,
  isKept: boolean,
  removals: Removals = judging.listing.removals
): void => {
  const { digestBytes, listing } = judging
  const { sizeBytes } = child
  const timeSeconds = Math.max(child.atimeSeconds, child.mtimeSeconds)
  if (!isKept && timeSeconds < judging.cutoffSeconds) {
    removals.add(digestBytes, meaning, sizeBytes)
    if (meaning.kind === "temporary") return count(listing.abandoned, sizeBytes)
    listing.removable.bytes += sizeBytes
    if (meaning.kind === "bad") listing.removableBad += 1
    else listing.removable.chunks += 1
    return
  }
  if (meaning.kind === "temporary") return
  if (!isKept && meaning.kind === "chunk" && covers(judging.doubts, child.mtimeSeconds)) listing.doubtful += 1
  const counts = !isKept && timeSeconds < judging.writersSeconds ? listing.pending : listing.kept
  counts.bytes += sizeBytes
  if (meaning.kind === "bad") listing.keptBad += 1
  else counts.chunks += 1
}
