/**
 * PromiseDatastore: an open datastore for programs that do not use Effect. Names are strings, results plain
 * values, long listings and contents async iterables; every call can be stopped by an `AbortSignal`.
 *
 * It has the datastore's locks and worker threads until it is closed; `await using` does that by itself.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Backup from "../backup/Backup.ts"
import type { DirectoryOptions } from "../backup/DirectoryUpload.ts"
import type { KnownChunksCheck } from "../backup/KnownChunks.ts"
import { Datastore as DatastoreService } from "../datastore/Datastore.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { CryptMode } from "../model/CryptMode.ts"
import * as Namespace from "../model/Namespace.ts"
import * as PathPattern from "../model/PathPattern.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as Gc from "../gc/Gc.ts"
import type { Files } from "../platform/Files.ts"
import { Host } from "../platform/Host.ts"
import * as ForgetGroup from "../prune/ForgetGroup.ts"
import * as Prune from "../prune/Prune.ts"
import * as PrunePlan from "../prune/PrunePlan.ts"
import * as ArchiveParts from "../restore/ArchiveParts.ts"
import * as ArchiveTree from "../restore/ArchiveTree.ts"
import * as Listing from "../restore/Listing.ts"
import { streamOf } from "../restore/browse/pieces.ts"
import * as Restore from "../restore/Restore.ts"
import * as SnapshotReader from "../restore/SnapshotReader.ts"
import * as Verify from "../verify/Verify.ts"
import * as VerifyPlan from "../verify/VerifyPlan.ts"
import * as collecting from "./collecting.ts"
import { isGroup, parsed, resolveSnapshot } from "./names.ts"
import * as pruning from "./pruning.ts"
import type { CallOptions, ProgressOptions, Runs } from "./Runs.ts"
import { type ArchiveSources, specsOf } from "./sources.ts"
import * as values from "./values.ts"

/** Where in the datastore. */
export interface NamespaceOption {
  /** `team/dev`; the root by default. */
  readonly namespace?: string
}

export interface BackupOptions
  extends ProgressOptions, NamespaceOption, Omit<DirectoryOptions, "expectedBytes"> {
  /** `host/laptop`, `vm/100`, `ct/101`; this machine by default. */
  readonly group?: string
  /** Now by default. */
  readonly time?: Date
  /** Who owns the group, if this backup makes it. Default `root@pam`. */
  readonly owner?: string
  /** With a key `encrypt` by default. */
  readonly cryptMode?: CryptMode
  readonly compress?: boolean
  /** When to prove that chunks which are not stored again are there. Default `both`. */
  readonly knownChunks?: KnownChunksCheck
}

export interface ListOptions extends CallOptions, NamespaceOption {
  /** Only this group's. */
  readonly group?: string
}

export interface ReadOptions extends CallOptions, NamespaceOption {}

export interface RestoreOptions extends ProgressOptions, NamespaceOption {
  /** Patterns of what to restore; everything by default. */
  readonly includes?: ReadonlyArray<string>
  readonly excludes?: ReadonlyArray<string>
  /** What becomes of files that are there already. Default `never`. */
  readonly overwrite?: "never" | "always" | "newer"
}

export interface RestoreResult {
  readonly files: number
  readonly sizeBytes: number
  /** Entries and attributes that could not be restored; told through `onProgress`. */
  readonly warnings: number
}

export interface VerifyOptions extends ProgressOptions, NamespaceOption {
  /** A group or a snapshot; the whole namespace by default. */
  readonly only?: string
  readonly ignoreVerified?: boolean
  readonly outdatedAfterDays?: number
  /** Read everything, or only look whether all chunks are there (and, in a bucket, as they were uploaded). */
  readonly depth?: VerifyPlan.Depth
  /** Read only so many percent of the different chunks, picked at random. */
  readonly samplePercent?: number
}

const defaultOwner = "root@pam"

const groupOf = (text: string | undefined) =>
  Effect.flatMap(Host, ({ nodeName }) => parsed(() => BackupGroup.parse(text ?? `host/${nodeName}`)))

const namespaceOf = ({ namespace = "" }: NamespaceOption) => parsed(() => Namespace.parse(namespace))

const patternsOf = (patterns: ReadonlyArray<string> = []) =>
  parsed(() => patterns.map((pattern) => PathPattern.parse(pattern)))

const utf8 = new TextEncoder()

export class Datastore implements AsyncDisposable {
  /** The folder, or `s3:BUCKET/STORE`. */
  readonly path: string
  readonly #runs: Runs<DatastoreService | Files>
  readonly #crypt: CryptConfig | undefined

