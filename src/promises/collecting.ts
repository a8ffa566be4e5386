/** What the Promise facade takes and gives when garbage is collected: plain values. */
import type { GcSummary } from "../gc/Gc.ts"
import * as GcStatus from "../gc/GcStatus.ts"
import type { MissingPlace } from "../gc/MissingChunks.ts"
import * as Snapshot from "../model/Snapshot.ts"
import type { ProgressOptions } from "./Runs.ts"

export interface CollectOptions extends ProgressOptions {
  /** Where marks are kept: in memory (`set`, default), or as access times, as Proxmox Backup Server does. */
  readonly mark?: "set" | "atime"
  /** How long a chunk must have been unused, 1 to 2880. Default 1445: 24 hours and 5 minutes. */
  readonly cutoffMinutes?: number
  /** Only say what would be removed. */
  readonly dryRun?: boolean
}

export interface CollectResult {
  readonly removedChunks: number
  readonly removedBytes: number
  /** Unused, but too young to go. */
  readonly pendingChunks: number
  readonly pendingBytes: number
  readonly usedChunks: number
  readonly usedBytes: number
  /** How many times larger the archives are than what is stored of them. */
  readonly deduplicationFactor: number
  /** Chunks that snapshots need and the store lacks. Those snapshots count as failed from now on. */
  readonly missingChunks: ReadonlyArray<{
    readonly digest: string
    readonly snapshots: ReadonlyArray<{ readonly namespace: string; readonly snapshot: string }>
  }>
  readonly warnings: ReadonlyArray<string>
  /** What could not be looked at or removed. */
  readonly errors: ReadonlyArray<string>
  /** What was asked of the bucket, by operation; undefined when the datastore is in a folder. */
  readonly requests: Readonly<Record<string, number>> | undefined
}

const describePlaces = (places: ReadonlyArray<MissingPlace>) => {
  const found = places.map(({ namespace, snapshot }) => ({ namespace, snapshot: Snapshot.format(snapshot) }))
  return [...new Map(found.map((place) => [`${place.namespace}:${place.snapshot}`, place])).values()]
}

export const describeCollection = ({
  errors,
  plan,
  requests,
  status,
  warnings
}: GcSummary): CollectResult => ({
  removedChunks: status.removedChunks,
  removedBytes: status.removedBytes,
  pendingChunks: status.pendingChunks,
  pendingBytes: status.pendingBytes,
  usedChunks: status.diskChunks,
  usedBytes: status.diskBytes,
  deduplicationFactor: GcStatus.deduplicationFactor(status),
  missingChunks: plan.missing.chunks.map(({ digest, places }) => ({
    digest,
    snapshots: describePlaces(places)
  })),
  warnings,
  errors,
  requests: requests === undefined ? undefined : { ...requests }
})
