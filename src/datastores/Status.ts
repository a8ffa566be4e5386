/**
 * Status: how a configured datastore is, cheaply enough to ask every second: nothing of it is walked or opened. What
 * the last garbage collection counted is in `.gc-status`; how full its file system is, the system knows.
 *
 * A folder that cannot be looked at is told in the status and is no failure: it is what somebody wants to know.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { backendOf, type DatastoreEntry } from "../config/DatastoreConfig.ts"
import * as Generation from "../config/Generation.ts"
import type { Maintenance } from "../config/Maintenance.ts"
import * as GcStatus from "../gc/GcStatus.ts"
import type { Usage } from "../objectstore/decorators/metered.ts"
import { Files, type FilesError } from "../platform/Files.ts"
import { layoutOf } from "../store/StoreLayout.ts"
import type { OperationCounts } from "./ActiveOperations.ts"
import { admit, configured, type ConfigurationError, type Parts } from "./Lookup.ts"
import * as UsageHistory from "./UsageHistory.ts"

/** The file system that holds a datastore; of one in a bucket, its cache folder's. */
export interface Space {
  readonly totalBytes: number
  /** What others than this user, or other folders, take counts as well. */
  readonly usedBytes: number
  readonly availableBytes: number
}

export interface DatastoreStatus {
  readonly name: string
  readonly entry: DatastoreEntry
  readonly backend: "filesystem" | "s3"
  readonly maintenance: Maintenance | undefined
  /** As of a second ago. */
  readonly activeOperations: OperationCounts
  /** Undefined when the folder cannot be looked at; `problem` says why. */
  readonly space: Space | undefined
  readonly problem: string | undefined
  /** Of the last garbage collection; undefined before the first. */
  readonly lastGc: GcStatus.GcStatus | undefined
  readonly deduplicationFactor: number
  /** Seconds since 1970; undefined when it does not get fuller, or nobody has looked long enough. */
  readonly estimatedFullSeconds: number | undefined
  /** What this process has asked of the bucket. */
  readonly requests: Usage | undefined
}

/** With the names of Proxmox Backup Server where it has one. */
export const toJson = (status: DatastoreStatus) => ({
  store: status.name,
  "backend-type": status.backend,
  "maintenance-mode":
    status.maintenance === undefined
      ? null
      : { type: status.maintenance.type, message: status.maintenance.message ?? null },
  "active-operations": status.activeOperations,
  total: status.space?.totalBytes ?? null,
  used: status.space?.usedBytes ?? null,
  avail: status.space?.availableBytes ?? null,
  error: status.problem ?? null,
  "gc-status": status.lastGc === undefined ? null : GcStatus.toJson(status.lastGc),
  "deduplication-factor": status.deduplicationFactor,
  "estimated-full-date": status.estimatedFullSeconds ?? null,
  ...(status.requests === undefined
    ? {}
    : {
        "s3-statistics": {
          requests: status.requests.requests,
          "bytes-in": status.requests.bytesIn,
          "bytes-out": status.requests.bytesOut
        }
      })
})

/** What is remembered of a datastore between two looks. */
interface Remembered {
  readonly folder: string
  lookedMillis: number
  operations: OperationCounts
  space: Space | undefined
  problem: string | undefined
  gcStamp: string
  lastGc: GcStatus.GcStatus | undefined
  samples: ReadonlyArray<UsageHistory.Sample> | undefined
}

/** How long a look at the file system, and at who is at work, serves. */
const servesMillis = 1000

const unseen = (folder: string): Remembered => ({
  folder,
  lookedMillis: Number.NEGATIVE_INFINITY,
  operations: { read: 0, write: 0 },
  space: undefined,
  problem: undefined,
  gcStamp: Generation.noFile,
  lastGc: undefined,
  samples: undefined
})

const lookAtSpace = (files: Files["Service"], seen: Remembered) =>
  files.statFileSystem(layoutOf(seen.folder).chunks).pipe(
    Effect.match({
      onFailure: ({ message }) => {
        seen.space = undefined
        seen.problem = message
      },
      onSuccess: ({ availableBytes, totalBytes }) => {
        seen.space = { totalBytes, availableBytes, usedBytes: totalBytes - availableBytes }
        seen.problem = undefined
      }
    })
  )

