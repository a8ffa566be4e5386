/**
 * VerifyPlan: which snapshots a verification will look at, how closely, and what that will take, as a value, before
 * anything is read but manifests; and indexes, where single chunks matter: for a sample, for a listing, and for a store
 * in a bucket, where reading costs money.
 *
 * Groups in their order, snapshots newest first (spec 11.2), without the group that holds benchmarks unless it is asked
 * for. A snapshot without a manifest is still being made, or was interrupted, and is passed over.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Datastore } from "../datastore/Datastore.ts"
import * as DataBlob from "../format/DataBlob.ts"
import type * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { BackupGroup } from "../model/BackupGroup.ts"
import { InvalidName } from "../model/InvalidName.ts"
import type { Namespace } from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import * as TaskId from "../model/TaskId.ts"
import { randomHex } from "../platform/Entropy.ts"
import * as StoredSizes from "../store/bucket/StoredSizes.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { StorageError } from "../store/StorageError.ts"
import * as ChunkSelection from "./ChunkSelection.ts"
import { type ExpectedWork, expectedWork } from "./VerifyCosts.ts"

/**
 * `full`: everything is read. `listed`: chunks are only looked for; of a store in a bucket by listing it, one request
 * for 1,000 of them, and with the sizes and ETags that were recorded when they were uploaded.
 */
export type Depth = "full" | "listed"

export interface VerifyOptions {
  readonly namespace: Namespace
  /** Default `full`. */
  readonly depth?: Depth
  /**
   * Of the different chunks, picked at random, so many percent are read: above 0, at most 100. With `full` the others
   * are left out; with `listed` they are looked for as well.
   */
  readonly samplePercent?: number
  /** Makes the same choice again. Default: a new one. */
  readonly sampleSeed?: string
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
  /** Those that the manifest names; none when it cannot be read. */
  readonly files: ReadonlyArray<string>
  /** Of the blobs among them, and of the manifest itself at most. */
  readonly blobBytes: number
  readonly manifestBytes: number
}

export interface VerifyPlan {
  readonly depth: Depth
  /** Undefined when every chunk of a store in a folder is read: then nobody has to count them first. */
  readonly chunks: ChunkSelection.ChunkSelection | undefined
  readonly expected: ExpectedWork | undefined
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

interface Selected {
  readonly planned: ReadonlyArray<PlannedSnapshot>
  readonly upToDate: number
  readonly unfinished: number
}

const select = (options: VerifyOptions): Effect.Effect<Selected, Failure, Datastore> =>
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
        else planned.push({ namespace, snapshot, ...contentOf(manifest) })
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
    return { planned, upToDate, unfinished }
  })

type Content = Omit<PlannedSnapshot, "namespace" | "snapshot">

const contentOf = (manifest: Manifest.Manifest | undefined): Content => {
  if (manifest === undefined) return { sizeBytes: 0, files: [], blobBytes: 0, manifestBytes: 0 }
  const blobs = manifest.files.filter(({ filename }) => ArchiveName.fromFile(filename).kind === "blob")
  return {
    sizeBytes: sizeOf(manifest),
    files: manifest.files.map(({ filename }) => filename),
    blobBytes: blobs.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
    // It is compressed, and that never makes it larger.
    manifestBytes: DataBlob.encodedSizeMax(Buffer.byteLength(JSON.stringify(manifest.raw, null, 2)))
  }
}

const seedBytes = 8

const sampleOf = ({ samplePercent, sampleSeed }: VerifyOptions) =>
  Effect.gen(function* () {
    if (samplePercent === undefined) return undefined
    if (!(samplePercent > 0 && samplePercent <= 100)) {
      return yield* storeError(
        "Refused",
        `sample of ${samplePercent} %`,
        "it must be above 0 and at most 100"
      )
    }
    const seed = sampleSeed ?? (yield* randomHex(seedBytes))
    return { percent: samplePercent, seed }
  })

export const make = (options: VerifyOptions): Effect.Effect<VerifyPlan, Failure, Datastore> =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    const { depth = "full" } = options
    const sample = yield* sampleOf(options)
    const { planned, unfinished, upToDate } = yield* select(options)
    const countsChunks = depth === "listed" || sample !== undefined || datastore.bucket !== undefined
    const storedSize = yield* StoredSizes.load(datastore.records)
    const chunks = countsChunks
      ? yield* ChunkSelection.make(datastore, planned, sample, storedSize)
      : undefined
    return {
      depth,
      chunks,
      expected: chunks === undefined ? undefined : expectedWork(depth, chunks, planned, datastore),
      snapshots: planned,
      sizeBytes: planned.reduce((total, item) => total + item.sizeBytes, 0),
      upToDate,
      unfinished
    }
  })
