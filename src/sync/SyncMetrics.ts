/**
 * SyncMetrics: what syncs tell the metrics: of each group when it is done, so that a long sync is seen while it runs.
 * What was removed beside the groups counts at the end.
 */
import * as Effect from "effect/Effect"
import * as Metrics from "../platform/Metrics.ts"
import { add } from "../platform/Observation.ts"
import type { GroupReport, SyncSummary } from "./SyncSummary.ts"

export const countGroup = ({ counts, removedSnapshots, state }: GroupReport): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* add(Metrics.syncGroups, 1, { state })
    yield* add(Metrics.syncSnapshots, counts.copiedSnapshots, { result: "copied" })
    yield* add(Metrics.syncSnapshots, counts.checkedSnapshots, { result: "checked" })
    yield* add(Metrics.syncSnapshots, counts.vanishedSnapshots, { result: "vanished" })
    yield* add(Metrics.syncSnapshots, removedSnapshots, { result: "removed" })
    yield* add(Metrics.syncChunks, counts.chunks, { result: "stored" })
    yield* add(Metrics.syncChunks, counts.presentChunks, { result: "present" })
    yield* add(Metrics.syncBytes, counts.chunkBytes, { kind: "chunks" })
    yield* add(Metrics.syncBytes, counts.fileBytes, { kind: "files" })
  })

/** Snapshots that went with whole groups; those of groups that stay count with their group. */
export const countRemoved = ({ groups, removed }: SyncSummary): Effect.Effect<void> => {
  const withGroups = groups.reduce((sum, { removedSnapshots }) => sum + removedSnapshots, 0)
  return add(Metrics.syncSnapshots, removed.snapshots - withGroups, { result: "removed" })
}
