/**
 * RemoteChanges: what may be changed in a datastore on a server, by calls that the server carries out under its own
 * locks and by its own rules of permission: snapshots forgotten, protected and annotated.
 *
 * Invariant: each call is sent once. Everything else that a datastore can be asked to change is refused.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Manifest from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { FileLocks } from "../platform/FileLocks.ts"
import type { Hierarchy } from "../store/Hierarchy.ts"
import type { SnapshotFiles } from "../store/SnapshotFiles.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { Parameters } from "./parameters.ts"
import { snapshotParameters } from "./places.ts"
import { asFilesError, readOnly, readOnlyAdvice } from "./readingFailures.ts"
import type { Method, Remote } from "./Remote.ts"
import type { RemoteError } from "./RemoteError.ts"
import type { RemoteListings } from "./RemoteListings.ts"

type Failure = StorageError | StoreError

/**
 * The locks of a datastore on a server: the server's own keep others out of what it changes for us, and an open session
 * keeps a snapshot from being removed. So every lock is granted here.
 */
export const locks: Layer.Layer<FileLocks> = Layer.succeed(FileLocks, {
  tryLock: () => Effect.succeed(true),
  openRanges: (path) => Effect.fail(readOnly("lock", path))
})

const refusedBy = (snapshot: Snapshot.Snapshot, error: RemoteError): Failure => {
  const name = Snapshot.format(snapshot)
  if (error.reason === "Missing") return storeError("NoSuchSnapshot", name, error.detail)
  if (error.reason === "Busy") return storeError("Busy", name, error.detail)
  return error.reason === "Refused"
    ? storeError("Refused", name, error.detail)
    : asFilesError("change", name, error)
}

export const make = (remote: Remote, listings: RemoteListings) => {
  const call = (
    method: Method,
    path: string,
    namespace: Namespace,
    snapshot: Snapshot.Snapshot,
    more: Parameters = {}
  ): Effect.Effect<void, Failure> =>
    remote
      .call(method, `/admin/datastore/${remote.address.store}/${path}`, {
        ...snapshotParameters({ namespace, snapshot }),
        ...more
      })
      .pipe(
        Effect.mapError((error) => refusedBy(snapshot, error)),
        Effect.ensuring(listings.forget),
        Effect.asVoid
      )

  /** The entry is looked up anew, because protection is not forgotten by accident. */
  const forget = (hierarchy: Hierarchy["Service"]) => (namespace: Namespace, snapshot: Snapshot.Snapshot) =>
    Effect.gen(function* () {
      yield* listings.forget
      const entry = yield* hierarchy.entry(namespace, snapshot)
      if (entry.protected) {
        return yield* storeError("Protected", Snapshot.format(snapshot), "this snapshot is protected")
      }
      yield* call("DELETE", "snapshots", namespace, snapshot)
    })

  const setProtected: Hierarchy["Service"]["setProtected"] = (namespace, snapshot, isProtected) =>
    call("PUT", "protected", namespace, snapshot, { protected: isProtected })

  /** Of a manifest, a server changes the notes alone. */
  const changeManifest =
    (manifestOf: SnapshotFiles["Service"]["manifest"]): SnapshotFiles["Service"]["updateManifest"] =>
    (namespace, snapshot, change) =>
      Effect.gen(function* () {
        const before = yield* manifestOf(namespace, snapshot)
        const after: Manifest.Manifest = change(before)
        const notes = ManifestNotes.notes(after)
        const isNotesAlone =
          JSON.stringify(ManifestNotes.withNotes(before, notes).raw) === JSON.stringify(after.raw)
        if (!isNotesAlone) {
          return yield* storeError("Refused", Snapshot.format(snapshot), readOnlyAdvice.message)
        }
        yield* call("PUT", "notes", namespace, snapshot, { notes: notes ?? "" })
        return after
      })

  return { forget, setProtected, changeManifest }
}
