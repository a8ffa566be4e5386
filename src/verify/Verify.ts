/**
 * Verify: compares everything that snapshots name with what they say of it: checksums of indexes and blobs, and every
 * chunk (spec 11.2); or as much of that as the plan wants. What is known in the end of a snapshot goes into its
 * manifest, where backups look before they build on it: a failure in any case, and success only when everything was
 * read. What could not be looked at is told, and changes nothing that was known before.
 *
 * A snapshot that somebody is removing, or that has vanished, is skipped; a fault in one file does not stop the others.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { Datastore, snapshotLockName } from "../datastore/Datastore.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as AuthId from "../model/AuthId.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as Observation from "../platform/Observation.ts"
import { Progress } from "../platform/Progress.ts"
import * as TaskIds from "../platform/TaskIds.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreError } from "../store/StoreError.ts"
import * as ChunkLooks from "./ChunkLooks.ts"
import * as ChunkVerifier from "./ChunkVerifier.ts"
import * as Confidence from "./Confidence.ts"
import * as FileListing from "./FileListing.ts"
import * as FileVerifier from "./FileVerifier.ts"
import { findInBucket } from "./ManifestObject.ts"
import type { PlannedSnapshot, VerifyPlan } from "./VerifyPlan.ts"

/** `unproven`: something could not be looked at, and nothing that could be was wrong. */
export type FileState = "ok" | "failed" | "unproven"

export interface FileResult {
  readonly filename: string
  readonly state: FileState
  readonly errors: ReadonlyArray<string>
}

export interface SnapshotResult {
  readonly namespace: PlannedSnapshot["namespace"]
  readonly snapshot: Snapshot.Snapshot
  readonly state: FileState | "skipped"
  readonly files: ReadonlyArray<FileResult>
}

export interface SampleResult {
  readonly percent: number
  readonly seed: string
  /** Different chunks that the snapshots name. */
  readonly chunks: number
  /** Those that were picked, read, and found good. */
  readonly good: number
  /** With 95 % confidence less than this share of all is corrupt; undefined when one was, or nothing can be said. */
  readonly corruptShareBelow: number | undefined
}

export interface VerifySummary {
  readonly snapshots: ReadonlyArray<SnapshotResult>
  readonly statistics: ChunkVerifier.VerifierStatistics
  /** What a listing showed; undefined when everything was read. */
  readonly listing: ChunkLooks.ListingStatistics | undefined
  readonly sample: SampleResult | undefined
}

export interface RunOptions {
  /** With the key, encrypted chunks are proven by their content as well. */
  readonly crypt?: CryptConfig
  /** In whose name the result is recorded; `root@pam` by default, as PBS does for jobs. */
  readonly authId?: AuthId.AuthId
}

type Failure = StorageError | StoreError

interface Run {
  readonly datastore: Datastore["Service"]
  readonly verifyFile: (subject: FileVerifier.SnapshotFile) => Effect.Effect<ChunkVerifier.Findings>
  readonly findManifest: (
    planned: PlannedSnapshot,
    manifest: Manifest.Manifest
  ) => Effect.Effect<ChunkVerifier.Findings>
  /** Everything is read, so that success means something. */
  readonly isThorough: boolean
  readonly upid: string
  /** Nothing can be recorded in a store behind a network, as was told once. */
  isUnrecorded: boolean
  /** Of the key that was given. */
  readonly fingerprint: string | undefined
}

const resultOf = (filename: string, { doubts, faults }: ChunkVerifier.Findings): FileResult => ({
  filename,
  state: faults.length > 0 ? "failed" : doubts.length > 0 ? "unproven" : "ok",
  errors: [...faults, ...doubts]
})

const stateOf = (files: ReadonlyArray<FileResult>): FileState => {
  if (files.some(({ state }) => state === "failed")) return "failed"
  return files.some(({ state }) => state === "unproven") ? "unproven" : "ok"
}

const recordState = (run: Run, planned: PlannedSnapshot, state: "ok" | "failed") =>
  Effect.gen(function* () {
    const { namespace, snapshot } = planned
    const report = yield* Progress
    yield* run.datastore.snapshotFiles
      .updateManifest(namespace, snapshot, (manifest) =>
        ManifestNotes.withVerifyState(manifest, { state, upid: run.upid })
      )
      .pipe(
        Effect.catchTag(["FilesError", "ObjectStoreError", "StoreError"], (error) =>
          // The verdict stands even where it cannot be written down, on a read-only store for example.
          Effect.sync(() => {
            const isRefusal = error.reason === "ReadOnlyFileSystem" || error.reason === "Refused"
            const isLasting = isRefusal && run.datastore.isDistant
            if (isLasting && run.isUnrecorded) return
            run.isUnrecorded ||= isLasting
            report({
              type: "warning",
              subject: Snapshot.format(snapshot),
              message: `the result could not be recorded: ${error.message}`
            })
          })
        )
      )
  })

/** What the manifest itself comes to, when it cannot be read. */
const unreadManifest = ({ datastore }: Run, planned: PlannedSnapshot, error: Failure): SnapshotResult => {
  const { namespace, snapshot } = planned
  const isDoubt = FileVerifier.isDoubt(error, datastore.isDistant)
  const findings = isDoubt ? { faults: [], doubts: [error.message] } : { faults: [error.message], doubts: [] }
  const file = resultOf(ArchiveName.manifestFile, findings)
  return { namespace, snapshot, state: file.state, files: [file] }
}