  /** @internal Use `openDatastore`. */
  constructor(path: string, runs: Runs<DatastoreService | Files>, crypt: CryptConfig | undefined) {
    this.path = path
    this.#runs = runs
    this.#crypt = crypt
  }

  /** Makes one snapshot of the archives. If it fails or is stopped, no trace of the snapshot stays. */
  backup(archives: ArchiveSources, options: BackupOptions = {}): Promise<values.BackupResult> {
    const { cryptMode: mode = "encrypt", time, ...rest } = options
    const key = this.#crypt === undefined || mode === "none" ? {} : { key: { crypt: this.#crypt, mode } }
    const effect = Effect.gen(function* () {
      const summary = yield* Backup.run<unknown>({
        ...rest,
        ...key,
        ...(time === undefined ? {} : { time: Math.floor(time.getTime() / 1000) }),
        namespace: yield* namespaceOf(options),
        group: yield* groupOf(options.group),
        owner: yield* parsed(() => AuthId.parse(options.owner ?? defaultOwner)),
        archives: yield* specsOf(archives)
      })
      return values.describeBackup(summary)
    })
    return this.#runs.run(Effect.scoped(effect), options)
  }

  /** All snapshots of a namespace or group, by group, newest first. */
  snapshots(options: ListOptions = {}): AsyncIterableIterator<values.SnapshotDescription> {
    const { group } = options
    const stream = Stream.unwrap(
      Effect.gen(function* () {
        const namespace = yield* namespaceOf(options)
        if (group === undefined) return Listing.snapshots(namespace)
        return Listing.snapshots(namespace, yield* parsed(() => BackupGroup.parse(group)))
      })
    )
    return this.#runs.iterate(Stream.map(stream, values.describeSnapshot), options)
  }

  /** The archives of a snapshot. */
  files(snapshot: string, options: ReadOptions = {}): Promise<ReadonlyArray<values.Archive>> {
    const effect = Effect.map(this.#reader(snapshot, options), ({ manifest }) =>
      manifest.files.map(values.archiveOf)
    )
    return this.#runs.run(Effect.scoped(effect), options)
  }

  /** The entry at a path of a directory archive and everything below it; a directory before what is in it. */
  list(
    snapshot: string,
    archive: string,
    path = "",
    options: ReadOptions = {}
  ): AsyncIterableIterator<values.Entry> {
    const stream = Effect.map(this.#tree(snapshot, archive, options), (tree) =>
      Stream.mapEffect(tree.walk(utf8.encode(path)), (node) =>
        Effect.map(tree.resolve(node), (resolved) => values.describeEntry(node, resolved))
      )
    )
    return this.#runs.iterate(Stream.unwrap(stream), options)
  }

  /** The content of one file in a directory archive. */
  readFile(
    snapshot: string,
    archive: string,
    path: string | Uint8Array,
    options: ReadOptions = {}
  ): AsyncIterableIterator<Uint8Array> {
    const bytes = typeof path === "string" ? utf8.encode(path) : path
    const stream = Effect.flatMap(this.#tree(snapshot, archive, options), (tree) =>
      Effect.map(tree.lookup(bytes), tree.read)
    )
    return this.#runs.iterate(Stream.unwrap(stream), options)
  }

  /** The bytes of a whole archive: an image, a blob, the pxar archive of a directory. */
  readArchive(
    snapshot: string,
    archive: string,
    options: ReadOptions = {}
  ): AsyncIterableIterator<Uint8Array> {
    const stream = Effect.gen({ self: this }, function* () {
      const reader = yield* this.#reader(snapshot, options)
      const parts = yield* ArchiveParts.open(reader, archive)
      const stored: Stream.Stream<Uint8Array, Restore.RestoreError> =
        parts.kind === "blob" ? Stream.fromEffect(reader.blob(parts.file)) : streamOf(parts.archive.pieces())
      return stored
    })
    return this.#runs.iterate(Stream.unwrap(stream), options)
  }

  /** Brings an archive back: a directory into a folder, anything else into a file. */
  restore(
    snapshot: string,
    archive: string,
    target: string,
    options: RestoreOptions = {}
  ): Promise<RestoreResult> {
    const effect = Effect.gen({ self: this }, function* () {
      const reader = yield* this.#reader(snapshot, options)
      const includes = yield* patternsOf(options.includes)
      const excludes = yield* patternsOf(options.excludes)
      const overwrite = options.overwrite ?? "never"
      const summary = yield* Restore.run(reader, { archive, target, includes, excludes, overwrite })
      return { files: summary.files, sizeBytes: summary.bytes, warnings: summary.warnings }
    })
    return this.#runs.run(Effect.scoped(effect), options)
  }

