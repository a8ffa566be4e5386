/** SyncText: what a sync would do, and what it has come to, as people read it and as programs do. Pure. */
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import type { SyncError } from "../sync/SyncError.ts"
import type { Direction } from "../sync/SyncOptions.ts"
import type * as SyncPlan from "../sync/SyncPlan.ts"
import * as SyncSummary from "../sync/SyncSummary.ts"
import * as Format from "./Format.ts"

const errorJson = (error: SyncError | undefined) =>
  error === undefined ? null : { reason: error.reason, message: error.message, hint: error.hint }

const groupJson = (report: SyncSummary.GroupReport) => ({
  ns: report.sourceNamespace,
  "target-ns": report.targetNamespace,
  group: BackupGroup.format(report.group),
  state: report.state,
  snapshots: report.counts.copiedSnapshots,
  "checked-snapshots": report.counts.checkedSnapshots,
  "vanished-snapshots": report.counts.vanishedSnapshots,
  "skipped-snapshots": report.skipped,
  "removed-snapshots": report.removedSnapshots,
  chunks: report.counts.chunks,
  "present-chunks": report.counts.presentChunks,
  bytes: SyncSummary.transferredBytes(report.counts),
  "busy-seconds": report.busySeconds,
  error: report.error?.message ?? null,
  hint: report.error?.hint ?? null
})

export const summaryJson = (summary: SyncSummary.SyncSummary) => ({
  direction: summary.direction,
  groups: summary.groups.map(groupJson),
  "failed-groups": summary.failedGroups,
  removed: summary.removed,
  problems: summary.problems.map(errorJson),
  snapshots: summary.counts.copiedSnapshots,
  chunks: summary.counts.chunks,
  "present-chunks": summary.counts.presentChunks,
  bytes: SyncSummary.transferredBytes(summary.counts),
  "archive-bytes": summary.counts.archiveBytes,
  "bytes-per-second": Math.round(SyncSummary.bytesPerSecond(summary)),
  "busy-seconds": summary.busySeconds,
  "duration-seconds": summary.durationSeconds
})

const placeOf = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup): string =>
  namespace === Namespace.root ? BackupGroup.format(group) : `${namespace}: ${BackupGroup.format(group)}`

const header = ["group", "state", "copied", "checked", "skipped", "removed", "chunks", "transferred", "rate"]

const groupRow = (report: SyncSummary.GroupReport): ReadonlyArray<string> => {
  const { counts, skipped } = report
  const bytes = SyncSummary.transferredBytes(counts)
  return [
    placeOf(report.sourceNamespace, report.group),
    report.state,
    Format.count(counts.copiedSnapshots),
    Format.count(counts.checkedSnapshots),
    Format.count(Object.values(skipped).reduce((sum, count) => sum + count, 0)),
    Format.count(report.removedSnapshots),
    Format.count(counts.chunks),
    Format.bytes(bytes),
    bytes === 0 ? "-" : Format.rate(bytes, report.busySeconds)
  ]
}

const verbs: { readonly [direction in Direction]: string } = { pull: "pulled", push: "pushed" }

const removedLines = ({ groups, namespaces, snapshots }: SyncSummary.RemovedCounts): ReadonlyArray<string> =>
  groups + namespaces + snapshots === 0
    ? []
    : [
        `removed ${Format.counted(groups, "group")}, ${Format.counted(snapshots, "snapshot")}, ` +
          Format.counted(namespaces, "namespace")
      ]

const troubleLines = ({ groups, problems }: SyncSummary.SyncSummary): ReadonlyArray<string> => [
  ...groups.flatMap(({ error, group, sourceNamespace, state }) =>
    error === undefined
      ? []
      : [`${state}: ${placeOf(sourceNamespace, group)}: ${error.detail} (${error.hint})`]
  ),
  ...problems.map((problem) => `problem: ${problem.message} (${problem.hint})`)
]

const totalLine = (summary: SyncSummary.SyncSummary): string => {
  const { counts, direction, durationSeconds, failedGroups, groups } = summary
  const bytes = SyncSummary.transferredBytes(counts)
  const failed = failedGroups === 0 ? "" : `, of which ${Format.count(failedGroups)} failed`
  return (
    `${verbs[direction]} ${Format.counted(counts.copiedSnapshots, "snapshot")} in ` +
    `${Format.counted(groups.length, "group")}${failed}: ${Format.counted(counts.chunks, "chunk")}, ` +
    `${Format.bytes(bytes)} in ${Format.duration(durationSeconds)} (${Format.rate(bytes, durationSeconds)}); ` +
    `${Format.counted(counts.presentChunks, "chunk")} there already`
  )
}

export const summaryText = (summary: SyncSummary.SyncSummary): string =>
  [
    ...(summary.groups.length === 0 ? [] : [Format.table(header, summary.groups.map(groupRow))]),
    totalLine(summary),
    ...removedLines(summary.removed),
    ...troubleLines(summary).map(Format.name)
  ].join("\n")

const snapshotJson = ({ action, estimate, reason, snapshot }: SyncPlan.PlannedSnapshot) => ({
  snapshot: Snapshot.format(snapshot),
  action,
  ...(reason === undefined ? {} : { reason }),
  ...(estimate === undefined ? {} : estimateJson(estimate))
})

