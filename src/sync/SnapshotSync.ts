/**
 * SnapshotSync: brings one snapshot of the target to what the source has.
 *
 * In this order: chunks, then the index that names them, archive by archive; the client's log; everything is proven to
 * be there; the manifest; what it does not name goes. Stopped anywhere, the target has at most a snapshot that does not
 * count as finished, and chunks that the next run finds.
 *
 * Invariants: the manifest is that of this snapshot. A finished snapshot of the target is replaced only by one with the
 * same protected part, unless it is to be repaired. What the target's own verification said of a snapshot stays until
 * it is repaired, for it is about the target's chunks. Protection is nobody's business here.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as CanonicalJson from "../format/CanonicalJson.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { Namespace } from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import { decodeManifest } from "./decodeManifest.ts"
import { DigestMap } from "./DigestMap.ts"
import * as RecodedFiles from "./RecodedFiles.ts"
import * as Recoding from "./Recoding.ts"
import type { GroupLog } from "./GroupLog.ts"
import { stateOf } from "./ListedSnapshot.ts"
import * as FilesSync from "./SnapshotFilesSync.ts"
import { placeOf, type SyncError, syncError, within } from "./SyncError.ts"
import type { SyncMeter } from "./SyncMeter.ts"
import type { SkipReason, SnapshotAction } from "./SyncPlan.ts"
import * as SyncRules from "./SyncRules.ts"
import type { SyncScene } from "./SyncScene.ts"
import type { SourceSnapshot } from "./SyncSource.ts"
import type { TargetSnapshot } from "./SyncTarget.ts"

export interface SnapshotWork {
  readonly scene: SyncScene
  readonly meter: SyncMeter
  readonly log: GroupLog
  readonly sourceNamespace: Namespace
  readonly targetNamespace: Namespace
  readonly snapshot: Snapshot.Snapshot
  readonly action: Exclude<SnapshotAction, "skip">
  /** The source's part, where it has been opened ahead. */
  readonly prepared?: Effect.Effect<OpenSource | undefined, SyncError, Scope.Scope>
  /** Run when all files are there and only the end is left; not for a target that takes one snapshot at a time. */
  readonly onBrought?: Effect.Effect<void>
}

/** A snapshot of the source with its manifest, and what becomes of it. */
export interface OpenSource extends Versions {
  readonly recoding: Recoding.Choice
  /** Why it is passed over. */
  readonly reason: SkipReason | undefined
}

export type SnapshotOutcome =
  | { readonly state: "done" }
  /** It is not on the source any more. */
  | { readonly state: "vanished" }
  /** Its manifest says something else than the listing did. */
  | { readonly state: "skipped"; readonly reason: SkipReason }

const done: SnapshotOutcome = { state: "done" }
const vanished: SnapshotOutcome = { state: "vanished" }

/** Somebody protects it, or begins to remove it: that is over soon. */
const briefly = Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(50)])

const whenFree = <A, R>(effect: Effect.Effect<A, SyncError, R>): Effect.Effect<A, SyncError, R> =>
  Effect.retry(effect, { schedule: briefly, while: ({ reason }) => reason === "Busy" })

const isMissing = ({ reason }: SyncError): boolean => reason === "Missing"

/** Open with its manifest; undefined when it vanished. */
export const openSource = ({
  scene,
  snapshot,
  sourceNamespace
}: SnapshotWork): Effect.Effect<OpenSource | undefined, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const { options, rateIn, retrying, source } = scene
    const side = within({ side: "source" })
    const opened = yield* side(retrying(whenFree(source.openSnapshot(sourceNamespace, snapshot))))
    const bytes = yield* side(retrying(opened.manifest))
    yield* rateIn.outgoing(bytes.length)
    const manifest = yield* decodeManifest("source", snapshot, bytes)
    const state = { finished: true, manifest: stateOf(manifest) }
    const recoding = yield* Recoding.choose(options, manifest)
    const reason = SyncRules.filteredFor(state, options)
    return { opened, bytes, manifest, recoding, reason: recoding === "partly encrypted" ? recoding : reason }
  }).pipe(Effect.catchIf(isMissing, () => Effect.succeed(undefined)))

/** Whether a thing that is missing is missing because its snapshot is gone. */
const hasVanished = (work: SnapshotWork): Effect.Effect<boolean> =>
  Effect.scoped(openSource(work)).pipe(
    Effect.map((opened) => opened === undefined),
    Effect.catch(() => Effect.succeed(false))
  )

interface Versions {
  readonly opened: SourceSnapshot
  readonly bytes: Uint8Array
  readonly manifest: Manifest.Manifest
}

const verifyStateKey = "verify_state"

/** A manifest as one text, whatever the order of its keys. */
const textOf = (raw: CanonicalJson.JsonObject): string => JSON.stringify(CanonicalJson.sorted(raw))

/** The same without what may change later. */
const lastingText = ({ raw }: Manifest.Manifest): string => {
  const { unprotected: _, ...lasting } = raw
  return textOf(lasting)
}

/** The manifest that the target is to have; undefined when it has it. */
const wantedManifest = (
  { action, snapshot }: SnapshotWork,
  { bytes, manifest }: Versions,
  { manifest: there }: TargetSnapshot
): Effect.Effect<Uint8Array | undefined, SyncError> =>
  Effect.gen(function* () {
    if (there === undefined || action === "repair") return bytes
    if (Buffer.from(bytes).equals(there)) return undefined
    const own = yield* decodeManifest("target", snapshot, there)
    if (lastingText(own) !== lastingText(manifest)) {
      return yield* syncError("Conflict", "the target has another snapshot of this time", { side: "target" })
    }
    const verified = own.unprotected[verifyStateKey]
    if (verified === undefined) return bytes
    const merged = Manifest.withUnprotected(manifest, verifyStateKey, verified)
    return textOf(merged.raw) === textOf(own.raw) ? undefined : Manifest.encode(merged)
  })

