/**
 * SnapshotFiles: what lies inside a snapshot's folder: manifest, indexes, blobs.
 *
 * Invariants: every file appears whole (written beside, then renamed); the manifest is changed under its lock only, by
 * reading, changing and replacing it; what is read is decoded and validated before anyone sees it. With a mirror a file
 * is in the bucket before it is here, and a manifest is changed as the bucket has it: another host may have changed it,
 * or removed the snapshot.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import * as DynamicIndex from "../format/DynamicIndex.ts"
import * as FixedIndex from "../format/FixedIndex.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { largestBlobBytes } from "../platform/chunkContent.ts"
import { Files, isNotFound } from "../platform/Files.ts"
import type { Mirror } from "./bucket/Mirror.ts"
import type { StoreLocks } from "./StoreLocks.ts"
import type { StorageError } from "./StorageError.ts"
import { decodeOrDamaged, storeError, type StoreError } from "./StoreError.ts"
import { snapshotPath, type StoreLayout } from "./StoreLayout.ts"

type Failure = StorageError | StoreError

export class SnapshotFiles extends Context.Service<
  SnapshotFiles,
  {
    /** Fails with `Unfinished` when the snapshot has none. */
    readonly manifest: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot
    ) => Effect.Effect<Manifest.Manifest, Failure>
    readonly writeManifest: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot,
      manifest: Manifest.Manifest
    ) => Effect.Effect<void, Failure>
    /** Reads, changes and replaces the manifest under its lock. */
    readonly updateManifest: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot,
      change: (manifest: Manifest.Manifest) => Manifest.Manifest
    ) => Effect.Effect<Manifest.Manifest, Failure>
    readonly index: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot,
      archive: ArchiveName.ArchiveName
    ) => Effect.Effect<ChunkIndex, Failure>
    /** The stored bytes of any file of the snapshot. */
    readonly read: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot,
      fileName: string
    ) => Effect.Effect<Uint8Array, Failure>
    readonly write: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot,
      fileName: string,
      content: Uint8Array
    ) => Effect.Effect<void, Failure>
    /** Removes a file that no manifest names (any more); one that is not there will do. */
    readonly remove: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot,
      fileName: string
    ) => Effect.Effect<void, Failure>
    /** Names of the files that are there, in every place where the store keeps them. */
    readonly stored: (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot
    ) => Effect.Effect<ReadonlySet<string>, Failure>
  }
>()("granary/store/SnapshotFiles") {}

/** An index of 64 Mi chunks: 256 TiB at 4 MiB each. */
export const indexMaxBytes = 2 ** 31 - 1

const isIndex = (fileName: string): boolean => /\.[fd]idx$/.test(fileName)

/** Fails with `Damaged` for bytes that are no index of the kind that the subject's last letters say. */
export const decodeIndex = (subject: string, bytes: Uint8Array): Effect.Effect<ChunkIndex, StoreError> =>
  decodeOrDamaged(subject, (): ChunkIndex =>
    subject.endsWith(".fidx") ? FixedIndex.decode(bytes) : DynamicIndex.decode(bytes)
  )

const noSuchSnapshot = (snapshot: Snapshot.Snapshot): StoreError =>
  storeError("NoSuchSnapshot", Snapshot.format(snapshot), "there is no such snapshot")

/** The name under which a manifest's lock is held. */
export const manifestLockName = (namespace: Namespace, snapshot: Snapshot.Snapshot): string =>
  `manifest ${Snapshot.toPath(namespace, snapshot)}`

export interface SnapshotFilesOptions {
  /** Every file is flushed before it counts as written. */
  readonly sync: boolean
  /** The same files in the bucket. */
  readonly mirror?: Mirror | undefined
}