const estimateJson = (estimate: SyncPlan.TransferEstimate) => ({
  chunks: estimate.chunks,
  bytes: estimate.bytes,
  "missing-chunks": estimate.missingChunks,
  "missing-bytes": estimate.missingBytes
})

const removalJson = ({ protected: isProtected, snapshot }: SyncPlan.PlannedRemoval) => ({
  snapshot: Snapshot.format(snapshot),
  protected: isProtected
})

const plannedGroupJson = (group: SyncPlan.PlannedGroup) => ({
  ns: group.sourceNamespace,
  "target-ns": group.targetNamespace,
  group: BackupGroup.format(group.group),
  state: group.state,
  error: group.error?.message ?? null,
  snapshots: group.snapshots.map(snapshotJson),
  removals: group.removals.map(removalJson)
})

const vanishedJson = ({ group, namespace, snapshots }: SyncPlan.VanishedGroup) => ({
  ns: namespace,
  group: BackupGroup.format(group),
  snapshots: snapshots.map(removalJson)
})

export const planJson = (plan: SyncPlan.SyncPlan) => ({
  "dry-run": true,
  direction: plan.direction,
  source: plan.source,
  target: plan.target,
  "new-namespaces": plan.namespaces.filter(({ isNew }) => isNew).map(({ target }) => target),
  groups: plan.namespaces.flatMap(({ groups }) => groups.map(plannedGroupJson)),
  "vanished-groups": vanishedGroups(plan).map(vanishedJson),
  "vanished-namespaces": plan.vanishedNamespaces.map(({ namespace }) => namespace),
  snapshots: plan.totals.snapshots,
  "skipped-snapshots": plan.totals.skippedSnapshots,
  "removed-snapshots": plan.totals.removedSnapshots,
  "failing-groups": plan.totals.failingGroups,
  ...(plan.totals.estimate === undefined ? {} : estimateJson(plan.totals.estimate)),
  warnings: plan.warnings
})

const vanishedGroups = (plan: SyncPlan.SyncPlan): ReadonlyArray<SyncPlan.VanishedGroup> => [
  ...plan.namespaces.flatMap(({ vanished }) => vanished),
  ...plan.vanishedNamespaces.flatMap(({ groups }) => groups)
]

const snapshotRow = (planned: SyncPlan.PlannedSnapshot): ReadonlyArray<string> => {
  const { action, estimate, reason, snapshot } = planned
  const of = estimate === undefined ? "" : `${Format.counted(estimate.missingChunks, "chunk")}, `
  return [
    `  ${snapshot.directory}`,
    reason === undefined ? action : `${action}: ${reason}`,
    estimate === undefined ? "" : `${of}${Format.bytes(estimate.missingBytes)} to transfer`
  ]
}

const removalRow = ({ protected: isProtected, snapshot }: SyncPlan.PlannedRemoval): ReadonlyArray<string> => [
  `  ${snapshot.directory}`,
  isProtected ? "stays: protected" : "remove: vanished",
  ""
]

/** Aligned, without a header. */
const rowsText = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  rows.length === 0 ? [] : Format.table(["", "", ""], rows).split("\n").slice(1)

const groupText = (group: SyncPlan.PlannedGroup): ReadonlyArray<string> => {
  const state = group.state === "sync" ? "" : ` (${group.state}: ${group.error?.detail ?? ""})`
  return [
    `${placeOf(group.sourceNamespace, group.group)}${Format.name(state)}`,
    ...rowsText([...group.snapshots.map(snapshotRow), ...group.removals.map(removalRow)])
  ]
}

const vanishedText = ({ group, namespace, snapshots }: SyncPlan.VanishedGroup): ReadonlyArray<string> => [
  `${placeOf(namespace, group)} (vanished)`,
  ...rowsText(snapshots.map(removalRow))
]

const totalText = ({ totals }: SyncPlan.SyncPlan): string => {
  const { estimate } = totals
  const transfer =
    estimate === undefined
      ? ""
      : `: ${Format.counted(estimate.missingChunks, "chunk")} of ${Format.count(estimate.chunks)}, ` +
        `${Format.bytes(estimate.missingBytes)} of ${Format.bytes(estimate.bytes)} before compression`
  return (
    `would copy or check ${Format.counted(totals.snapshots, "snapshot")} in ` +
    `${Format.counted(totals.groups, "group")}${transfer}; skip ${Format.count(totals.skippedSnapshots)}, ` +
    `remove ${Format.count(totals.removedSnapshots)}`
  )
}

export const planText = (plan: SyncPlan.SyncPlan): string =>
  [
    ...plan.namespaces.flatMap(({ groups, vanished }) => [
      ...groups.flatMap(groupText),
      ...vanished.flatMap(vanishedText)
    ]),
    ...plan.vanishedNamespaces.flatMap(({ groups, namespace }) => [
      `namespace ${namespace} (vanished)`,
      ...groups.flatMap(vanishedText)
    ]),
    ...plan.warnings.map((warning) => `warning: ${Format.name(warning)}`),
    totalText(plan)
  ].join("\n")