const archivesAtOnce = 4

const isNamed = ({ files }: Manifest.Manifest, name: string): boolean =>
  name === ArchiveName.manifestFile ||
  name === ArchiveName.clientLogFile ||
  files.some(({ filename }) => filename === name)

/** What an earlier version, or a run that was stopped, has left. */
const removeUnnamed = (target: TargetSnapshot, manifest: Manifest.Manifest) =>
  Effect.forEach(
    [...target.fileNames].filter((name) => !isNamed(manifest, name)),
    (name) => within({ side: "target", archive: name })(target.removeFile(ArchiveName.fromFile(name))),
    { discard: true }
  )

/** A store that takes chunks for one snapshot at a time knows nothing of those of another one. */
const sceneFor = (scene: SyncScene, { intake }: TargetSnapshot): Effect.Effect<SyncScene> =>
  intake === undefined
    ? Effect.succeed(scene)
    : Effect.map(scene.transferInto(intake), (chunks) => ({ ...scene, chunks, recoded: new DigestMap() }))

/** Encrypted or decrypted on the way. */
const copyRecoded = (
  work: SnapshotWork,
  { manifest, opened }: Versions,
  recoding: Recoding.Recoding
): Effect.Effect<void, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const { action, log, meter, snapshot, targetNamespace } = work
    const { retrying, writer } = work.scene
    const target = yield* within({ side: "target" })(writer.openSnapshot(targetNamespace, snapshot))
    const scene = yield* sceneFor(work.scene, target)
    const signature = yield* Recoding.sourceSignature(recoding, manifest)
    const clientLog = Effect.flatMap(opened.clientLog, (bytes) =>
      bytes === undefined
        ? Effect.succeed(undefined)
        : RecodedFiles.recodeBlob(recoding, ArchiveName.clientLogFile, bytes)
    )
    const source = { ...opened, clientLog }
    const files = { scene, meter, log, source, target, distrusts: true, recoding, digests: scene.recoded }
    const isThere = target.manifest !== undefined && action !== "repair"
    const own = isThere ? yield* decodeManifest("target", snapshot, target.manifest) : undefined
    yield* FilesSync.bringClientLog(files)
    let wanted: Manifest.Manifest | undefined
    if (own !== undefined) wanted = yield* Recoding.renewed(own, manifest, signature)
    else {
      const brought = yield* Effect.forEach(Recoding.filesOf(recoding, manifest), (file) =>
        RecodedFiles.bringFile(files, file)
      )
      yield* scene.chunks.prove(brought.flatMap(({ transfers }) => transfers))
      const named = brought.map(({ file }) => file)
      wanted = Recoding.manifestOf(recoding, manifest, named, signature)
    }
    if (wanted !== undefined) {
      const bytes = Manifest.encode(wanted)
      yield* retrying(within({ side: "target" })(target.finish(bytes)))
      meter.file(bytes.length)
    }
    yield* removeUnnamed(target, wanted ?? own ?? manifest)
    meter.count(own === undefined ? { copiedSnapshots: 1 } : { checkedSnapshots: 1 })
  })

const copy = (work: SnapshotWork, versions: Versions) =>
  Effect.gen(function* () {
    const { action, log, meter, snapshot, targetNamespace } = work
    const { options, retrying, writer } = work.scene
    const { manifest, opened } = versions
    const target = yield* within({ side: "target" })(writer.openSnapshot(targetNamespace, snapshot))
    const scene = yield* sceneFor(work.scene, target)
    const files = { scene, meter, log, source: opened, target, distrusts: action === "repair" }
    const wanted = yield* wantedManifest(work, versions, target)
    const isFinished = target.manifest !== undefined && action !== "repair"
    const missing = manifest.files.filter(({ filename }) => !isFinished || !target.fileNames.has(filename))
    const isPipelined = options.pipelining === "on"
    const bringing = Effect.forEach(missing, (file) => FilesSync.bringFile(files, file), {
      concurrency: isPipelined ? archivesAtOnce : 1
    })
    const [transfers] = yield* Effect.all([bringing, FilesSync.bringClientLog(files)], {
      concurrency: isPipelined ? 2 : 1
    })
    if (target.intake === undefined) yield* work.onBrought ?? Effect.void
    yield* scene.chunks.prove(transfers.flat())
    if (wanted !== undefined) {
      yield* scene.rateOut.outgoing(wanted.length)
      yield* retrying(within({ side: "target" })(target.finish(wanted)))
      meter.file(wanted.length)
    }
    yield* removeUnnamed(target, manifest)
    meter.count(isFinished && missing.length === 0 ? { checkedSnapshots: 1 } : { copiedSnapshots: 1 })
  })

export const run = (work: SnapshotWork): Effect.Effect<SnapshotOutcome, SyncError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const versions = yield* work.prepared ?? openSource(work)
      if (versions === undefined) return vanished
      if (versions.reason !== undefined) return { state: "skipped", reason: versions.reason } as const
      const { recoding } = versions
      yield* typeof recoding === "object" ? copyRecoded(work, versions, recoding) : copy(work, versions)
      return done
    })
  ).pipe(
    Effect.catchIf(isMissing, (error) =>
      Effect.gen(function* () {
        if (error.side === "source" && (yield* hasVanished(work))) return vanished
        return yield* syncError("Corrupt", `it is missing: ${error.detail}`, placeOf(error))
      })
    ),
    within({ snapshot: work.snapshot })
  )
