/** What the Promise facade takes and gives when snapshots are pruned and groups removed: plain values. */
import * as BackupGroup from "../model/BackupGroup.ts"
import type { Retention } from "../model/Retention.ts"
import * as Snapshot from "../model/Snapshot.ts"
import type { ForgottenGroup } from "../prune/ForgetGroup.ts"
import type { PrunePlan } from "../prune/PrunePlan.ts"
import type { ProgressOptions } from "./Runs.ts"

export interface PruneOptions extends ProgressOptions {
  /** `team/dev`; the root by default. */
  readonly namespace?: string
  /** Only these; all by default. */
  readonly groups?: ReadonlyArray<string>
  /** How many levels of namespaces below. All by default; when groups are named, none. */
  readonly depthMax?: number
  /** How many snapshots each rule keeps: `{ last: 3, daily: 7 }`. Without any, everything is kept. */
  readonly keep: Retention
  /** Whose days and weeks count: `Europe/Vienna`; the machine's by default. */
  readonly timeZone?: string
  /** Only say what would be kept and removed. */
  readonly dryRun?: boolean
}

export interface PruneResult {
  /** By group, newest first. */
  readonly snapshots: ReadonlyArray<{
    readonly namespace: string
    readonly snapshot: string
    readonly isKept: boolean
    readonly isProtected: boolean
    /** `kept: weekly 2026-W34`, `removed: no rule keeps it`. */
    readonly reason: string
  }>
  readonly kept: number
  readonly removed: number
  /** Snapshots that should have gone and could not be removed; told through `onProgress`. */
  readonly warnings: number
}

export interface ForgetGroupResult {
  readonly removed: ReadonlyArray<string>
  /** What is still there, and why. */
  readonly kept: ReadonlyArray<{ readonly snapshot: string; readonly problem: string }>
  /** Whether the group itself is gone. */
  readonly isGroupRemoved: boolean
}

export const groupsOf = (names: ReadonlyArray<string>): ReadonlyArray<BackupGroup.BackupGroup> =>
  names.map((name) => BackupGroup.parse(name))

export const describePrune = ({ groups, kept, removed }: PrunePlan, warnings: number): PruneResult => ({
  snapshots: groups.flatMap(({ namespace, decisions }) =>
    decisions.map(({ snapshot, keep, protected: isProtected, reason }) => ({
      namespace,
      snapshot: Snapshot.format(snapshot),
      isKept: keep,
      isProtected,
      reason
    }))
  ),
  kept,
  removed,
  warnings
})

export const describeForgottenGroup = (result: ForgottenGroup): ForgetGroupResult => ({
  removed: result.removed.map(Snapshot.format),
  kept: result.kept.map(({ snapshot, error }) => ({
    snapshot: Snapshot.format(snapshot),
    problem: error.message
  })),
  isGroupRemoved: result.isGroupRemoved
})
