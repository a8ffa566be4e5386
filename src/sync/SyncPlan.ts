/**
 * SyncPlan: what a sync would do and why, as a value: by namespace, group and snapshot. It is all that a dry run shows.
 *
 * Making one reads both stores, locks nothing and changes nothing. A run makes the plan of a group anew under the
 * group's lock, by the same rules: what has changed since is seen there.
 */
import type { BackupGroup } from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import type { SyncError } from "./SyncError.ts"
import type { Direction } from "./SyncOptions.ts"

/**
 * `copy`: it is not on the target, or not finished there. `check`: it is there and looked at again, for notes, the
 * state of verification and the client's log may be newer. `repair`: what the target has is no good.
 */
export type SnapshotAction = "copy" | "check" | "repair" | "skip"

export type SkipReason =
  /** Older than the newest snapshot that the target has. */
  | "already synced"
  | "transfer-last"
  | "in progress"
  | "not verified"
  | "not encrypted"
  /** Its manifest makes no sense. */
  | "unreadable"
  /** Of a push that encrypts: neither as a whole, nor not at all. */
  | "partly encrypted"

export interface PlannedSnapshot {
  readonly snapshot: Snapshot
  readonly action: SnapshotAction
  /** Of what is skipped. */
  readonly reason: SkipReason | undefined
  /** What copying it would take; undefined when it is not copied, or could not be looked at. */
  readonly estimate: TransferEstimate | undefined
}

export interface TransferEstimate {
  /** Chunks that its indexes name and that no snapshot before it in the plan brings. */
  readonly chunks: number
  /** Their content, not compressed. */
  readonly bytes: number
  /** What of it the target lacks. */
  readonly missingChunks: number
  readonly missingBytes: number
}

/** A snapshot of the target that the source does not have. */
export interface PlannedRemoval {
  readonly snapshot: Snapshot
  /** It stays. */
  readonly protected: boolean
}

export interface PlannedGroup {
  readonly sourceNamespace: Namespace
  readonly targetNamespace: Namespace
  readonly group: BackupGroup
  /** `skip`: with a warning, for it belongs to somebody else. `fail`: the run will report this error. */
  readonly state: "sync" | "skip" | "fail"
  readonly error: SyncError | undefined
  /** Oldest first. */
  readonly snapshots: ReadonlyArray<PlannedSnapshot>
  readonly removals: ReadonlyArray<PlannedRemoval>
}

/** A group of the target that the source does not have. */
export interface VanishedGroup {
  readonly namespace: Namespace
  readonly group: BackupGroup
  readonly snapshots: ReadonlyArray<PlannedRemoval>
}

export interface PlannedNamespace {
  readonly source: Namespace
  readonly target: Namespace
  /** The target lacks it. */
  readonly isNew: boolean
  readonly groups: ReadonlyArray<PlannedGroup>
  readonly vanished: ReadonlyArray<VanishedGroup>
}

export interface SyncPlan {
  readonly direction: Direction
  readonly source: string
  readonly target: string
  readonly namespaces: ReadonlyArray<PlannedNamespace>
  /** Namespaces of the target that the source does not have, the deepest first; removed if nothing is left in them. */
  readonly vanishedNamespaces: ReadonlyArray<{
    readonly namespace: Namespace
    readonly groups: ReadonlyArray<VanishedGroup>
  }>
  readonly totals: PlanTotals
  readonly warnings: ReadonlyArray<string>
}

export interface PlanTotals {
  readonly groups: number
  readonly failingGroups: number
  /** To be copied, checked again or repaired. */
  readonly snapshots: number
  readonly skippedSnapshots: number
  readonly removedSnapshots: number
  /** Sum of the estimates; undefined when one of them is. */
  readonly estimate: TransferEstimate | undefined
}
