/**
 * The values that the Promise facade takes and gives: plain objects and strings, names in the form people write them,
 * moments as dates; and how they come out of the library's own.
 */
import type * as Backup from "../backup/Backup.ts"
import type { ManifestFile } from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { CryptMode } from "../model/CryptMode.ts"
import type { FileKind } from "../model/FileMetadata.ts"
import * as Snapshot from "../model/Snapshot.ts"
import type { ResolvedEntry, TreeNode } from "../restore/ArchiveTree.ts"
import type { SnapshotInfo } from "../restore/Listing.ts"
import type { SampleResult, VerifySummary } from "../verify/Verify.ts"

/** One file of a snapshot, as its manifest states it. */
export interface Archive {
  /** As users know it: `root.pxar`. */
  readonly name: string
  /** Of the file in the datastore: `root.pxar.didx`. */
  readonly fileName: string
  readonly sizeBytes: number
  readonly cryptMode: CryptMode
}

export interface SnapshotDescription {
  /** `host/laptop/2026-11-21T10:00:00Z`; every call that wants a snapshot takes it. */
  readonly name: string
  /** `""` is the root. */
  readonly namespace: string
  readonly group: string
  readonly time: Date
  readonly state: SnapshotInfo["state"]
  /** Why a damaged one cannot be read. */
  readonly problem: string | undefined
  readonly archives: ReadonlyArray<Archive>
  readonly sizeBytes: number | undefined
  readonly owner: string | undefined
  readonly isProtected: boolean
  /** First line of the notes. */
  readonly comment: string | undefined
  /** The state that the last verification found. */
  readonly verification: "ok" | "failed" | undefined
}

export interface BackupResult {
  readonly snapshot: string
  readonly previous: string | undefined
  /** Unfinished snapshots of the group that an interrupted backup left behind. */
  readonly leftovers: ReadonlyArray<string>
  readonly archives: ReadonlyArray<Archive>
  readonly sizeBytes: number
  /** Chunks that were not in the datastore before, and what they take there. */
  readonly newBytes: number
  readonly storedBytes: number
  readonly files: number
  /** Entries that could not be read as they are; told through `onProgress`. */
  readonly warnings: number
  readonly durationSeconds: number
}

/** One entry of a directory archive. */
export interface Entry {
  /** From the root of the archive, without a leading slash; bytes that are no UTF-8 are replaced. */
  readonly path: string
  readonly pathBytes: Uint8Array
  readonly kind: FileKind
  /** Of regular files; 0 otherwise. */
  readonly sizeBytes: number
  /** Permission bits and the kind, as in `st_mode`. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly modified: Date
  /** Where a symbolic link leads. */
  readonly target: string | undefined
}

export interface VerifyResult {
  readonly isSound: boolean
  /** Those that were read, or tried to. */
  readonly chunks: number
  /** Those that a listing showed as they should be, and that were not read (`depth: "listed"`). */
  readonly chunksListed: number
  /** What a sample says; undefined when none was asked for. */
  readonly sample: SampleResult | undefined
  readonly snapshots: ReadonlyArray<{
    readonly namespace: string
    readonly snapshot: string
    /** Skipped are those that somebody is just removing; of unproven ones something could not be looked at. */
    readonly state: "ok" | "failed" | "unproven" | "skipped"
    /** One line each, beginning with the archive concerned. */
    readonly problems: ReadonlyArray<string>
  }>
}

export const archiveOf = ({ filename, sizeBytes, cryptMode }: ManifestFile): Archive => ({
  name: ArchiveName.fromFile(filename).client,
  fileName: filename,
  sizeBytes,
  cryptMode
})

export const describeSnapshot = (info: SnapshotInfo): SnapshotDescription => ({
  name: Snapshot.format(info.snapshot),
  namespace: info.namespace,
  group: BackupGroup.format(info.snapshot.group),
  time: new Date(info.snapshot.time * 1000),
  state: info.state,
  problem: info.problem,
  archives: info.files.map(archiveOf),
  sizeBytes: info.sizeBytes,
  owner: info.owner,
  isProtected: info.isProtected,
  comment: info.comment,
  verification: info.verification?.state
})

export const describeBackup = (summary: Backup.BackupSummary): BackupResult => ({
  snapshot: Snapshot.format(summary.snapshot),
  previous: summary.previous === undefined ? undefined : Snapshot.format(summary.previous),
  leftovers: summary.leftovers.map(Snapshot.format),
  archives: summary.files.map(archiveOf),
  sizeBytes: summary.statistics.sizeBytes,
  newBytes: summary.statistics.newBytes,
  storedBytes: summary.statistics.storedBytes,
  files: summary.entries.files,
  warnings: summary.entries.warnings,
  durationSeconds: summary.durationSeconds
})

const decoder = new TextDecoder()

/** A hard link is told as what it is another name of, except for its kind. */
export const describeEntry = (node: TreeNode, resolved: ResolvedEntry): Entry => {
  const { mode, uid, gid, mtimeSeconds, mtimeNanos } = resolved.metadata
  const pathBytes = node.path
  return {
    path: decoder.decode(pathBytes),
    pathBytes,
    kind: node.entry.kind,
    sizeBytes: resolved.kind === "file" ? resolved.content.sizeBytes : 0,
    mode,
    uid,
    gid,
    modified: new Date(mtimeSeconds * 1000 + mtimeNanos / 1e6),
    target: resolved.kind === "symlink" ? decoder.decode(resolved.target) : undefined
  }
}

export const describeVerification = (summary: VerifySummary): VerifyResult => ({
  isSound: summary.snapshots.every(({ state }) => state === "ok" || state === "skipped"),
  chunks: summary.statistics.chunks,
  chunksListed: summary.listing?.present ?? 0,
  sample: summary.sample,
  snapshots: summary.snapshots.map(({ namespace, snapshot, state, files }) => ({
    namespace,
    snapshot: Snapshot.format(snapshot),
    state,
    problems: files.flatMap(({ filename, errors }) => errors.map((error) => `${filename}: ${error}`))
  }))
})
