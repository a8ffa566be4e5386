/**
 * SyncRules: which snapshots of a group are copied, and what of the target goes: Proxmox Backup Server's rules (spec
 * 10) as pure functions, where docs/sync.md does not say otherwise.
 *
 * Invariant: what a filter passes over is still present on the source. It is never copied, and never a reason to remove
 * what the target has of it.
 */
import * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as GroupFilter from "./GroupFilter.ts"
import type { ListedGroup, ListedSnapshot } from "./ListedSnapshot.ts"
import type { CheckedOptions, Direction } from "./SyncOptions.ts"
import type { PlannedRemoval, PlannedSnapshot, SkipReason } from "./SyncPlan.ts"

export type SelectionOptions = Pick<
  CheckedOptions,
  "direction" | "transferLast" | "resyncCorrupt" | "encryptedOnly" | "verifiedOnly"
>

export type Selected = Omit<PlannedSnapshot, "estimate">

/** Whether the rules need to know what the source's manifests say. */
export const needsSourceManifests = ({ encryptedOnly, verifiedOnly }: SelectionOptions): boolean =>
  encryptedOnly || verifiedOnly

/** Why a snapshot of the source is out of the question. */
export const filteredFor = (
  { finished, manifest }: Pick<ListedSnapshot, "finished" | "manifest">,
  { encryptedOnly, verifiedOnly }: Pick<SelectionOptions, "encryptedOnly" | "verifiedOnly">
): SkipReason | undefined => {
  if (!finished) return "in progress"
  if (manifest === "unreadable") return "unreadable"
  if (verifiedOnly && manifest?.verified !== "ok") return "not verified"
  return encryptedOnly && manifest?.encrypted !== "all" ? "not encrypted" : undefined
}

/** What a resync of corrupt snapshots is for. Unfinished ones count: nothing else would ever complete them. */
const isCorrupt = ({ finished, manifest }: ListedSnapshot): boolean =>
  !finished || manifest === "unreadable" || manifest?.verified === "failed"

/** The time of the newest snapshot that the target has; undefined for none. */
export const lastSyncTime = (target: ReadonlyArray<ListedSnapshot>): number | undefined => {
  let last: number | undefined
  for (const { finished, snapshot } of target) {
    if (finished && (last === undefined || snapshot.time > last)) last = snapshot.time
  }
  return last
}

const skip = ({ snapshot }: ListedSnapshot, reason: SkipReason): Selected => ({
  snapshot,
  action: "skip",
  reason
})

/** What becomes of each snapshot of the source. Both lists are of one group, the source's oldest first. */
export const select = (
  source: ReadonlyArray<ListedSnapshot>,
  target: ReadonlyArray<ListedSnapshot>,
  options: SelectionOptions
): ReadonlyArray<Selected> => {
  const { direction, resyncCorrupt, transferLast } = options
  const there = new Map(target.map((listed) => [listed.snapshot.time, listed]))
  const last = lastSyncTime(target) ?? Number.NEGATIVE_INFINITY
  const candidates = source.filter((listed) => filteredFor(listed, options) === undefined).length
  const cutoff = transferLast === undefined ? 0 : Math.max(0, candidates - transferLast)
  let place = -1
  return source.map((listed): Selected => {
    const { snapshot } = listed
    const reason = filteredFor(listed, options)
    if (reason !== undefined) return skip(listed, reason)
    place += 1
    const counterpart = there.get(snapshot.time)
    if (resyncCorrupt && counterpart !== undefined && isCorrupt(counterpart)) {
      return { snapshot, action: "repair", reason: undefined }
    }
    if (snapshot.time < last) return skip(listed, "already synced")
    if (snapshot.time === last) {
      return direction === "push"
        ? skip(listed, "already synced")
        : { snapshot, action: "check", reason: undefined }
    }
    if (place < cutoff) return skip(listed, "transfer-last")
    return { snapshot, action: "copy", reason: undefined }
  })
}

/** Snapshots of the target whose time no snapshot of the source has, in whatever state that is; oldest first. */
export const vanishedSnapshots = (
  source: ReadonlyArray<ListedSnapshot>,
  target: ReadonlyArray<ListedSnapshot>
): ReadonlyArray<PlannedRemoval> => {
  const times = new Set(source.map(({ snapshot }) => snapshot.time))
  return target
    .filter(({ snapshot }) => !times.has(snapshot.time))
    .map((listed) => ({ snapshot: listed.snapshot, protected: listed.protected }))
}

export type OwnerVerdict = "fine" | "skip" | "fail"

/**
 * Whether the sync may work on a group of the target. A pull wants it to be exactly its owner's, a push to be its own
 * or one of its tokens'.
 */
export const judgeOwner = (
  direction: Direction,
  actual: AuthId.AuthId,
  owner: AuthId.AuthId
): OwnerVerdict => {
  if (direction === "pull") return actual === owner ? "fine" : "fail"
  return AuthId.isOwner(actual, owner) ? "fine" : "skip"
}

export type VanishedOptions = Pick<CheckedOptions, "groupFilters" | "owner">

/** Groups of the target that are to go: the filters take them, they are the owner's, and the source has none such. */
export const vanishedGroups = (
  source: ReadonlyArray<ListedGroup>,
  target: ReadonlyArray<ListedGroup>,
  { groupFilters, owner }: VanishedOptions
): ReadonlyArray<ListedGroup> => {
  const names = new Set(source.map(({ group }) => BackupGroup.format(group)))
  return target.filter(
    (listed) =>
      !names.has(BackupGroup.format(listed.group)) &&
      GroupFilter.accepts(groupFilters, listed.group) &&
      listed.owner !== undefined &&
      AuthId.isOwner(listed.owner, owner)
  )
}

const plural = (count: number): string => (count === 1 ? "1 snapshot" : `${count} snapshots`)

const explanations: Partial<Record<SkipReason, string>> = {
  "already synced": "older than the newest snapshot present on sync target",
  "transfer-last": "due to transfer-last"
}

/** What was passed over as one line for each reason, as PBS tells it. */
export const skipLines = (snapshots: ReadonlyArray<Selected>): ReadonlyArray<string> => {
  const byReason = new Map<SkipReason, Array<Selected>>()
  for (const selected of snapshots) {
    if (selected.reason === undefined) continue
    const same = byReason.get(selected.reason)
    if (same === undefined) byReason.set(selected.reason, [selected])
    else same.push(selected)
  }
  return [...byReason].map(([reason, skipped]) => {
    const [oldest, newest] = [skipped[0], skipped.at(-1)].map((one) => one?.snapshot.directory ?? "")
    return `skipped: ${plural(skipped.length)} (${oldest} .. ${newest}) - ${explanations[reason] ?? reason}`
  })
}