  /** Reads everything and checks it. Faults are in the result; it rejects only for trouble with the datastore. */
  verify(options: VerifyOptions = {}): Promise<values.VerifyResult> {
    const { only, ignoreVerified = false, outdatedAfterDays, depth = "full", samplePercent } = options
    const crypt = this.#crypt === undefined ? {} : { crypt: this.#crypt }
    const effect = Effect.gen(function* () {
      const namespace = yield* namespaceOf(options)
      const selection = yield* parsed(() => {
        if (only === undefined) return {}
        return isGroup(only) ? { group: BackupGroup.parse(only) } : { snapshot: Snapshot.parse(only) }
      })
      const days = outdatedAfterDays === undefined ? {} : { outdatedAfterDays }
      const sample = samplePercent === undefined ? {} : { samplePercent }
      const wanted = { namespace, ...selection, ignoreVerified, depth, ...days, ...sample }
      const plan = yield* VerifyPlan.make(wanted)
      return values.describeVerification(yield* Verify.run(plan, crypt))
    })
    return this.#runs.run(effect, options)
  }

  /** Removes a snapshot for good, unless it is protected. Here a name in full is wanted. */
  forget(snapshot: string, options: ReadOptions = {}): Promise<void> {
    const effect = Effect.gen(function* () {
      const datastore = yield* DatastoreService
      const wanted = yield* parsed(() => Snapshot.parse(snapshot))
      yield* datastore.forget(yield* namespaceOf(options), wanted)
    })
    return this.#runs.run(effect, options)
  }

  /** Removes a backup group with all its snapshots; protected ones stay, and those in use. */
  forgetGroup(group: string, options: ReadOptions = {}): Promise<pruning.ForgetGroupResult> {
    const effect = Effect.gen(function* () {
      const wanted = yield* parsed(() => BackupGroup.parse(group))
      const result = yield* ForgetGroup.forgetGroup(yield* namespaceOf(options), wanted)
      return pruning.describeForgottenGroup(result)
    })
    return this.#runs.run(effect, options)
  }

  /** Removes the snapshots that no rule keeps, and says of every one why it stays or goes. */
  prune(options: pruning.PruneOptions): Promise<pruning.PruneResult> {
    const { groups, depthMax, timeZone, keep: retention } = options
    const effect = Effect.gen(function* () {
      const plan = yield* PrunePlan.make({
        namespace: yield* namespaceOf(options),
        retention,
        ...(groups === undefined ? {} : { groups: yield* parsed(() => pruning.groupsOf(groups)) }),
        ...(depthMax === undefined ? {} : { depthMax }),
        ...(timeZone === undefined ? {} : { timeZone })
      })
      if (options.dryRun === true) return pruning.describePrune(plan, 0)
      const summary = yield* Prune.run(plan)
      return pruning.describePrune(summary, summary.warnings)
    })
    return this.#runs.run(effect, options)
  }

  /** Removes the chunks that no snapshot needs, while backups go on; says which chunks are missing. */
  collectGarbage(options: collecting.CollectOptions = {}): Promise<collecting.CollectResult> {
    const { cutoffMinutes, dryRun, mark } = options
    const wanted: Gc.GcOptions = {
      ...(mark === undefined ? {} : { mark }),
      ...(cutoffMinutes === undefined ? {} : { cutoffMinutes })
    }
    const collect = dryRun === true ? Gc.dryRun(wanted) : Gc.collect(wanted)
    return this.#runs.run(Effect.map(collect, collecting.describeCollection), options)
  }

  /** Creates a namespace (`team/dev`) and the ones around it. */
  createNamespace(namespace: string, options: CallOptions = {}): Promise<void> {
    const effect = Effect.gen(function* () {
      const { hierarchy } = yield* DatastoreService
      yield* hierarchy.createNamespace(yield* parsed(() => Namespace.parse(namespace)))
    })
    return this.#runs.run(effect, options)
  }

  /** Stops what is under way, waits for its end, and lets go of the datastore. */
  close(): Promise<void> {
    return this.#runs.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #reader(snapshot: string, options: NamespaceOption) {
    const crypt = this.#crypt === undefined ? {} : { crypt: this.#crypt }
    return Effect.gen(function* () {
      const namespace = yield* namespaceOf(options)
      const wanted = yield* resolveSnapshot(namespace, snapshot)
      return yield* SnapshotReader.open({ namespace, snapshot: wanted, ...crypt })
    })
  }

  #tree(snapshot: string, archive: string, options: NamespaceOption) {
    return Effect.flatMap(this.#reader(snapshot, options), (reader) => ArchiveTree.open(reader, archive))
  }
}
