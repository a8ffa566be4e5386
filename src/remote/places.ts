/**
 * places: what a path of a datastore's folder stands for on a server, and how calls name it.
 *
 * Invariant: only paths that keep to the rules of names stand for anything, so nothing else is ever sent to a server.
 */
import * as BackupGroup from "../model/BackupGroup.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import type { Parameters } from "./parameters.ts"

export interface GroupPlace {
  readonly namespace: Namespace.Namespace
  readonly group: BackupGroup.BackupGroup
}

export interface SnapshotPlace {
  readonly namespace: Namespace.Namespace
  readonly snapshot: Snapshot.Snapshot
}

export type Place =
  | { readonly kind: "namespace"; readonly namespace: Namespace.Namespace }
  /** The folder `ns` of a namespace. */
  | { readonly kind: "namespaces"; readonly namespace: Namespace.Namespace }
  | {
      readonly kind: "type"
      readonly namespace: Namespace.Namespace
      readonly type: BackupGroup.BackupType
    }
  | ({ readonly kind: "group" } & GroupPlace)
  | ({ readonly kind: "group file"; readonly name: string } & GroupPlace)
  | ({ readonly kind: "snapshot" } & SnapshotPlace)
  | ({ readonly kind: "file"; readonly name: string } & SnapshotPlace)

const groupFiles: ReadonlyArray<string> = ["owner", "notes"]

const below = (
  namespace: Namespace.Namespace,
  [type = "", id, directory, name, ...more]: ReadonlyArray<string>
): Place | undefined => {
  if (!BackupGroup.isBackupType(type) || more.length > 0) return undefined
  if (id === undefined) return { kind: "type", namespace, type }
  const group = BackupGroup.parse(`${type}/${id}`)
  if (directory === undefined) return { kind: "group", namespace, group }
  if (groupFiles.includes(directory)) {
    return name === undefined ? { kind: "group file", namespace, group, name: directory } : undefined
  }
  const snapshot = Snapshot.fromDirectory(group, directory)
  return name === undefined
    ? { kind: "snapshot", namespace, snapshot }
    : { kind: "file", namespace, snapshot, name }
}

const parse = (segments: ReadonlyArray<string>): Place | undefined => {
  let namespace = Namespace.root
  let at = 0
  while (segments[at] === "ns") {
    const name = segments[at + 1]
    if (name === undefined) return { kind: "namespaces", namespace }
    namespace = Namespace.child(namespace, name)
    at += 2
  }
  return at === segments.length ? { kind: "namespace", namespace } : below(namespace, segments.slice(at))
}

/** What a path stands for, relative to the datastore; undefined for one that can be nothing. */
export const placeOf = (path: string): Place | undefined => {
  try {
    return parse(path === "" ? [] : path.split("/"))
  } catch (error) {
    if (error instanceof InvalidName) return undefined
    throw error
  }
}

export const namespaceParameters = (namespace: Namespace.Namespace): Parameters =>
  namespace === Namespace.root ? {} : { ns: namespace }

export const groupParameters = ({ group, namespace }: GroupPlace): Parameters => ({
  ...namespaceParameters(namespace),
  "backup-type": group.type,
  "backup-id": group.id
})

export const snapshotParameters = ({ namespace, snapshot }: SnapshotPlace): Parameters => ({
  ...groupParameters({ namespace, group: snapshot.group }),
  "backup-time": snapshot.time
})

export const keyOf = ({ namespace, snapshot }: SnapshotPlace): string => Snapshot.toPath(namespace, snapshot)
