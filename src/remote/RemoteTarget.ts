/**
 * RemoteTarget: a datastore on a server as the target of a sync that brings backups to it (push): each snapshot is a
 * session of the backup protocol; what else is changed is changed by calls of the API.
 *
 * What the protocol cannot do, and what is done instead:
 * - Nobody can ask a server whether it has a chunk, or hold chunks there before a snapshot names them. Chunks are
 *   claimed for one snapshot: those of the snapshot that it builds on, which the server holds, and no others. The plan
 *   of a sync counts every chunk as one to be transferred.
 * - A group is held while a session of it is open, and not between two snapshots. Who makes a backup in between is
 *   noticed: the server takes no snapshot that is older than its newest.
 * - A group belongs to the user or token that makes it.
 * - A snapshot that is there stays as it is: neither its notes nor what is missing of it can be brought.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AuthId } from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Digest from "../model/Digest.ts"
import * as Namespaces from "../model/Namespace.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import { ChunkCodec } from "../platform/ChunkCodec.ts"
import { type SyncError, syncError } from "../sync/SyncError.ts"
import { type ForgottenGroup, SyncTarget, type TargetWriter } from "../sync/SyncTarget.ts"
import { groupParameters, namespaceParameters, snapshotParameters } from "./places.ts"
import type { Remote } from "./Remote.ts"
import { isMissing } from "./RemoteError.ts"
import * as RemoteInventory from "./RemoteInventory.ts"
import * as RemoteSyncListing from "./RemoteSyncListing.ts"
import * as RemoteTargetSnapshot from "./RemoteTargetSnapshot.ts"

const { told } = RemoteSyncListing

/** Whose the group is; it comes into being with its first snapshot, and belongs to who makes that. */
const ownerOf = (
  remote: Remote,
  namespace: Namespace,
  group: BackupGroup.BackupGroup,
  wanted: AuthId
): Effect.Effect<AuthId, SyncError> =>
  Effect.gen(function* () {
    const name = BackupGroup.format(group)
    const groups = yield* told(RemoteInventory.groups(remote, namespace))
    const found = groups.find((listed) => BackupGroup.format(listed.group) === name)
    if (found !== undefined) {
      return found.owner ?? (yield* syncError("NotOwner", "the server does not say whose this group is"))
    }
    const { authId } = remote.address
    if (wanted === authId) return authId
    return yield* syncError("NotOwner", `what is made on the server belongs to ${authId}, not to ${wanted}`)
  })

const createNamespace = (remote: Remote, namespace: Namespace): Effect.Effect<void, SyncError> =>
  Effect.gen(function* () {
    const there = new Set(yield* RemoteInventory.namespaces(remote, Namespaces.root))
    let parent = Namespaces.root
    for (const name of Namespaces.components(namespace)) {
      const child = Namespaces.child(parent, name)
      if (!there.has(child)) {
        const place = parent === Namespaces.root ? {} : { parent }
        yield* remote.call("POST", RemoteInventory.pathOf(remote, "namespace"), { name, ...place })
      }
      parent = child
    }
  }).pipe(told)

const forget = (remote: Remote, namespace: Namespace, snapshot: Snapshot): Effect.Effect<void, SyncError> =>
  remote
    .call("DELETE", RemoteInventory.pathOf(remote, "snapshots"), snapshotParameters({ namespace, snapshot }))
    .pipe(Effect.asVoid, told)

const forgetGroup = (
  remote: Remote,
  namespace: Namespace,
  group: BackupGroup.BackupGroup
): Effect.Effect<ForgottenGroup, SyncError> =>
  Effect.gen(function* () {
    const before = yield* RemoteInventory.snapshots(remote, namespace, group)
    yield* remote
      .call("DELETE", RemoteInventory.pathOf(remote, "groups"), {
        ...groupParameters({ namespace, group }),
        "error-on-protected": false
      })
      .pipe(Effect.catchIf(isMissing, () => Effect.void))
    const after = yield* RemoteInventory.snapshots(remote, namespace, group)
    const times = new Set(after.map(({ snapshot }) => snapshot.time))
    return {
      removed: before.filter(({ snapshot }) => !times.has(snapshot.time)).map(({ snapshot }) => snapshot),
      kept: after.map(({ protected: isProtected, snapshot }) => ({
        snapshot,
        error: isProtected
          ? syncError("Protected", "this snapshot is protected")
          : syncError("Busy", "the server did not remove this snapshot: somebody uses it")
      })),
      isGroupRemoved: after.length === 0
    }
  }).pipe(told)

/** Only what was looked at and found empty is asked to go; the server refuses what is not. */
const removeNamespaceIfEmpty = (remote: Remote, namespace: Namespace): Effect.Effect<boolean, SyncError> =>
  Effect.gen(function* () {
    const inside = yield* RemoteInventory.namespaces(remote, namespace)
    const groups = yield* RemoteInventory.groups(remote, namespace)
    if (groups.length > 0 || inside.some((found) => found !== namespace)) return false
    yield* remote.call("DELETE", RemoteInventory.pathOf(remote, "namespace"), namespaceParameters(namespace))
    return true
  }).pipe(
    Effect.catchIf(isMissing, () => Effect.succeed(false)),
    told
  )

const onlyInside = Effect.fail(syncError("Refused", "a server takes chunks for a snapshot alone"))

const writerOf = (remote: Remote, codec: ChunkCodec["Service"]): TargetWriter => ({
  claim: () => onlyInside,
  store: () => onlyInside,
  createNamespace: (namespace) => createNamespace(remote, namespace),
  openGroup: (namespace, group, owner): Effect.Effect<AuthId, SyncError, Scope.Scope> =>
    ownerOf(remote, namespace, group, owner),
  openSnapshot: (namespace, snapshot) => RemoteTargetSnapshot.open(remote, codec, { namespace, snapshot }),
  forget: (namespace, snapshot) => forget(remote, namespace, snapshot),
  forgetGroup: (namespace, group) => forgetGroup(remote, namespace, group),
  removeNamespaceIfEmpty: (namespace) => removeNamespaceIfEmpty(remote, namespace)
})

const allNumbers = (digests: Uint8Array): ReadonlyArray<number> =>
  Array.from({ length: digests.length / Digest.lengthBytes }, (_, number) => number)

export const make = (remote: Remote): Effect.Effect<SyncTarget["Service"], never, ChunkCodec> =>
  Effect.map(ChunkCodec, (codec) =>
    SyncTarget.of({
      ...RemoteSyncListing.make(remote),
      findAbsent: (digests) => Effect.succeed(allNumbers(digests)),
      beginWriting: Effect.sync(() => writerOf(remote, codec))
    })
  )
