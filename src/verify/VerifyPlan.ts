/**
 * VerifyPlan: which snapshots a verification will read, as a value, before anything is read but manifests.
 *
 * Groups in their order, snapshots newest first (spec 11.2), without the group that holds benchmarks unless it is asked
 * for. A snapshot without a manifest is still being made, or was
 * interrupted, and is passed over.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Datastore } from "../datastore/Datastore.ts"
import type * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import type { BackupGroup } from "../model/BackupGroup.ts"
import { InvalidName } from "../model/InvalidName.ts"
import type { Namespace } from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import * as TaskId from "../model/TaskId.ts"
import type { StoreError } from "../store/StoreError.ts"
import type { StorageError } from "../store/StorageError.ts"

export interface VerifyOptions {
  readonly namespace: Namespace
  /** Only this group, or only this snapshot. */
  readonly group?: BackupGroup
  readonly snapshot?: Snapshot.Snapshot
  /** How many levels of namespaces below; all by default. */
  readonly depthMax?: number
  /** Pass over snapshots that were verified before. */
  readonly ignoreVerified?: boolean
  /** Verify those again whose verification is older than this many days. */
  readonly outdatedAfterDays?: number
}

export interface PlannedSnapshot {
  readonly namespace: Namespace
  readonly snapshot: Snapshot.Snapshot
  /** Logical size of all archives; 0 when the manifest cannot be read. */
  readonly sizeBytes: number
}

export interface VerifyPlan {
  readonly snapshots: ReadonlyArray<PlannedSnapshot>
  readonly sizeBytes: number
  /** Passed over because their verification is recent enough. */
  readonly upToDate: number
  /** Passed over because they have no manifest. */
  readonly unfinished: number
}

type Failure = StorageError | StoreError

const secondsPerDay = 86_400

const isUpToDate = (manifest: Manifest.Manifest, options: VerifyOptions, nowSeconds: number): boolean => {
  const state = ManifestNotes.verifyState(manifest)
  if (options.ignoreVerified !== true || state === undefined) return false
  if (options.outdatedAfterDays === undefined) return true
  try {
    const ageSeconds = nowSeconds - TaskId.parse(state.upid).starttime
    return Math.floor(ageSeconds / secondsPerDay) <= options.outdatedAfterDays
  } catch (error) {
    if (error instanceof InvalidName) return false
    throw error
  }
}

/** Where clients put what they upload to measure speed; nobody restores it. */
const isBenchmark = (group: BackupGroup): boolean => group.type === "host" && group.id === "benchmark"

const sizeOf = (manifest: Manifest.Manifest): number =>
  manifest.files.reduce((total, { sizeBytes }) => total + sizeBytes, 0)

export const make = (options: VerifyOptions): Effect.Effect<VerifyPlan, Failure, Datastore> =>
  Effect.gen(function* () {
    const { hierarchy, snapshotFiles } = yield* Datastore
    const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const planned: Array<PlannedSnapshot> = []
    let upToDate = 0
    let unfinished = 0

    const consider = (namespace: Namespace, snapshot: Snapshot.Snapshot) =>
      Effect.gen(function* () {
        // One that is damaged or cannot be read is verified as well: that is where its fault gets reported.
        const manifest = yield* snapshotFiles
          .manifest(namespace, snapshot)
          .pipe(Effect.catch(() => Effect.succeed(undefined)))
        if (manifest !== undefined && isUpToDate(manifest, options, nowSeconds)) upToDate += 1
        else planned.push({ namespace, snapshot, sizeBytes: manifest === undefined ? 0 : sizeOf(manifest) })
      })

    const considerGroup = (namespace: Namespace, group: BackupGroup) =>
      Effect.gen(function* () {
        for (const entry of yield* hierarchy.snapshots(namespace, group)) {
          if (entry.finished) yield* consider(namespace, entry.snapshot)
          else unfinished += 1
        }
      })

    if (options.snapshot !== undefined) {
      const entry = yield* hierarchy.entry(options.namespace, options.snapshot)
      if (entry.finished) yield* consider(options.namespace, options.snapshot)
      else unfinished += 1
    } else if (options.group !== undefined) {
      yield* considerGroup(options.namespace, options.group)
    } else {
      for (const namespace of yield* hierarchy.namespaces(options.namespace, options.depthMax)) {
        for (const group of yield* hierarchy.groups(namespace)) {
          if (!isBenchmark(group)) yield* considerGroup(namespace, group)
        }
      }
    }
    const sizeBytes = planned.reduce((total, item) => total + item.sizeBytes, 0)
    return { snapshots: planned, sizeBytes, upToDate, unfinished }
  })
