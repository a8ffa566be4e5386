/**
 * SyncEvent: what a sync tells while it runs.
 *
 * Work reports through the `SyncReporter` reference, which by default drops everything; `SyncJob.events` turns it into
 * a stream. Reporting is synchronous and cheap, and must not throw.
 *
 * Invariant: what belongs together comes together: the lines of one `log` event are of one group, and those of other
 * groups never stand between them. `progress` counts as PBS does: the share of groups done, and of the current group's
 * snapshots within its own share.
 */
import * as Context from "effect/Context"
import type { BackupGroup } from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import type { SyncError, SyncPlace } from "./SyncError.ts"
import type { PlannedGroup, SnapshotAction } from "./SyncPlan.ts"
import type { GroupReport, SyncCounts, SyncSummary } from "./SyncSummary.ts"

export interface LogLine {
  readonly level: "info" | "warning" | "error"
  readonly place: SyncPlace
  readonly text: string
}

export interface GroupPlace {
  readonly sourceNamespace: Namespace
  readonly targetNamespace: Namespace
  readonly group: BackupGroup
}

export type SyncEvent =
  /** A namespace pair begins; so many groups of it are to be synced. */
  | {
      readonly type: "namespace"
      readonly source: Namespace
      readonly target: Namespace
      readonly groups: number
    }
  /** A group was listed and planned, and begins. */
  | { readonly type: "group-started"; readonly place: GroupPlace; readonly plan: PlannedGroup }
  | {
      readonly type: "snapshot"
      readonly state: "started" | "done" | "vanished" | "failed"
      readonly place: GroupPlace
      readonly snapshot: Snapshot
      readonly action: SnapshotAction
      readonly error: SyncError | undefined
    }
  | { readonly type: "group-ended"; readonly place: GroupPlace; readonly report: GroupReport }
  | {
      readonly type: "removed"
      readonly what: "snapshot" | "group" | "namespace"
      readonly namespace: Namespace
      readonly group: BackupGroup | undefined
      readonly snapshot: Snapshot | undefined
    }
  /** Something moved. Comes often: for every chunk. */
  | {
      readonly type: "progress"
      readonly doneGroups: number
      /** Of the namespace at work. */
      readonly totalGroups: number
      /** 0 to 1, of the namespace at work. */
      readonly share: number
      readonly counts: SyncCounts
      /** Transfers under way at most; it sinks when a store asks for fewer requests. */
      readonly transferLimit: number
    }
  | { readonly type: "log"; readonly lines: ReadonlyArray<LogLine> }
  /** Always the last one. */
  | { readonly type: "summary"; readonly summary: SyncSummary }

export type Reporter = (event: SyncEvent) => void

export const SyncReporter = Context.Reference<Reporter>("granary/sync/SyncReporter", {
  defaultValue: () => () => undefined
})
