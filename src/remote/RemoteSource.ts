/**
 * RemoteSource: a datastore on a server as the source of a sync: a session of the reader protocol for each snapshot,
 * on a connection of its own, in which many chunks are under way at once.
 *
 * A session that broke is replaced by the next who asks for something; the server gives out chunks only of indexes that
 * were asked for in the same session, so the new one asks for those again first. What came before stays with the one
 * who got it: a sync fetches nothing twice.
 *
 * Invariants: as long as the snapshot is open here and its connection stands, the server lets nobody remove it. While a
 * connection is replaced somebody may; what is gone then is `Missing`.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as ArchiveName from "../model/ArchiveName.ts"
import { largestBlobBytes } from "../platform/chunkContent.ts"
import type { SyncError } from "../sync/SyncError.ts"
import { type SourceSnapshot, SyncSource } from "../sync/SyncSource.ts"
import { type SnapshotPlace, snapshotParameters } from "./places.ts"
import type { Remote } from "./Remote.ts"
import { indexMaxBytes } from "./RemoteBackupCalls.ts"
import { isMissing, type RemoteError } from "./RemoteError.ts"
import type { RemoteSession } from "./RemoteSession.ts"
import * as RemoteSyncListing from "./RemoteSyncListing.ts"

/** A session, and the scope that ends it. */
interface Held {
  readonly session: RemoteSession
  readonly scope: Scope.Closeable
}

/** One snapshot's session, which is replaced when it breaks. */
const makeReader = (remote: Remote, place: SnapshotPlace) =>
  Effect.gen(function* () {
    const outer = yield* Effect.scope
    const turns = yield* Semaphore.make(1)
    /** Indexes that were asked for; each new session asks for them again. */
    const indexes = new Set<string>()
    let held: Held | undefined

    const download = (session: RemoteSession, name: string) =>
      session.bytes("/download", { "file-name": name }, indexMaxBytes)

    const begin = Effect.gen(function* () {
      const scope = yield* Scope.fork(outer)
      return yield* Effect.gen(function* () {
        const session = yield* remote.begin("reader", { ...snapshotParameters(place), debug: false })
        yield* Effect.forEach(indexes, (name) => download(session, name), { concurrency: 4, discard: true })
        return { session, scope }
      }).pipe(
        Scope.provide(scope),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
    })

    const standing: Effect.Effect<RemoteSession, RemoteError> = turns.withPermit(
      Effect.gen(function* () {
        if (held !== undefined && (yield* held.session.isOpen)) return held.session
        const broken = held
        held = undefined
        if (broken !== undefined) yield* Scope.close(broken.scope, Exit.void)
        held = yield* begin
        return held.session
      })
    )

    const file = (name: string) =>
      Effect.flatMap(standing, (session) =>
        Effect.tap(download(session, name), () =>
          Effect.sync(() => {
            if (ArchiveName.fromFile(name).kind !== "blob") indexes.add(name)
          })
        )
      )

    return { standing, file }
  })

const orUndefined = (file: Effect.Effect<Uint8Array, RemoteError>) =>
  file.pipe(
    Effect.map((bytes): Uint8Array | undefined => bytes),
    Effect.catchIf(isMissing, () => Effect.succeed(undefined))
  )

const openSnapshot = (
  remote: Remote,
  place: SnapshotPlace
): Effect.Effect<SourceSnapshot, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const { told } = RemoteSyncListing
    const reader = yield* makeReader(remote, place)
    yield* told(reader.standing)
    return {
      manifest: told(reader.file(ArchiveName.manifestFile)),
      file: ({ file }: ArchiveName.ArchiveName) => told(reader.file(file)),
      chunk: (digest: string) =>
        told(
          Effect.flatMap(reader.standing, (session) => session.bytes("/chunk", { digest }, largestBlobBytes))
        ),
      clientLog: told(orUndefined(reader.file(ArchiveName.clientLogFile)))
    }
  })

export const make = (remote: Remote): SyncSource["Service"] =>
  SyncSource.of({
    ...RemoteSyncListing.make(remote),
    openSnapshot: (namespace, snapshot) => openSnapshot(remote, { namespace, snapshot })
  })
