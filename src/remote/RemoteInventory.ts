/**
 * RemoteInventory: what a server says there is just now, for those who are going to change or copy something: with
 * owners, verification and encryption. Whoever only looks at a store takes `RemoteListings`, which keeps answers.
 *
 * Invariant: a name that breaks the rules of the model is left out, as if it were not there; an answer of another shape
 * is a `BadAnswer`.
 */
import * as Effect from "effect/Effect"
import type { CryptMode } from "../model/CryptMode.ts"
import * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Namespaces from "../model/Namespace.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import { badAnswer } from "./answers.ts"
import * as fields from "./fields.ts"
import type { Parameters } from "./parameters.ts"
import { groupParameters, namespaceParameters } from "./places.ts"
import type { Remote } from "./Remote.ts"
import type { RemoteError } from "./RemoteError.ts"

export interface RemoteGroup {
  readonly group: BackupGroup.BackupGroup
  /** Undefined when the server does not say. */
  readonly owner: AuthId.AuthId | undefined
}

export interface RemoteFile {
  readonly name: string
  /** Undefined when no manifest names the file. */
  readonly cryptMode: CryptMode | undefined
  readonly sizeBytes: number | undefined
}

export interface RemoteSnapshot {
  readonly snapshot: Snapshot
  /** It has a manifest that the server can read. */
  readonly finished: boolean
  readonly protected: boolean
  readonly verified: "ok" | "failed" | undefined
  readonly files: ReadonlyArray<RemoteFile>
}

/** Where the calls of the datastore are. */
export const pathOf = ({ address }: Remote, what: string): string =>
  `/admin/datastore/${address.store}/${what}`

/** The items of a list, each made into what it stands for. */
const list = <A>(
  remote: Remote,
  what: string,
  parameters: Parameters,
  decode: (item: fields.Fields) => A | undefined
): Effect.Effect<ReadonlyArray<A>, RemoteError> =>
  Effect.flatMap(remote.call("GET", pathOf(remote, what), parameters), (data) => {
    const items = fields.itemsOf(data)
    return items === undefined
      ? Effect.fail(badAnswer(remote.server, "its answer is no list"))
      : Effect.succeed(items.map(decode).filter((found) => found !== undefined))
  })

/** `parent` and what is below it, parents first. */
export const namespaces = (
  remote: Remote,
  parent: Namespace,
  depthMax?: number
): Effect.Effect<ReadonlyArray<Namespace>, RemoteError> =>
  Effect.map(
    list(
      remote,
      "namespace",
      { parent: parent === Namespaces.root ? undefined : parent, "max-depth": depthMax },
      fields.namespaceOf
    ),
    (found) => found.toSorted()
  )

/** In PBS's order. */
export const groups = (
  remote: Remote,
  namespace: Namespace
): Effect.Effect<ReadonlyArray<RemoteGroup>, RemoteError> =>
  Effect.map(
    list(remote, "groups", namespaceParameters(namespace), (item) => {
      const group = fields.groupOf(item)
      const owner = fields.textOf(item, "owner")
      const isOwner = owner !== undefined && AuthId.isAuthId(owner)
      return group && { group, owner: isOwner ? owner : undefined }
    }),
    (found) => found.toSorted((left, right) => BackupGroup.order(left.group, right.group))
  )

const cryptModeIn = (item: fields.Fields): CryptMode | undefined => {
  const mode = fields.textOf(item, "crypt-mode")
  return mode === "none" || mode === "encrypt" || mode === "sign-only" ? mode : undefined
}

const filesIn = (item: fields.Fields): ReadonlyArray<RemoteFile> =>
  (fields.itemsOf(item["files"]) ?? []).flatMap((file) => {
    const name = fields.textOf(file, "filename")
    const sizeBytes = fields.countOf(file, "size")
    return name === undefined ? [] : [{ name, cryptMode: cryptModeIn(file), sizeBytes }]
  })

const verifiedIn = (item: fields.Fields): RemoteSnapshot["verified"] => {
  const state = fields.textOf(fields.fieldsOf(item["verification"]) ?? {}, "state")
  return state === "ok" || state === "failed" ? state : undefined
}

/** Of one group, the oldest first; none of a group that the server does not have. */
export const snapshots = (
  remote: Remote,
  namespace: Namespace,
  group: BackupGroup.BackupGroup
): Effect.Effect<ReadonlyArray<RemoteSnapshot>, RemoteError> =>
  Effect.map(
    list(remote, "snapshots", groupParameters({ namespace, group }), (item) => {
      const snapshot = fields.snapshotOf(item)
      return (
        snapshot && {
          snapshot,
          finished: fields.countOf(item, "size") !== undefined,
          protected: fields.flagOf(item, "protected"),
          verified: verifiedIn(item),
          files: filesIn(item)
        }
      )
    }),
    (found) => found.toSorted((left, right) => left.snapshot.time - right.snapshot.time)
  )
