/**
 * lockNames: under which names groups and snapshots are locked. Everybody who works on one takes the name from here:
 * two that differ would not exclude each other.
 */
import type { BackupGroup } from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"

/** The name under which a group's lock is held: exclusive while a snapshot is made in it or the group removed. */
export const groupLockName = (namespace: Namespace, group: BackupGroup): string =>
  `group ${Snapshot.groupPath(namespace, group)}`

/** The name under which a snapshot's lock is held: shared by readers, exclusive while it is made or removed. */
export const snapshotLockName = (namespace: Namespace, snapshot: Snapshot.Snapshot): string =>
  `snapshot ${Snapshot.toPath(namespace, snapshot)}`
