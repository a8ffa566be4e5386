/**
 * A snapshot: one backup of a group at one time, `host/laptop/2026-11-21T10:00:00Z`.
 *
 * The text form is also its path below the namespace. `directory` is the name of its folder, the very text
 * that was read; `time` is the same moment as a number, for comparing.
 */
import * as BackupGroup from "./BackupGroup.ts"
import * as BackupTime from "./BackupTime.ts"
import { refuse } from "./InvalidName.ts"
import * as Namespace from "./Namespace.ts"

export interface Snapshot {
  readonly group: BackupGroup.BackupGroup
  /** Whole seconds since 1970. */
  readonly time: number
  readonly directory: string
}

export const make = (group: BackupGroup.BackupGroup, time: number): Snapshot => ({
  group,
  time,
  directory: BackupTime.format(time)
})

/** A snapshot found as a folder of the group. */
export const fromDirectory = (group: BackupGroup.BackupGroup, directoryName: string): Snapshot => ({
  group,
  time: BackupTime.parse(directoryName),
  directory: directoryName
})

/** Reads `<type>/<id>/<time>`. */
export const parse = (text: string): Snapshot => {
  const slash = text.lastIndexOf("/")
  if (slash === -1) return refuse("snapshot", text, "a backup type, a backup id and a time joined by slashes")
  return fromDirectory(BackupGroup.parse(text.slice(0, slash)), text.slice(slash + 1))
}

export const format = (snapshot: Snapshot): string =>
  `${BackupGroup.format(snapshot.group)}/${snapshot.directory}`

/** Sorts by group, then oldest first. */
export const order = (left: Snapshot, right: Snapshot): number =>
  BackupGroup.order(left.group, right.group) || left.time - right.time

/** The folder of a group, relative to the datastore. */
export const groupPath = (namespace: Namespace.Namespace, group: BackupGroup.BackupGroup): string =>
  Namespace.joinPath(namespace, BackupGroup.format(group))

/** The folder of a snapshot, relative to the datastore. */
export const toPath = (namespace: Namespace.Namespace, snapshot: Snapshot): string =>
  Namespace.joinPath(namespace, format(snapshot))
