/**
 * SyncSource: the port to the store that is copied from.
 *
 * Obligations of every implementation:
 * - Nothing is ever changed in the store.
 * - What vanished while it was looked at is left out of a listing; asked for by itself it fails with `Missing`, and
 *   only what the store itself denies is `Missing`. Trouble that may pass is `Throttled` or `Unavailable`.
 * - Names are validated values (`src/model`): what breaks their rules is not listed.
 * - While a snapshot is open nobody removes it, as far as the store can keep its users out; where it cannot, what is
 *   gone is `Missing`. A snapshot that somebody is making or removing fails to open with `Busy`.
 * - Bytes are answered as they are stored, neither decoded nor proven: whoever takes them proves them. They belong to
 *   the one who asked.
 * - `SyncError`s carry no place but what the caller cannot know; the caller adds its own.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ArchiveName } from "../model/ArchiveName.ts"
import type { BackupGroup } from "../model/BackupGroup.ts"
import type { Digest } from "../model/Digest.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import type { ListedGroup, ListedSnapshot, ListingOptions } from "./ListedSnapshot.ts"
import type { SyncError } from "./SyncError.ts"

/** A snapshot that is held open for reading. */
export interface SourceSnapshot {
  /** The bytes of `index.json.blob`. `Missing` when there is none. */
  readonly manifest: Effect.Effect<Uint8Array, SyncError>
  /** The bytes of an index or blob. */
  readonly file: (archive: ArchiveName) => Effect.Effect<Uint8Array, SyncError>
  /** A chunk that one of its indexes names, encoded as it is stored. */
  readonly chunk: (digest: Digest) => Effect.Effect<Uint8Array, SyncError>
  /** The bytes of `client.log.blob`; undefined when there is none. */
  readonly clientLog: Effect.Effect<Uint8Array | undefined, SyncError>
}

/** What can be listed in a store. */
export interface StoreListing {
  /** What people know the store by. */
  readonly title: string
  /** Two openings of one store have one of these in common, as far as can be told. */
  readonly identities: ReadonlyArray<string>
  /** `start` and what is below it, parents first, down to `depthMax` levels; `Missing` when there is no `start`. */
  readonly namespaces: (
    start: Namespace,
    depthMax?: number
  ) => Effect.Effect<ReadonlyArray<Namespace>, SyncError>
  /** In PBS's order. */
  readonly groups: (namespace: Namespace) => Effect.Effect<ReadonlyArray<ListedGroup>, SyncError>
  /** Oldest first; `Missing` when there is no such group. */
  readonly snapshots: (
    namespace: Namespace,
    group: BackupGroup,
    options: ListingOptions
  ) => Effect.Effect<ReadonlyArray<ListedSnapshot>, SyncError>
}

export class SyncSource extends Context.Service<
  SyncSource,
  StoreListing & {
    /** Holds the snapshot open until the scope closes. */
    readonly openSnapshot: (
      namespace: Namespace,
      snapshot: Snapshot
    ) => Effect.Effect<SourceSnapshot, SyncError, Scope.Scope>
  }
>()("granary/sync/SyncSource") {}
