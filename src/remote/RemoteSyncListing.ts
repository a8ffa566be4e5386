/** RemoteSyncListing: what a server has, as both ends of a sync list it. */
import * as Effect from "effect/Effect"
import type * as BackupGroup from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { ListedSnapshot, ManifestState } from "../sync/ListedSnapshot.ts"
import { type SyncError, syncError } from "../sync/SyncError.ts"
import type { StoreListing } from "../sync/SyncSource.ts"
import type { Remote } from "./Remote.ts"
import * as RemoteAddress from "./RemoteAddress.ts"
import type { RemoteError } from "./RemoteError.ts"
import * as RemoteInventory from "./RemoteInventory.ts"
import { asSyncError } from "./toldFailures.ts"

export const told = <A, R>(effect: Effect.Effect<A, RemoteError, R>): Effect.Effect<A, SyncError, R> =>
  Effect.mapError(effect, asSyncError)

/** What the manifest says of itself and of the client's log is about neither of them. */
const isArchive = ({ name }: RemoteInventory.RemoteFile): boolean =>
  name !== ArchiveName.manifestFile && name !== ArchiveName.clientLogFile

const stateOf = ({ files, verified }: RemoteInventory.RemoteSnapshot): ManifestState => {
  const archives = files.filter((file) => isArchive(file) && file.cryptMode !== undefined)
  const encrypted = archives.filter(({ cryptMode }) => cryptMode === "encrypt").length
  return {
    verified: verified ?? "none",
    encrypted: encrypted === 0 ? "none" : encrypted === archives.length ? "all" : "some",
    sizeBytes: archives.reduce((sum, { sizeBytes = 0 }) => sum + sizeBytes, 0)
  }
}

const listed = (found: RemoteInventory.RemoteSnapshot): ListedSnapshot => ({
  snapshot: found.snapshot,
  finished: found.finished,
  protected: found.protected,
  manifest: found.finished ? stateOf(found) : undefined
})

export const make = (remote: Remote): StoreListing => {
  const snapshots = (
    namespace: Namespace,
    group: BackupGroup.BackupGroup
  ): Effect.Effect<ReadonlyArray<ListedSnapshot>, SyncError> =>
    Effect.gen(function* () {
      const found = yield* told(RemoteInventory.snapshots(remote, namespace, group))
      if (found.length === 0) return yield* syncError("Missing", "the server has no snapshots of this group")
      return found.map(listed)
    })

  return {
    title: RemoteAddress.format(remote.address),
    identities: [`server ${remote.server}/${remote.address.store}`],
    namespaces: (start, depthMax) => told(RemoteInventory.namespaces(remote, start, depthMax)),
    groups: (namespace) => told(RemoteInventory.groups(remote, namespace)),
    snapshots
  }
}