const lookAtGc = (files: Files["Service"], seen: Remembered): Effect.Effect<void> =>
  Effect.gen(function* () {
    const layout = layoutOf(seen.folder)
    const stamp = yield* Generation.makeStamper(files, layout.gcStatus).pipe(
      Effect.orElseSucceed(() => Generation.noFile)
    )
    if (stamp === seen.gcStamp) return
    seen.lastGc =
      stamp === Generation.noFile
        ? undefined
        : yield* Effect.provideService(GcStatus.read(layout), Files, files)
    seen.gcStamp = stamp
  })

/** The history is for estimates: where it cannot be kept there is none. */
const readHistory = (folder: string, name: string) =>
  Effect.orElseSucceed(UsageHistory.read(folder, name), (): ReadonlyArray<UsageHistory.Sample> => [])

/** How many histories are written at a time: each is a file, and nobody waits for them. */
const recordsMax = 10

export interface StatusService {
  readonly status: (name: string) => Effect.Effect<DatastoreStatus, ConfigurationError | FilesError, Files>
  /** Writes down some of what was seen for the estimates; `all` of it at the end. */
  readonly record: (count: "some" | "all") => Effect.Effect<void, never, Files>
}

export const make = (parts: Parts): StatusService => {
  const remembered = new Map<string, Remembered>()
  /** Samples that are not written down yet, by name. Whoever asks for a status does not wait for that. */
  const unwritten = new Map<string, UsageHistory.Sample>()

  const sample = (name: string, seen: Remembered, nowSeconds: number) =>
    Effect.gen(function* () {
      const before = seen.samples ?? (yield* readHistory(parts.folder, name))
      seen.samples = before
      if (seen.space === undefined) return
      const { totalBytes, usedBytes } = seen.space
      const taken = { timeSeconds: nowSeconds, totalBytes, usedBytes }
      seen.samples = UsageHistory.withSample(before, taken)
      if (seen.samples !== before) unwritten.set(name, taken)
    })

  /** To what the file has now: other processes add to it as well. What was removed meanwhile gets no history. */
  const write = (name: string, taken: UsageHistory.Sample) =>
    Effect.gen(function* () {
      yield* configured(parts, name)
      const before = yield* readHistory(parts.folder, name)
      const samples = UsageHistory.withSample(before, taken)
      if (samples !== before) yield* UsageHistory.write(parts.folder, name, samples)
    }).pipe(Effect.ignore)

  const record = (count: "some" | "all") =>
    Effect.suspend(() => {
      const due = [...unwritten].slice(0, count === "all" ? undefined : recordsMax)
      for (const [name] of due) unwritten.delete(name)
      return Effect.forEach(due, ([name, taken]) => write(name, taken), { discard: true })
    })

  const seenOf = (name: string, folder: string): Remembered => {
    const found = remembered.get(name)
    if (found?.folder === folder) return found
    const made = unseen(folder)
    remembered.set(name, made)
    return made
  }

  const status = (name: string): Effect.Effect<DatastoreStatus, ConfigurationError | FilesError, Files> =>
    Effect.gen(function* () {
      const files = yield* Files
      const found = yield* configured(parts, name)
      yield* admit(name, found, "lookup")
      const { entry, folder, maintenance } = found
      const seen = seenOf(name, folder)
      const nowMillis = yield* Clock.currentTimeMillis
      if (Math.abs(nowMillis - seen.lookedMillis) >= servesMillis) {
        seen.operations = yield* parts.operations.total(name)
        yield* lookAtSpace(files, seen)
        yield* sample(name, seen, Math.floor(nowMillis / 1000))
        seen.lookedMillis = nowMillis
      }
      yield* lookAtGc(files, seen)
      return {
        name,
        entry,
        backend: backendOf(entry).type,
        maintenance,
        activeOperations: seen.operations,
        space: seen.space,
        problem: seen.problem,
        lastGc: seen.lastGc,
        deduplicationFactor: GcStatus.deduplicationFactor(seen.lastGc ?? GcStatus.empty),
        estimatedFullSeconds: UsageHistory.estimatedFullSeconds(seen.samples ?? []),
        requests: yield* parts.places.usage(name)
      }
    })

  return { status, record }
}
