/** attributesOf: what an entry of an archive looks like in the tree. */
import type { Entry, HardlinkEntry } from "../../format/pxar/Entry.ts"
import type { Attributes, Inode } from "../Vfs.ts"

/** Whom everything belongs to; as stored where undefined. */
export interface Owners {
  readonly uid: number | undefined
  readonly gid: number | undefined
}

const blockBytes = 512

export const blocksOf = (sizeBytes: number): number => Math.ceil(sizeBytes / blockBytes)

export const sizeOf = (entry: Entry): number => {
  if (entry.kind === "file") return entry.content.sizeBytes
  return entry.kind === "symlink" ? entry.target.length : 0
}

/**
 * A directory's link count is 1: how many directories are in it, an archive does not say, and programs take 1 as that.
 */
export const directoryLinkCount = 1

export const attributesOf = (
  entry: Exclude<Entry, HardlinkEntry>,
  inode: Inode,
  linkCount: number,
  owners: Owners
): Attributes => {
  const { kind, metadata } = entry
  const sizeBytes = sizeOf(entry)
  return {
    inode,
    kind,
    mode: metadata.mode,
    linkCount,
    uid: owners.uid ?? metadata.uid,
    gid: owners.gid ?? metadata.gid,
    sizeBytes,
    blocks: kind === "file" ? blocksOf(sizeBytes) : 0,
    mtimeSeconds: metadata.mtimeSeconds,
    mtimeNanos: metadata.mtimeNanos,
    device: entry.kind === "device-block" || entry.kind === "device-char" ? entry.device : undefined,
    validSeconds: Number.POSITIVE_INFINITY
  }
}
