/**
 * Verify: reads everything that snapshots name and compares it with what they say of it: checksums of indexes and
 * blobs, and every chunk (spec 11.2). The result goes into each snapshot's manifest, where backups look before they
 * build on it.
 *
 * A snapshot that somebody is removing, or that has vanished, is skipped; a fault in one file does not stop the others.
 */
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import * as path from "node:path"
import { Datastore, snapshotLockName } from "../datastore/Datastore.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as AuthId from "../model/AuthId.ts"
import { Progress } from "../platform/Progress.ts"
import * as TaskIds from "../platform/TaskIds.ts"
import { decodeOrDamaged, type StoreError } from "../store/StoreError.ts"
import * as ChunkVerifier from "./ChunkVerifier.ts"
import type { PlannedSnapshot, VerifyPlan } from "./VerifyPlan.ts"
import type { StorageError } from "../store/StorageError.ts"

export interface FileResult {
  readonly filename: string
  readonly state: "ok" | "failed"
  readonly errors: ReadonlyArray<string>
}

export interface SnapshotResult {
  readonly namespace: PlannedSnapshot["namespace"]
  readonly snapshot: Snapshot.Snapshot
  readonly state: "ok" | "failed" | "skipped"
  readonly files: ReadonlyArray<FileResult>
}

export interface VerifySummary {
  readonly snapshots: ReadonlyArray<SnapshotResult>
  readonly statistics: ChunkVerifier.VerifierStatistics
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
  readonly verifier: ChunkVerifier.ChunkVerifier
  readonly upid: string
  /** Of the key that was given. */
  readonly fingerprint: string | undefined
  readonly onBytes: (sizeBytes: number) => void
}

const verifyBlob = (run: Run, planned: PlannedSnapshot, file: Manifest.ManifestFile) =>
  Effect.gen(function* () {
    const { namespace, snapshot } = planned
    const bytes = yield* run.datastore.snapshotFiles.read(namespace, snapshot, file.filename)
    if (bytes.length !== file.sizeBytes)
      return [`it has ${bytes.length} bytes, the manifest says ${file.sizeBytes}`]
    if (hash("sha256", bytes, "hex") !== file.csum) return ["its checksum is not the one in the manifest"]
    yield* decodeOrDamaged(file.filename, () => {
      if (!DataBlob.isEncrypted(DataBlob.peekKind(bytes))) DataBlob.decode(bytes)
      else DataBlob.verifyCrc(bytes)
    })
    return []
  })

const verifyIndex = (run: Run, planned: PlannedSnapshot, file: Manifest.ManifestFile, isKeyRight: boolean) =>
  Effect.gen(function* () {
    const { namespace, snapshot } = planned
    const archive = ArchiveName.fromFile(file.filename)
    const index = yield* run.datastore.snapshotFiles.index(namespace, snapshot, archive)
    if (index.sizeBytes !== file.sizeBytes) {
      return [`the index says ${index.sizeBytes} bytes, the manifest ${file.sizeBytes}`]
    }
    if (index.computeChecksum() !== file.csum)
      return ["the checksum of the index is not the one in the manifest"]
    return yield* run.verifier.verify({ index, cryptMode: file.cryptMode, isKeyRight }, run.onBytes)
  })

const verifyFile = (
  run: Run,
  planned: PlannedSnapshot,
  file: Manifest.ManifestFile,
  isKeyRight: boolean
): Effect.Effect<FileResult> => {
  const isBlob = ArchiveName.fromFile(file.filename).kind === "blob"
  const check: Effect.Effect<ReadonlyArray<string>, Failure> = isBlob
    ? verifyBlob(run, planned, file)
    : verifyIndex(run, planned, file, isKeyRight)
  return check.pipe(
    Effect.catch((error) => Effect.succeed([error.message])),
    Effect.map((errors): FileResult => ({
      filename: file.filename,
      state: errors.length === 0 ? "ok" : "failed",
      errors
    }))
  )
}

const manifestFault = (error: Failure): ReadonlyArray<FileResult> => [
  { filename: ArchiveName.manifestFile, state: "failed", errors: [error.message] }
]

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
          Effect.sync(() =>
            report({
              type: "warning",
              subject: Snapshot.format(snapshot),
              message: `the result could not be recorded: ${error.message}`
            })
          )
        )
      )
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
        return { namespace, snapshot, state: "failed", files: manifestFault(error) }
      }
      const manifest = read.success
      const isKeyRight =
        run.fingerprint !== undefined && run.fingerprint === Manifest.keyFingerprint(manifest)
      const files = yield* Effect.forEach(manifest.files, (file) =>
        verifyFile(run, planned, file, isKeyRight)
      )
      const state = files.every((file) => file.state === "ok") ? "ok" : "failed"
      yield* recordState(run, planned, state)
      return { namespace, snapshot, state, files }
    })
  )

/** Carries a plan out. Fails only for trouble with the store as such; faults of snapshots are in the summary. */
export const run = (
  plan: VerifyPlan,
  options: RunOptions = {}
): Effect.Effect<VerifySummary, Failure, Datastore> =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    const report = yield* Progress
    const fingerprint = options.crypt?.fingerprintText
    const verifier = ChunkVerifier.make(datastore.chunks, options.crypt)
    let done = 0
    const progress = (state: "started" | "running" | "ended", subject: string) =>
      report({
        type: "progress",
        task: "verify",
        subject,
        state,
        unit: "bytes",
        done,
        total: plan.sizeBytes,
        counts: { chunks: verifier.statistics.chunks, corrupt: verifier.statistics.corrupt }
      })
    progress("started", datastore.layout.base)
    const workerId = path.basename(datastore.layout.base)
    const authId = options.authId ?? AuthId.parse("root@pam")
    const upid = yield* TaskIds.begin({ workerType: "verify", workerId, authId })
    const results: Array<SnapshotResult> = []
    for (const planned of plan.snapshots) {
      const subject = Snapshot.format(planned.snapshot)
      const before = done
      const onBytes = (sizeBytes: number): void => {
        done += sizeBytes
        progress("running", subject)
      }
      results.push(yield* verifySnapshot({ datastore, verifier, upid, fingerprint, onBytes }, planned))
      done = before + planned.sizeBytes
    }
    progress("ended", datastore.layout.base)
    return { snapshots: results, statistics: verifier.statistics }
  })
