/**
 * RemoteReading: a datastore on a Proxmox Backup Server, or one that `granary serve` serves, opened for reading.
 * Listing, restoring, mounting and verifying go their ordinary ways; the folder they look at is the server's.
 *
 * Invariant: nothing is written there but what the server does by a call of its own (`RemoteChanges`): what else would
 * write fails with `ReadOnlyFileSystem` or `Refused`. A
 * snapshot cannot be removed there while a session on it is open, which is while it is read and some seconds longer.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Datastore from "../datastore/Datastore.ts"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import type { FileSystemStat } from "../platform/Files.ts"
import { ChunkPresence } from "../store/ChunkPresence.ts"
import * as FetchedChunks from "../store/FetchedChunks.ts"
import type { StorageError } from "../store/StorageError.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as fields from "./fields.ts"
import * as ReaderSessions from "./ReaderSessions.ts"
import type { Remote } from "./Remote.ts"
import * as RemoteAddress from "./RemoteAddress.ts"
import * as RemoteChanges from "./RemoteChanges.ts"
import type { RemoteError } from "./RemoteError.ts"
import { asFilesError, notFound, readOnly, readOnlyAdvice } from "./readingFailures.ts"
import * as RemoteFiles from "./RemoteFiles.ts"
import * as RemoteListings from "./RemoteListings.ts"
import * as SnapshotContents from "./SnapshotContents.ts"

export interface ReadingOptions {
  /** How long a listing serves. Default 5. */
  readonly freshSeconds?: number
  /** How long a session stays open that nobody uses. Default 20. */
  readonly idleSeconds?: number
}

const defaultFreshSeconds = 5

/** As many as a line of some delay needs to be busy; a chunk has some MiB. */
const requestsInFlight = 16

/** Free space and size of where the store lies; undefined when the user may not know, or it has no end. */
const spaceOf = (remote: Remote): Effect.Effect<FileSystemStat | undefined, StorageError> =>
  remote.call("GET", `/admin/datastore/${remote.address.store}/status`).pipe(
    Effect.map((value) => {
      const found = fields.fieldsOf(value) ?? {}
      const totalBytes = fields.countOf(found, "total") ?? 0
      const availableBytes = fields.countOf(found, "avail") ?? 0
      return totalBytes === 0 ? undefined : { totalBytes, availableBytes }
    }),
    Effect.catchIf(
      ({ reason }) => reason === "Refused" || reason === "Missing",
      () => Effect.succeed(undefined)
    ),
    Effect.mapError((error) => asFilesError("ask for the space of", remote.server, error))
  )

/** A server does not say which chunks it has, and a folder of them is not there. */
const presenceOf = (remote: Remote) =>
  ChunkPresence.of({ findAbsent: () => Effect.fail(readOnly("look for chunks on", remote.server)) })

const chunksOf = (contents: SnapshotContents.SnapshotContents) =>
  FetchedChunks.make({
    get: (digest) =>
      Effect.mapError(contents.chunk(digest), (error) => asFilesError("read", `chunk ${digest}`, error)),
    stat: (digest) => Effect.fail(notFound("stat", `chunk ${digest}`)),
    nameOf: (digest) => `chunk ${digest}`,
    readOnly: readOnlyAdvice,
    requestsInFlight
  })

const refuse = (remote: Remote) =>
  Effect.fail(storeError("Refused", RemoteAddress.format(remote.address), readOnlyAdvice.message))

/** A group without snapshots stays: between a look and its removal a backup could have come into it. */
const keepGroup = () => Effect.succeed(false)

/** Opens the datastore; the first thing that is asked is what the user may see in it. */
export const open = (
  remote: Remote,
  { freshSeconds = defaultFreshSeconds, ...options }: ReadingOptions = {}
): Effect.Effect<
  Datastore.Datastore["Service"],
  RemoteError | StorageError | StoreError,
  ChunkCodec | Scope.Scope
> =>
  Effect.gen(function* () {
    const base = `/${RemoteAddress.format(remote.address)}`
    const listings = RemoteListings.make(remote, freshSeconds)
    yield* listings.namespaces
    const sessions = yield* ReaderSessions.make(remote, options)
    const contents = yield* SnapshotContents.make(remote, sessions)
    const chunks = yield* chunksOf(contents)
    const machine = Layer.merge(RemoteFiles.layer({ base, listings, contents }), RemoteChanges.locks)
    const opened = yield* Datastore.open({ path: base, syncLevel: "none" }).pipe(Effect.provide(machine))
    const changes = RemoteChanges.make(remote, listings)
    const hierarchy = {
      ...opened.hierarchy,
      setProtected: changes.setProtected,
      removeGroupIfEmpty: keepGroup
    }
    const { manifest } = opened.snapshotFiles
    return Datastore.Datastore.of({
      ...opened,
      hierarchy,
      snapshotFiles: { ...opened.snapshotFiles, updateManifest: changes.changeManifest(manifest) },
      isDistant: true,
      chunks,
      presence: presenceOf(remote),
      space: spaceOf(remote),
      forget: changes.forget(hierarchy),
      moveGroup: () => refuse(remote)
    })
  })

export const layer = (
  remote: Remote,
  options?: ReadingOptions
): Layer.Layer<Datastore.Datastore, RemoteError | StorageError | StoreError, ChunkCodec> =>
  Layer.effect(Datastore.Datastore, open(remote, options))
