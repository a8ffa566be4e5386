/**
 * Decision: what becomes of each snapshot of one group under a retention, and why. Proxmox Backup Server's algorithm to
 * the letter, as a pure function.
 *
 * The steps and their order are the invariant; only a change in the original may change them:
 * 1. Unfinished snapshots: the newest snapshot of all is kept if it is unfinished (a backup may be writing it); all
 *    other unfinished ones go. The rules below never see an unfinished one.
 * 2. Each rule, from `last` to `yearly`, walks from the newest to the oldest. It passes over what is decided, over
 *    protected snapshots (they take no slot) and over periods in which a snapshot has been kept by an earlier rule. Of
 *    every other period it keeps the newest snapshot and gives the rest of the period up, until its slots are taken.
 * 3. What no rule decided goes. What is protected stays, whatever was decided.
 *
 * Pruning again by the same rules removes nothing more. More slots for a rule keep whatever fewer kept, with one
 * exception, which is Proxmox Backup Server's too: weeks reach over the ends of months and years, so one more week can
 * cover a month by another of its snapshots, and the one that the monthly rule kept before goes.
 */
import * as CalendarTime from "../model/CalendarTime.ts"
import * as Retention from "../model/Retention.ts"
import * as Snapshot from "../model/Snapshot.ts"

/** What the algorithm needs to know of a snapshot; a `SnapshotEntry` will do. */
export interface Candidate {
  readonly snapshot: Snapshot.Snapshot
  readonly finished: boolean
  readonly protected: boolean
}

export interface Decision extends Candidate {
  readonly keep: boolean
  /** `kept: weekly 2026-W34`, `removed: no rule keeps it`. */
  readonly reason: string
}

interface Row {
  readonly candidate: Candidate
  readonly date: CalendarTime.CalendarDate
  mark: "keep" | "keep-partial" | "remove" | undefined
  reason: string
}

const names: Record<Retention.RetentionRule, (row: Row) => string> = {
  last: ({ candidate }) => candidate.snapshot.directory,
  hourly: ({ date }) => CalendarTime.hourly(date),
  daily: ({ date }) => CalendarTime.daily(date),
  weekly: ({ date }) => CalendarTime.weekly(date),
  monthly: ({ date }) => CalendarTime.monthly(date),
  yearly: ({ date }) => CalendarTime.yearly(date)
}

const decideUnfinished = (rows: ReadonlyArray<Row>): void => {
  let keepUnfinished = true
  for (const row of rows) {
    if (!row.candidate.finished) {
      row.mark = keepUnfinished ? "keep-partial" : "remove"
      row.reason = keepUnfinished
        ? "kept: unfinished, perhaps still running"
        : "removed: an older unfinished backup"
    }
    keepUnfinished = false
  }
}

const noRule = "removed: no rule keeps it"

const applyRule = (rows: ReadonlyArray<Row>, rule: Retention.RetentionRule, slots: number): void => {
  const nameOf = names[rule]
  const covered = new Set(rows.filter(({ mark }) => mark === "keep").map(nameOf))
  const included = new Set<string>()
  for (const row of rows) {
    if (row.mark !== undefined || row.candidate.protected) continue
    const name = nameOf(row)
    if (covered.has(name)) continue
    if (included.has(name)) {
      row.mark = "remove"
      continue
    }
    if (included.size >= slots) break
    included.add(name)
    row.mark = "keep"
    row.reason = `kept: ${rule} ${rule === "last" ? included.size : name}`
  }
}

const decisionOf = ({ candidate, mark, reason }: Row): Decision => {
  const { snapshot, finished } = candidate
  const base = { snapshot, finished, protected: candidate.protected }
  if (candidate.protected) return { ...base, keep: true, reason: "kept: protected" }
  return { ...base, keep: mark === "keep" || mark === "keep-partial", reason }
}

const keepAll = ({ snapshot, finished, protected: isProtected }: Candidate): Decision => ({
  snapshot,
  finished,
  protected: isProtected,
  keep: true,
  reason: isProtected ? "kept: protected" : "kept: no rule was given"
})

/** Decides about all snapshots of one group; newest first. A retention that keeps nothing keeps everything. */
export const decide = (
  candidates: ReadonlyArray<Candidate>,
  retention: Retention.Retention,
  calendar: CalendarTime.CalendarTime
): ReadonlyArray<Decision> => {
  const sorted = candidates.toSorted((left, right) => Snapshot.order(right.snapshot, left.snapshot))
  if (!Retention.keepsSomething(retention)) return sorted.map(keepAll)
  const rows = sorted.map((candidate): Row => {
    const date = calendar(candidate.snapshot.time)
    return { candidate, date, mark: undefined, reason: noRule }
  })
  decideUnfinished(rows)
  for (const rule of Retention.rules) {
    const slots = retention[rule]
    if (slots !== undefined) applyRule(rows, rule, slots)
  }
  return rows.map(decisionOf)
}
