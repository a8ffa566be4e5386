/**
 * Session: the port between what a backup reads and where it goes: one snapshot in the making, in a store of this
 * machine (`BackupSession`), in a plan (`PlannedSession`), or on a server (`remote/RemoteBackup`).
 *
 * Obligations of every implementation:
 * - The snapshot exists from a successful `finish` on and not before. When the session's scope closes without it, no
 *   trace of the snapshot stays.
 * - `finish` succeeds only when every file entered was stored, and every chunk that their indexes name.
 * - What `known` knows at the beginning are chunks of the previous snapshot that the store will take as stored.
 * - An archive's chunks are told in its order and stored in any; `close` comes when all of them are stored.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChunkIndex, EncodedIndex } from "../format/ChunkIndex.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import type * as Manifest from "../format/Manifest.ts"
import type * as ArchiveName from "../model/ArchiveName.ts"
import type * as AuthId from "../model/AuthId.ts"
import type * as BackupGroup from "../model/BackupGroup.ts"
import type { CryptMode } from "../model/CryptMode.ts"
import type { Namespace } from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import type { ChunkError } from "../platform/ChunkCodec.ts"
import type { Inserted, NewChunk, WantedChunk } from "../store/ChunkStore.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreError } from "../store/StoreError.ts"
import type * as KnownChunks from "./KnownChunks.ts"
import type { SessionStatistics } from "./SessionStatistics.ts"

export interface SessionOptions {
  readonly namespace: Namespace
  readonly group: BackupGroup.BackupGroup
  /** Whole seconds since 1970; now when absent. Must be later than every snapshot of the group. */
  readonly time?: number
  readonly owner: AuthId.AuthId
  readonly key?: { readonly crypt: CryptConfig; readonly mode: "encrypt" | "sign-only" }
  /** Default true. */
  readonly compress?: boolean
  /** Take chunks of the group's previous good snapshot for known. Default true. */
  readonly reusePrevious?: boolean
  /** When to prove that known chunks are there. Default `both`: before the first use, and before the manifest. */
  readonly knownChunks?: KnownChunks.KnownChunksCheck
}

export type SessionFailure = StorageError | StoreError

/** One archive on its way into the store. */
export interface ArchiveUpload {
  /** The archive's next chunk. A new one is going to be stored. */
  readonly append: (digest: Uint8Array, sizeBytes: number, isNew: boolean) => void
  /** Stores a chunk, or finds it there. As `ChunkStore.insert`. */
  readonly store: (chunk: NewChunk) => Effect.Effect<Inserted, SessionFailure>
  /** Puts the index in its place. */
  readonly close: (index: EncodedIndex) => Effect.Effect<void, SessionFailure>
}

/** The finished, not failed snapshot that a session builds on. */
export interface PreviousSnapshot {
  readonly snapshot: Snapshot.Snapshot
  readonly manifest: Manifest.Manifest
}

/** How the content of the previous snapshot is read. */
export interface PreviousContent {
  /** As it is stored: whether it is the one that the manifest names is still to be proven. */
  readonly index: (archive: ArchiveName.ArchiveName) => Effect.Effect<ChunkIndex, SessionFailure>
  /** A chunk that an index names which was read before; decoded and proven. */
  readonly chunk: (chunk: WantedChunk) => Effect.Effect<Uint8Array, ChunkError | SessionFailure>
  /** Makes room for a good chunk in place of a corrupt one, where that is the session's business. */
  readonly condemn: (chunk: WantedChunk) => Effect.Effect<unknown, SessionFailure>
  /** Which of the digests, 32 bytes each, are gone. */
  readonly findAbsent: (digests: Uint8Array) => Effect.Effect<ReadonlyArray<number>, SessionFailure>
}

export interface Session {
  readonly namespace: Namespace
  readonly snapshot: Snapshot.Snapshot
  /** The finished, not failed snapshot whose chunks are known. */
  readonly previous: PreviousSnapshot | undefined
  readonly previousContent: PreviousContent
  /** Snapshots of the group that an interrupted backup left behind. */
  readonly leftovers: ReadonlyArray<Snapshot.Snapshot>
  /** Digests that need not be stored again. */
  readonly known: KnownChunks.KnownChunks
  /** When the store proves that they are there. */
  readonly knownChunks: KnownChunks.KnownChunksCheck
  readonly crypt: CryptConfig | undefined
  readonly cryptMode: CryptMode
  readonly compress: boolean
  readonly statistics: SessionStatistics
  /** The digest under which content is stored; `data` stays unchanged until this ends. */
  readonly digest: (data: Uint8Array) => Effect.Effect<Uint8Array>
  /** Begins an archive of chunks; the size of an image where it is known. */
  readonly openArchive: (
    archive: ArchiveName.ArchiveName,
    sizeBytes: number | undefined
  ) => Effect.Effect<ArchiveUpload, SessionFailure, Scope.Scope>
  /** Enters a file into the manifest to come. Each name once. */
  readonly addFile: (file: Manifest.ManifestFile) => Effect.Effect<void, StoreError>
  /** Stores small content as a blob of its own. */
  readonly uploadBlob: (
    archive: ArchiveName.ArchiveName,
    data: Uint8Array
  ) => Effect.Effect<Manifest.ManifestFile, SessionFailure>
  /** Stores a blob as it is, whatever the session encrypts. */
  readonly uploadEncodedBlob: (
    archive: ArchiveName.ArchiveName,
    blob: Uint8Array
  ) => Effect.Effect<Manifest.ManifestFile, SessionFailure>
  /** Proves that all files and chunks are stored, flushes, writes the manifest: from here on the snapshot exists. */
  readonly finish: Effect.Effect<Manifest.Manifest, SessionFailure | KnownChunks.KnownChunkMissing>
}
