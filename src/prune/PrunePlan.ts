/**
 * PrunePlan: what a prune would keep and remove, and why, as a value, before anything is removed. It is all that a dry
 * run shows.
 *
 * Making one reads folders only and takes no lock: what changes until the plan is carried out is `Prune`'s business.
 */
import * as Effect from "effect/Effect"
import { Datastore } from "../datastore/Datastore.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as CalendarTime from "../model/CalendarTime.ts"
import { InvalidName } from "../model/InvalidName.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Retention from "../model/Retention.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as Decision from "./Decision.ts"
import type { StorageError } from "../store/StorageError.ts"

export interface PruneOptions {
  readonly namespace: Namespace
  /** Only these; all by default. */
  readonly groups?: ReadonlyArray<BackupGroup.BackupGroup>
  /** How many levels of namespaces below. All by default; when groups are named, none. */
  readonly depthMax?: number
  readonly retention: Retention.Retention
  /** In whose days and weeks to think (`Europe/Vienna`); by default the machine's own, as Proxmox Backup Server. */
  readonly timeZone?: string
}

export interface PlannedGroup {
  readonly namespace: Namespace
  readonly group: BackupGroup.BackupGroup
  /** Newest first. */
  readonly decisions: ReadonlyArray<Decision.Decision>
}

export interface PrunePlan {
  readonly groups: ReadonlyArray<PlannedGroup>
  readonly kept: number
  readonly removed: number
  /** No rule was given, so everything is kept: hardly what was meant. */
  readonly keepsAll: boolean
}

type Failure = StorageError | StoreError | InvalidName

/** A plan of these groups, with its counts. */
export const of = (groups: ReadonlyArray<PlannedGroup>, keepsAll: boolean): PrunePlan => {
  const decisions = groups.flatMap((planned) => planned.decisions)
  const kept = decisions.filter(({ keep }) => keep).length
  return { groups, kept, removed: decisions.length - kept, keepsAll }
}

const checked = ({ retention, timeZone }: PruneOptions) =>
  Effect.try({
    try: () => ({ retention: Retention.check(retention), calendar: CalendarTime.make(timeZone) }),
    catch: (error) => {
      if (error instanceof InvalidName) return error
      throw error
    }
  })

const isMissingGroup = (error: StorageError | StoreError): boolean =>
  error._tag === "StoreError" && error.reason === "NoSuchGroup"

/** A group that was named and is nowhere is an error: a misspelled name must not look like success. */
const requireAll = (
  wanted: ReadonlyArray<BackupGroup.BackupGroup>,
  found: ReadonlyArray<PlannedGroup>
): Effect.Effect<void, StoreError> => {
  const names = new Set(found.map(({ group }) => BackupGroup.format(group)))
  const missing = wanted.map(BackupGroup.format).find((name) => !names.has(name))
  return missing === undefined
    ? Effect.void
    : Effect.fail(storeError("NoSuchGroup", missing, "there is no such backup group"))
}

export const make = (options: PruneOptions): Effect.Effect<PrunePlan, Failure, Datastore> =>
  Effect.gen(function* () {
    const { hierarchy } = yield* Datastore
    const { retention, calendar } = yield* checked(options)
    const { groups: wanted, depthMax = wanted === undefined ? undefined : 0 } = options
    const names = wanted === undefined ? undefined : new Set(wanted.map(BackupGroup.format))
    const planned: Array<PlannedGroup> = []
    for (const namespace of yield* hierarchy.namespaces(options.namespace, depthMax)) {
      for (const group of yield* hierarchy.groups(namespace)) {
        if (names !== undefined && !names.has(BackupGroup.format(group))) continue
        // One that vanishes while we look was just removed.
        const entries = yield* hierarchy
          .snapshots(namespace, group)
          .pipe(Effect.catchIf(isMissingGroup, () => Effect.succeed([])))
        planned.push({ namespace, group, decisions: Decision.decide(entries, retention, calendar) })
      }
    }
    if (wanted !== undefined) yield* requireAll(wanted, planned)
    return of(planned, !Retention.keepsSomething(retention))
  })