const verifyFiles = (run: Run, planned: PlannedSnapshot, manifest: Manifest.Manifest) =>
  Effect.gen(function* () {
    const isKeyRight = run.fingerprint !== undefined && run.fingerprint === Manifest.keyFingerprint(manifest)
    const files = yield* Effect.forEach(manifest.files, (file) =>
      Effect.map(run.verifyFile({ planned, file, isKeyRight }), (found) => resultOf(file.filename, found))
    )
    const own = resultOf(ArchiveName.manifestFile, yield* run.findManifest(planned, manifest))
    return own.state === "ok" ? files : [...files, own]
  })

const verifySnapshot = (run: Run, planned: PlannedSnapshot): Effect.Effect<SnapshotResult, Failure> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { namespace, snapshot } = planned
      const { locks, snapshotFiles } = run.datastore
      const skipped: SnapshotResult = { namespace, snapshot, state: "skipped", files: [] }
      if (!(yield* locks.tryHold(snapshotLockName(namespace, snapshot), "shared"))) return skipped
      const read = yield* Effect.result(snapshotFiles.manifest(namespace, snapshot))
      if (read._tag === "Failure") {
        const error = read.failure
        if (error.reason === "NoSuchSnapshot" || error.reason === "Unfinished") return skipped
        return unreadManifest(run, planned, error)
      }
      const files = yield* verifyFiles(run, planned, read.success)
      const state = stateOf(files)
      if (state === "failed" || (state === "ok" && run.isThorough)) yield* recordState(run, planned, state)
      return { namespace, snapshot, state, files }
    })
  )

/** Lists what is to be listed. */
const look = (
  { bucket, presence, records }: Datastore["Service"],
  { chunks, depth }: VerifyPlan
): Effect.Effect<ChunkLooks.ChunkLooks> => {
  if (depth === "full" || chunks === undefined) return Effect.succeed(ChunkLooks.reading(chunks?.sample))
  return bucket === undefined
    ? ChunkLooks.inFolder(presence, chunks)
    : ChunkLooks.inBucket({ bucket, records }, chunks)
}

const sampleResult = (
  { chunks }: VerifyPlan,
  looks: ChunkLooks.ChunkLooks,
  statistics: ChunkVerifier.VerifierStatistics
): SampleResult | undefined => {
  if (chunks?.sample === undefined) return undefined
  const { percent, seed } = chunks.sample
  const good = looks.goodInSample()
  const isClean = statistics.corrupt + statistics.missing === 0
  const corruptShareBelow = isClean ? Confidence.corruptShareBelow(chunks.count, good) : undefined
  return { percent, seed, chunks: chunks.count, good, corruptShareBelow }
}

const warnOf = (failure: StorageError | undefined, subject: string) =>
  Effect.map(Progress, (report) => {
    if (failure !== undefined) report({ type: "warning", subject, message: failure.message })
  })

/** The parts of a run, before the first snapshot. */
const begin = (plan: VerifyPlan, options: RunOptions, onBytes: (sizeBytes: number) => void) =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    const { bucket } = datastore
    const looks = yield* look(datastore, plan)
    yield* warnOf(looks.failure, datastore.layout.base)
    const listedSize: FileListing.ListedSize =
      bucket === undefined || looks.listing === undefined || FileVerifier.isWithoutFolder(datastore)
        ? () => undefined
        : yield* FileListing.list(bucket, plan.snapshots, looks.listing)
    const verifier = ChunkVerifier.make(datastore.chunks, {
      crypt: options.crypt,
      looks,
      mayBeUnreachable: datastore.isDistant
    })
    const readsObjects = plan.depth === "full"
    const { verify } = FileVerifier.make({ datastore, verifier, readsObjects, listedSize, onBytes })
    const authId = options.authId ?? AuthId.parse("root@pam")
    const workerId = path.basename(datastore.layout.base)
    const run: Run = {
      datastore,
      verifyFile: verify,
      findManifest: (planned, manifest) =>
        bucket === undefined ||
        FileVerifier.isWithoutFolder(datastore) ||
        (listedSize(planned, ArchiveName.manifestFile) ?? 0) > 0
          ? Effect.succeed(ChunkVerifier.noFindings)
          : findInBucket(bucket, planned, manifest),
      isThorough: plan.depth === "full" && plan.chunks?.sample === undefined,
      isUnrecorded: false,
      upid: yield* TaskIds.begin({ workerType: "verify", workerId, authId }),
      fingerprint: options.crypt?.fingerprintText
    }
    return { looks, run, verifier }
  })

/** Carries a plan out. Fails only for trouble with the store as such; faults of snapshots are in the summary. */
export const run = (
  plan: VerifyPlan,
  options: RunOptions = {}
): Effect.Effect<VerifySummary, Failure, Datastore> =>
  Effect.gen(function* () {
    const { layout } = yield* Datastore
    const report = yield* Progress
    let done = 0
    let subject = layout.base
    let statistics: ChunkVerifier.VerifierStatistics | undefined
    const progress = (state: "started" | "running" | "ended") =>
      report({
        type: "progress",
        task: "verify",
        subject,
        state,
        unit: "bytes",
        done,
        total: plan.sizeBytes,
        counts: { chunks: statistics?.chunks ?? 0, corrupt: statistics?.corrupt ?? 0 }
      })
    progress("started")
    const begun = yield* begin(plan, options, (sizeBytes) => {
      done += sizeBytes
      progress("running")
    })
    statistics = begun.verifier.statistics
    const results: Array<SnapshotResult> = []
    for (const planned of plan.snapshots) {
      subject = Snapshot.format(planned.snapshot)
      const before = done
      results.push(yield* verifySnapshot(begun.run, planned))
      done = before + planned.sizeBytes
    }
    subject = layout.base
    progress("ended")
    const { looks } = begun
    const sample = sampleResult(plan, looks, statistics)
    return { snapshots: results, statistics, listing: looks.listing, sample }
  }).pipe(Observation.task("verification", { "granary.depth": plan.depth }))
