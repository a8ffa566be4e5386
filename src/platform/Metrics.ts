/**
 * Metrics: what Granary counts for whoever watches it, under the names that they have outside: every metric of the
 * library is made here and nowhere else. They go to Effect's registry, so each exporter of Effect's sees them;
 * `docs/observability.md` shows how. What is exported under a name keeps its meaning as long as it has the name.
 *
 * Labels hold words of a short list only. Names of datastores, keys and users are none: they belong into spans.
 */
import * as Metric from "effect/Metric"

const total = (name: string, description: string): Metric.Counter<number> =>
  Metric.counter(name, { description, incremental: true })

/** From a request's time to a day's, in seconds. */
const taskBounds = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600]
const requestBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const openBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30]

/** Lookups of configured datastores. Labels: `operation` (read, write), `outcome` (open, opened, or why not). */
export const lookups = total(
  "granary_lookups_total",
  "Lookups of configured datastores, by operation and outcome"
)

/** How long it took to open a datastore for a lookup: those that found it open are not in it. */
export const openSeconds = Metric.histogram("granary_datastore_open_seconds", {
  description: "Time to open a configured datastore",
  boundaries: openBounds
})

/** Datastores that are open now, in use or kept for the next lookup. */
export const openDatastores = Metric.gauge("granary_open_datastores", {
  description: "Configured datastores that are open"
})

/** How often the configuration files were read and parsed. */
export const configReads = total("granary_config_reads_total", "Readings of the configuration files")

/** Backups, collections, syncs and so on that ended. Labels: `task`, `outcome`. */
export const tasks = total("granary_tasks_total", "Tasks that ended, by task and outcome")

/** Label: `task`. */
export const runningTasks = Metric.gauge("granary_tasks_running", { description: "Tasks under way, by task" })

/** Label: `task`. */
export const taskSeconds = Metric.histogram("granary_task_seconds", {
  description: "Time that tasks took, by task",
  boundaries: taskBounds
})

/** Chunks of archives that were backed up. Label: `kind` (reused: known before it was looked for, duplicate, new). */
export const backupChunks = total("granary_backup_chunks_total", "Chunks of backups, by kind")

/** Their content. Label: `kind`, as for the chunks. */
export const backupBytes = total(
  "granary_backup_bytes_total",
  "Content of backups in bytes, by kind of chunk"
)

/** What new chunks take in the store. */
export const backupStoredBytes = total("granary_backup_stored_bytes_total", "Size of new chunks as stored")

/** Chunks that collections removed. */
export const gcRemovedChunks = total("granary_gc_removed_chunks_total", "Chunks removed by collections")

/** What removed chunks took in the store. */
export const gcRemovedBytes = total("granary_gc_removed_bytes_total", "Size of removed chunks as stored")

/** Groups that syncs were done with. Label: `state` (done, failed, skipped). */
export const syncGroups = total("granary_sync_groups_total", "Backup groups of syncs, by state")

/** Label: `result` (copied, checked, vanished, removed). */
export const syncSnapshots = total("granary_sync_snapshots_total", "Snapshots of syncs, by result")

/** Label: `result` (stored, present: the target had it). */
export const syncChunks = total("granary_sync_chunks_total", "Chunks of syncs, by result")

/** What syncs moved. Label: `kind` (chunks, files). */
export const syncBytes = total("granary_sync_bytes_total", "Bytes that syncs transferred, by kind")

/** Each attempt of a request to a bucket. Labels: `operation`, `outcome`. */
export const s3Requests = total(
  "granary_s3_requests_total",
  "Requests to the object store, by operation and outcome"
)

/** Labels: `operation`, `direction` (in, out). */
export const s3Bytes = total("granary_s3_bytes_total", "Bytes of object bodies, by operation and direction")

/** Label: `operation`. Waiting for a turn and for the next attempt is not in it. */
export const s3Seconds = Metric.histogram("granary_s3_request_seconds", {
  description: "Time that requests to the object store took, by operation",
  boundaries: requestBounds
})
