/**
 * SyncSummary: what a sync has come to, by group and in total.
 *
 * Invariant: totals are sums over groups. `busySeconds` are summed as well, so with parallel groups they are more than
 * the sync took; `durationSeconds` is what a clock on the wall showed.
 */
import type { BackupGroup } from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { SyncError } from "./SyncError.ts"
import type { Direction } from "./SyncOptions.ts"
import type { SkipReason } from "./SyncPlan.ts"

/** What was copied. */
export interface SyncCounts {
  /** Snapshots that are new or whole now on the target. */
  readonly copiedSnapshots: number
  /** Snapshots that were looked at again. */
  readonly checkedSnapshots: number
  /** Snapshots that vanished from the source while the sync ran. */
  readonly vanishedSnapshots: number
  /** Different chunks that were stored. */
  readonly chunks: number
  /** As they went over the line. */
  readonly chunkBytes: number
  /** Different chunks that the target had. */
  readonly presentChunks: number
  /** Indexes, blobs, manifests and logs. */
  readonly files: number
  readonly fileBytes: number
  /** Size of the archives that were copied. */
  readonly archiveBytes: number
}

export interface GroupReport {
  readonly sourceNamespace: Namespace
  readonly targetNamespace: Namespace
  readonly group: BackupGroup
  /** `skipped`: it belongs to somebody else, or vanished. */
  readonly state: "done" | "failed" | "skipped"
  /** Why it failed or was skipped. */
  readonly error: SyncError | undefined
  readonly counts: SyncCounts
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>
  readonly removedSnapshots: number
  readonly busySeconds: number
}

export interface RemovedCounts {
  readonly groups: number
  readonly snapshots: number
  readonly namespaces: number
}

export interface SyncSummary {
  readonly direction: Direction
  readonly groups: ReadonlyArray<GroupReport>
  readonly failedGroups: number
  readonly counts: SyncCounts
  readonly removed: RemovedCounts
  /** What failed or was kept beside the groups, such as a namespace that could not be removed. */
  readonly problems: ReadonlyArray<SyncError>
  readonly busySeconds: number
  readonly durationSeconds: number
}

export const noCounts: SyncCounts = {
  copiedSnapshots: 0,
  checkedSnapshots: 0,
  vanishedSnapshots: 0,
  chunks: 0,
  chunkBytes: 0,
  presentChunks: 0,
  files: 0,
  fileBytes: 0,
  archiveBytes: 0
}

export const add = (left: SyncCounts, right: SyncCounts): SyncCounts => ({
  copiedSnapshots: left.copiedSnapshots + right.copiedSnapshots,
  checkedSnapshots: left.checkedSnapshots + right.checkedSnapshots,
  vanishedSnapshots: left.vanishedSnapshots + right.vanishedSnapshots,
  chunks: left.chunks + right.chunks,
  chunkBytes: left.chunkBytes + right.chunkBytes,
  presentChunks: left.presentChunks + right.presentChunks,
  files: left.files + right.files,
  fileBytes: left.fileBytes + right.fileBytes,
  archiveBytes: left.archiveBytes + right.archiveBytes
})

/** Everything that went over the line. */
export const transferredBytes = ({ chunkBytes, fileBytes }: SyncCounts): number => chunkBytes + fileBytes

/** Over the time that the sync took; 0 when that was none. */
export const bytesPerSecond = ({ counts, durationSeconds }: SyncSummary): number =>
  durationSeconds > 0 ? transferredBytes(counts) / durationSeconds : 0

/** Whether all that was asked for is done. */
export const isComplete = ({ failedGroups, problems }: SyncSummary): boolean =>
  failedGroups === 0 && problems.length === 0