export const make = (
  layout: StoreLayout,
  locks: StoreLocks["Service"],
  { sync, mirror }: SnapshotFilesOptions
): Effect.Effect<SnapshotFiles["Service"], never, Files> =>
  Effect.map(Files, (files) => {
    const locate = (namespace: Namespace, snapshot: Snapshot.Snapshot, fileName: string) =>
      `${snapshotPath(layout, namespace, snapshot)}/${fileName}`

    const read = (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot,
      fileName: string,
      maxBytes = largestBlobBytes
    ) =>
      files
        .readFile(locate(namespace, snapshot, fileName), maxBytes)
        .pipe(
          Effect.catchIf(isNotFound, () =>
            Effect.flatMap(explainMissing(namespace, snapshot, fileName), Effect.fail)
          )
        )

    const explainMissing = (namespace: Namespace, snapshot: Snapshot.Snapshot, fileName: string) =>
      files.stat(snapshotPath(layout, namespace, snapshot)).pipe(
        Effect.match({
          onFailure: () => noSuchSnapshot(snapshot),
          onSuccess: () =>
            fileName === ArchiveName.manifestFile
              ? storeError("Unfinished", Snapshot.format(snapshot), "this backup was never finished")
              : storeError(
                  "NoSuchArchive",
                  `${Snapshot.format(snapshot)} ${fileName}`,
                  "there is no such file"
                )
        })
      )

    const decodeManifest = (snapshot: Snapshot.Snapshot, blob: Uint8Array) =>
      Effect.gen(function* () {
        const subject = `${Snapshot.format(snapshot)} ${ArchiveName.manifestFile}`
        const decoded = yield* decodeOrDamaged(subject, () => Manifest.decode(blob))
        if (Snapshot.order(decoded.snapshot, snapshot) !== 0) {
          const belongs = `this manifest belongs to ${Snapshot.format(decoded.snapshot)}`
          return yield* storeError("Damaged", subject, belongs)
        }
        return decoded
      })

    const manifest = (namespace: Namespace, snapshot: Snapshot.Snapshot) =>
      Effect.flatMap(read(namespace, snapshot, ArchiveName.manifestFile), (blob) =>
        decodeManifest(snapshot, blob)
      )

    /** What a change begins with. */
    const currentManifest = (namespace: Namespace, snapshot: Snapshot.Snapshot) =>
      Effect.gen(function* () {
        const own = yield* manifest(namespace, snapshot)
        if (mirror === undefined) return own
        return yield* decodeManifest(snapshot, yield* mirror.manifest(namespace, snapshot))
      })

    const write = (
      namespace: Namespace,
      snapshot: Snapshot.Snapshot,
      fileName: string,
      content: Uint8Array
    ): Effect.Effect<void, Failure> => {
      const own = files.replaceFile(locate(namespace, snapshot, fileName), [content], { sync })
      return mirror === undefined
        ? own
        : Effect.andThen(mirror.putFile(namespace, snapshot, fileName, content), own)
    }

    /** Here first: what is here is in the bucket. */
    const remove = (namespace: Namespace, snapshot: Snapshot.Snapshot, fileName: string) =>
      Effect.andThen(
        files
          .unlink(locate(namespace, snapshot, fileName))
          .pipe(Effect.catchIf(isNotFound, () => Effect.void)),
        mirror?.removeFile(namespace, snapshot, fileName) ?? Effect.void
      )

    const writeManifest = (namespace: Namespace, snapshot: Snapshot.Snapshot, value: Manifest.Manifest) =>
      write(namespace, snapshot, ArchiveName.manifestFile, Manifest.encode(value))

    const stored = (namespace: Namespace, snapshot: Snapshot.Snapshot) =>
      Effect.gen(function* () {
        const entries = yield* files
          .readDirectory(snapshotPath(layout, namespace, snapshot))
          .pipe(Effect.catchIf(isNotFound, () => Effect.fail(noSuchSnapshot(snapshot))))
        const names = entries.filter(({ kind }) => kind === "file").map(({ name }) => name)
        const mirrored = mirror === undefined ? undefined : yield* mirror.fileNames(namespace, snapshot)
        return new Set(mirrored === undefined ? names : names.filter((name) => mirrored.has(name)))
      })

    const index = (namespace: Namespace, snapshot: Snapshot.Snapshot, archive: ArchiveName.ArchiveName) =>
      Effect.gen(function* () {
        const subject = `${Snapshot.format(snapshot)} ${archive.file}`
        if (archive.kind === "blob") return yield* storeError("Refused", subject, "this archive has no index")
        const bytes = yield* read(namespace, snapshot, archive.file, indexMaxBytes)
        return yield* decodeIndex(subject, bytes)
      })

    return SnapshotFiles.of({
      manifest,
      writeManifest,
      updateManifest: (namespace, snapshot, change) =>
        Effect.scoped(
          Effect.gen(function* () {
            yield* locks.holdSoon(manifestLockName(namespace, snapshot), "exclusive")
            const changed = change(yield* currentManifest(namespace, snapshot))
            yield* writeManifest(namespace, snapshot, changed)
            return changed
          })
        ),
      index,
      read: (namespace, snapshot, fileName) =>
        read(namespace, snapshot, fileName, isIndex(fileName) ? indexMaxBytes : largestBlobBytes),
      write,
      remove,
      stored
    })
  })
