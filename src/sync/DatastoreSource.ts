/**
 * DatastoreSource: an open datastore as the source of a sync: in a folder, in a bucket with its cache folder, or read
 * straight from the bucket.
 *
 * An open snapshot is locked, shared with other readers, so that nobody removes it here. Other hosts on a bucket do not
 * know our locks: what they remove is missing in the middle.
 */
import * as Effect from "effect/Effect"
import { type Datastore, snapshotLockName } from "../datastore/Datastore.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type * as Namespace from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import * as DatastoreListing from "./DatastoreListing.ts"
import * as LocalReads from "./LocalReads.ts"
import * as storeFailures from "./storeFailures.ts"
import type { SyncError } from "./SyncError.ts"
import { type SourceSnapshot, SyncSource } from "./SyncSource.ts"

const orMissing = (file: Effect.Effect<Uint8Array, SyncError>) =>
  file.pipe(
    Effect.map((bytes): Uint8Array | undefined => bytes),
    Effect.catchIf(
      ({ reason }) => reason === "Missing",
      () => Effect.succeed(undefined)
    )
  )

const opened = (
  { chunks, snapshotFiles }: Datastore["Service"],
  namespace: Namespace.Namespace,
  snapshot: Snapshot.Snapshot
): SourceSnapshot => {
  const read = (fileName: string) => storeFailures.reading(snapshotFiles.read(namespace, snapshot, fileName))
  return {
    manifest: read(ArchiveName.manifestFile),
    file: ({ file }) => read(file),
    chunk: (digest) => {
      const bytes = storeFailures.reading(chunks.readEncoded(digest))
      return chunks.fileOf === undefined ? bytes : LocalReads.reading(bytes, chunks.fileOf(digest))
    },
    clientLog: orMissing(read(ArchiveName.clientLogFile))
  }
}

export const make = (store: Datastore["Service"]): SyncSource["Service"] =>
  SyncSource.of({
    ...DatastoreListing.make(store),
    openSnapshot: (namespace, snapshot) =>
      Effect.gen(function* () {
        yield* store.locks.hold(snapshotLockName(namespace, snapshot), "shared")
        yield* store.hierarchy.entry(namespace, snapshot)
        return opened(store, namespace, snapshot)
      }).pipe(storeFailures.reading)
  })
