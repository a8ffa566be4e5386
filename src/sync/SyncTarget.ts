/**
 * SyncTarget: the port to the store that is copied into.
 *
 * Obligations of every implementation:
 * - Listings are as those of a source (`SyncSource`).
 * - From `beginWriting` until its scope closes, whatever `claim` found and `store` brought stays: no garbage collection
 *   of any program takes it, though no snapshot names it yet. Afterwards only what finished snapshots name is kept.
 * - `claim` answers for sure: a chunk that it does not report is there, is not empty, and is not in doubt after a power
 *   loss. It may report one that is there, where finding out costs a request; then `store` finds it.
 * - `store` succeeds only with a chunk that is there. It runs `fetch` once at most, and only when it has to; what comes
 *   is proven before anybody sees it: its checksum, and of an unencrypted one digest and length. What is not right
 *   fails with `Corrupt`, and what the store had before stays as it was.
 * - A group and a snapshot are held against everybody else until the scope closes. A snapshot counts as finished only
 *   from `finish` on, which makes everything durable before, as the store's settings ask.
 * - A snapshot that was not there before and is not finished when its scope closes is removed, and the group with it if
 *   it is empty; one that was there stays, and what is protected stays protected.
 * - Nothing is written outside of the snapshot's own place.
 * - A store that takes no changes says so in `beginWriting`, with `ReadOnly`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ArchiveName } from "../model/ArchiveName.ts"
import type { AuthId } from "../model/AuthId.ts"
import type { BackupGroup } from "../model/BackupGroup.ts"
import type { Digest } from "../model/Digest.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import type { ChunkFile } from "../store/ChunkStore.ts"
import type { SyncError } from "./SyncError.ts"
import type { StoreListing } from "./SyncSource.ts"

/** A chunk that is to be there. */
export interface WantedChunk {
  readonly digest: Digest
  /** Decoded, as its index says. */
  readonly sizeBytes: number
  /** Whether its manifest says that it is encrypted; then its checksum is all that can be proven. */
  readonly encrypted: boolean
  /** Gets it, encoded; its memory is given away. */
  readonly fetch: Effect.Effect<Uint8Array, SyncError>
  /** Reading this file is all that `fetch` does: who can copy it needs no fetch. */
  readonly file?: ChunkFile | undefined
  /** The archive that is being copied, and its size. */
  readonly archive: WantingArchive
}

export interface WantingArchive {
  readonly name: ArchiveName
  readonly sizeBytes: number
}

export interface StoredChunk {
  /** `present`: the store had it, and nothing was fetched, or what was fetched was not needed. */
  readonly outcome: "stored" | "present"
  /** What was fetched, or copied; 0 when nothing was. */
  readonly encodedBytes: number
}

/** Who takes chunks. */
export type ChunkIntake = Pick<TargetWriter, "claim" | "store"> & Pick<SyncTarget["Service"], "findAbsent">

/** A snapshot of the target that is held open for writing. */
export interface TargetSnapshot {
  /**
   * Takes the chunks of this snapshot, in a store that takes chunks for one snapshot at a time: what was claimed or
   * stored for another one does not count. Without it the writer takes them, for all snapshots together.
   */
  readonly intake?: ChunkIntake
  /** What was there when it was opened: the bytes of its manifest; undefined when it has none. */
  readonly manifest: Uint8Array | undefined
  /** Names of the files that were there. */
  readonly fileNames: ReadonlySet<string>
  /** The bytes of a file that is there; undefined when there is none. */
  readonly file: (archive: ArchiveName) => Effect.Effect<Uint8Array | undefined, SyncError>
  /** Puts an index, a blob or the client's log in its place. */
  readonly putFile: (archive: ArchiveName, bytes: Uint8Array) => Effect.Effect<void, SyncError>
  /** Removes a file that the manifest to come does not name. */
  readonly removeFile: (archive: ArchiveName) => Effect.Effect<void, SyncError>
  /** Makes all durable and writes the manifest: from here on the snapshot exists. */
  readonly finish: (manifest: Uint8Array) => Effect.Effect<void, SyncError>
}

export interface ForgottenGroup {
  readonly removed: ReadonlyArray<Snapshot>
  /** What is protected, in use, or could not be removed, and why. */
  readonly kept: ReadonlyArray<{ readonly snapshot: Snapshot; readonly error: SyncError }>
  readonly isGroupRemoved: boolean
}

/** What a writer may do. */
export interface TargetWriter {
  /** Which of the digests, 32 bytes each in one row, the store lacks: their numbers, ascending. */
  readonly claim: (digests: Uint8Array) => Effect.Effect<ReadonlyArray<number>, SyncError>
  readonly store: (chunk: WantedChunk) => Effect.Effect<StoredChunk, SyncError>
  /** Creates a namespace and those around it. */
  readonly createNamespace: (namespace: Namespace) => Effect.Effect<void, SyncError>
  /** Holds the group until the scope closes; creates it with this owner if it is missing. Answers whose it is. */
  readonly openGroup: (
    namespace: Namespace,
    group: BackupGroup,
    owner: AuthId
  ) => Effect.Effect<AuthId, SyncError, Scope.Scope>
  /** Holds the snapshot until the scope closes; its group is open. */
  readonly openSnapshot: (
    namespace: Namespace,
    snapshot: Snapshot
  ) => Effect.Effect<TargetSnapshot, SyncError, Scope.Scope>
  /** Removes a snapshot whose group is open; `Protected` when it is, `Missing` when somebody was faster. */
  readonly forget: (namespace: Namespace, snapshot: Snapshot) => Effect.Effect<void, SyncError>
  /** Removes the snapshots of a group that are not protected, and the group when none is left. */
  readonly forgetGroup: (namespace: Namespace, group: BackupGroup) => Effect.Effect<ForgottenGroup, SyncError>
  /** Removes a namespace in which nothing is; answers whether it did. */
  readonly removeNamespaceIfEmpty: (namespace: Namespace) => Effect.Effect<boolean, SyncError>
}

export class SyncTarget extends Context.Service<
  SyncTarget,
  StoreListing & {
    /** As `claim`, but only looks: what is there now may be gone later. */
    readonly findAbsent: (digests: Uint8Array) => Effect.Effect<ReadonlyArray<number>, SyncError>
    /** Counts the caller as a writer until the scope closes. */
    readonly beginWriting: Effect.Effect<TargetWriter, SyncError, Scope.Scope>
  }
>()("granary/sync/SyncTarget") {}
