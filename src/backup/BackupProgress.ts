/** Progress of a backup, archive by archive, with what the whole session has stored and reused so far. */
import type { ProgressEvent, Reporter } from "../platform/Progress.ts"
import type { SessionStatistics } from "./SessionStatistics.ts"

export type ReportProgress = (
  subject: string,
  state: Extract<ProgressEvent, { type: "progress" }>["state"],
  done: number,
  total: number | undefined,
  counts?: Readonly<Record<string, number>>
) => void

export const make =
  (statistics: SessionStatistics, report: Reporter): ReportProgress =>
  (subject, state, done, total, counts = {}) => {
    const { newBytes, reusedBytes } = statistics
    report({
      type: "progress",
      task: "backup",
      subject,
      state,
      unit: "bytes",
      done,
      total,
      counts: { ...counts, "new-bytes": newBytes, "reused-bytes": reusedBytes }
    })
  }
