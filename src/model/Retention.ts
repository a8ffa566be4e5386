/**
 * Retention: how many snapshots of a group each rule keeps, in Proxmox Backup Server's words: `keep-last`,
 * `keep-hourly` to `keep-yearly`.
 *
 * A plain value; `check` is where numbers from outside come in. A rule that is absent and a rule of 0 mean the same:
 * it keeps nothing of its own. Rules only ever add: a retention whose rules are all absent or 0 says nothing about what
 * may go, and whoever prunes by it keeps everything (`keepsSomething`).
 */
import { refuse } from "./InvalidName.ts"

/** In the order in which they choose, which matters: a later rule passes over what an earlier one has covered. */
export const rules = ["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const

export type RetentionRule = (typeof rules)[number]

export type Retention = { readonly [Rule in RetentionRule]?: number }

/** Answers the retention when every number in it is a whole one from 0. */
export const check = (retention: Retention): Retention => {
  for (const rule of rules) {
    const count = retention[rule]
    if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0)) {
      return refuse(`keep-${rule}`, String(count), "a whole number of snapshots, 0 or more")
    }
  }
  return retention
}

/** Whether any rule keeps anything; if none does, everything is kept. */
export const keepsSomething = (retention: Retention): boolean =>
  rules.some((rule) => (retention[rule] ?? 0) > 0)
