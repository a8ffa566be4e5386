/**
 * RemoteBackupPrevious: the snapshot that a backup session on a server builds on: which one it is, what its indexes
 * name, and its content, where a backup compares itself with it.
 *
 * Invariants: only indexes that are those of their manifest make chunks known, and of a backup with a key only a
 * manifest that is signed with it. Trouble costs the reuse of what is there, never the backup, unless the connection
 * itself is broken. The content is read in a reader session of its own, which begins when it is first asked for.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { KnownChunks } from "../backup/KnownChunks.ts"
import * as PreviousArchive from "../backup/PreviousArchive.ts"
import type { PreviousContent, PreviousSnapshot, SessionOptions } from "../backup/Session.ts"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import { encodedSizeMax } from "../format/DataBlob.ts"
import * as DynamicIndex from "../format/DynamicIndex.ts"
import * as FixedIndex from "../format/FixedIndex.ts"
import { FormatError } from "../format/FormatError.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { ChunkCodec } from "../platform/ChunkCodec.ts"
import { decodeOrDamaged, storeError } from "../store/StoreError.ts"
import type { Remote } from "./Remote.ts"
import { snapshotParameters } from "./places.ts"
import { type BackupCalls, indexMaxBytes, manifestName } from "./RemoteBackupCalls.ts"
import type { RemoteError } from "./RemoteError.ts"
import { asStoreError } from "./toldFailures.ts"

/** Nothing else can be done with a connection that is gone. */
const unlessBroken = <A, R>(effect: Effect.Effect<A, RemoteError, R>) =>
  Effect.catchIf(
    effect,
    ({ reason }) => reason !== "Disconnected",
    () => Effect.succeed(undefined)
  )

const decodedOrUndefined = <A>(decode: () => A): A | undefined => {
  try {
    return decode()
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

export const decodeIndex = (archive: ArchiveName.ArchiveName, bytes: Uint8Array): ChunkIndex =>
  archive.kind === "fixed" ? FixedIndex.decode(bytes) : DynamicIndex.decode(bytes)

/** The snapshot that the server builds on, if its manifest can be trusted as far as the backup has to. */
export const find = (
  calls: BackupCalls,
  { group, key }: Pick<SessionOptions, "group" | "key">
): Effect.Effect<PreviousSnapshot | undefined, RemoteError> =>
  Effect.gen(function* () {
    const time = yield* calls.previousTime
    if (time === undefined) return undefined
    const bytes = yield* unlessBroken(calls.previous(manifestName))
    const manifest = bytes && decodedOrUndefined(() => Manifest.decode(bytes))
    if (manifest === undefined) return undefined
    const snapshot = Snapshot.make(group, time)
    if (Snapshot.order(manifest.snapshot, snapshot) !== 0) return undefined
    const isOurs = yield* PreviousArchive.isOfKey(manifest, key).pipe(Effect.orElseSucceed(() => false))
    return isOurs ? { snapshot, manifest } : undefined
  })

/** Other fibers have their turn in between. */
const registeredTogether = 65_536

const registerArchive = (calls: BackupCalls, file: Manifest.ManifestFile, known: KnownChunks) =>
  Effect.gen(function* () {
    const archive = ArchiveName.fromFile(file.filename)
    if (archive.kind === "blob") return
    const bytes = yield* unlessBroken(calls.previous(archive))
    const index = bytes && decodedOrUndefined(() => decodeIndex(archive, bytes))
    if (index === undefined || index.computeChecksum() !== file.csum) return
    for (let chunk = 0; chunk < index.count; chunk++) {
      known.register(index.entries, index.digestOffset(chunk))
      if (chunk % registeredTogether === registeredTogether - 1) yield* Effect.yieldNow
    }
  })

const indexesAtOnce = 4

/** Has the server register what the previous snapshot names, and notes it. */
export const register = (
  calls: BackupCalls,
  { manifest }: PreviousSnapshot,
  known: KnownChunks
): Effect.Effect<void, RemoteError> =>
  Effect.forEach(manifest.files, (file) => registerArchive(calls, file, known), {
    concurrency: indexesAtOnce,
    discard: true
  })

/** How the content is read, for as long as the scope lives. */
export const content = (
  remote: Remote,
  { namespace }: SessionOptions,
  previous: PreviousSnapshot | undefined
): Effect.Effect<PreviousContent, never, ChunkCodec | Scope.Scope> =>
  Effect.gen(function* () {
    const codec = yield* ChunkCodec
    const scope = yield* Effect.scope
    const reader = yield* Effect.cached(
      Effect.suspend(() =>
        previous === undefined
          ? Effect.fail(storeError("NoSuchSnapshot", remote.server, "there is no previous snapshot"))
          : remote
              .begin("reader", {
                ...snapshotParameters({ namespace, snapshot: previous.snapshot }),
                debug: false
              })
              .pipe(Scope.provide(scope), Effect.mapError(asStoreError))
      )
    )
    const read = (path: string, parameters: Readonly<Record<string, string>>, maxBytes: number) =>
      Effect.flatMap(reader, (session) =>
        Effect.mapError(session.bytes(path, parameters, maxBytes), asStoreError)
      )
    return {
      index: (archive) =>
        Effect.flatMap(read("/download", { "file-name": archive.file }, indexMaxBytes), (bytes) =>
          decodeOrDamaged(archive.client, () => decodeIndex(archive, bytes))
        ),
      chunk: ({ crypt, digest, sizeBytes }) =>
        Effect.flatMap(read("/chunk", { digest }, encodedSizeMax(sizeBytes ?? 16 * 1024 * 1024)), (blob) =>
          codec.decode(blob, { digest, sizeBytes, crypt, consumes: true })
        ),
      // What is corrupt on the server is found and replaced there.
      condemn: () => Effect.void,
      // The server has said that the chunks of its indexes may be named.
      findAbsent: () => Effect.succeed([])
    }
  })
