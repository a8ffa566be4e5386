/**
 * GroupListing: what lies in a group's folder at one moment, as the mark phase compares it from round to round. A file
 * that a link of its name leads to counts as well.
 */
import * as Effect from "effect/Effect"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { BackupGroup } from "../model/BackupGroup.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { Files, isNotFound } from "../platform/Files.ts"
import * as IndexFile from "./IndexFile.ts"

/** What one round found under a snapshot's name. */
export interface Listed {
  readonly isFinished: boolean
  readonly indexes: ReadonlyArray<string>
}

/** A folder that does not carry a time holds no snapshot; indexes in it are strays. */
const isSnapshotName = (group: BackupGroup, name: string): boolean => {
  try {
    Snapshot.fromDirectory(group, name)
    return true
  } catch (error) {
    if (error instanceof InvalidName) return false
    throw error
  }
}

/** Names of a group's snapshots, newest first; undefined when the group is gone. */
export const listGroup = (folder: string, group: BackupGroup) =>
  Effect.gen(function* () {
    const files = yield* Files
    const entries = yield* files
      .readDirectory(folder)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    return entries
      ?.filter(({ kind, name }) => kind === "directory" && isSnapshotName(group, name))
      .map(({ name }) => name)
      .toSorted()
      .toReversed()
  })

/** Undefined when the snapshot is gone. */
export const listSnapshot = (folder: string) =>
  Effect.gen(function* () {
    const files = yield* Files
    const entries = yield* files
      .readDirectory(folder)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    if (entries === undefined) return undefined
    const listed: Listed = {
      isFinished: entries.some(({ name }) => name === ArchiveName.manifestFile),
      indexes: entries
        .filter(({ kind, name }) => IndexFile.isIndexName(name) && (kind === "file" || kind === "symlink"))
        .map(({ name }) => `${folder}/${name}`)
    }
    return listed
  })
