/**
 * ListedSnapshot: what a store says of a snapshot without anybody opening it. The rules decide by nothing else.
 *
 * Invariant: what a manifest says is told only when it was asked for, for that costs reading it; whether there is one
 * is always told.
 */
import type * as AuthId from "../model/AuthId.ts"
import type { BackupGroup } from "../model/BackupGroup.ts"
import type * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type * as Snapshot from "../model/Snapshot.ts"

export interface ListedGroup {
  readonly group: BackupGroup
  /** Undefined when nobody can tell. */
  readonly owner: AuthId.AuthId | undefined
}

/** What a manifest says of its snapshot. */
export interface ManifestState {
  /** Of the last verification. */
  readonly verified: "ok" | "failed" | "none"
  /** `some`: only a part of its archives is encrypted. The client's log does not count. */
  readonly encrypted: "all" | "some" | "none"
  /** Sum over its archives. */
  readonly sizeBytes: number
}

export interface ListedSnapshot {
  readonly snapshot: Snapshot.Snapshot
  /** Its manifest is there. One without it is in progress, or was interrupted. */
  readonly finished: boolean
  readonly protected: boolean
  /** Undefined when it was not asked for, and when there is none; `unreadable` when it makes no sense. */
  readonly manifest: ManifestState | "unreadable" | undefined
}

export interface ListingOptions {
  /** Whether manifests are wanted. */
  readonly manifests: boolean
}

const encryptedOf = (
  modes: ReadonlyArray<Manifest.ManifestFile["cryptMode"]>
): ManifestState["encrypted"] => {
  const count = modes.filter((mode) => mode === "encrypt").length
  if (count === 0) return "none"
  return count === modes.length ? "all" : "some"
}

export const stateOf = (manifest: Manifest.Manifest): ManifestState => ({
  verified: ManifestNotes.verifyState(manifest)?.state ?? "none",
  encrypted: encryptedOf(
    manifest.files
      .filter(({ filename }) => filename !== ArchiveName.clientLogFile)
      .map(({ cryptMode }) => cryptMode)
  ),
  sizeBytes: manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0)
})
