/**
 * RemoteBackup: one snapshot in the making on a server: the port `backup/Session` over the backup protocol of Proxmox
 * Backup Server.
 *
 * Chunks are encoded by the worker threads as for a local store, then lie in a room of fixed size until the server has
 * them: a slow line slows reading down, and memory stays the same. The slot that a chunk came from is free as soon as
 * its encoded form waits for its turn.
 *
 * Invariants: the manifest goes out after everything it names was answered with success, and `finish` after that; when
 * the scope closes before, the connection ends and the server undoes the session. A chunk is named only after it was
 * uploaded in this session, or when the server has given out an index of the previous snapshot that names it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { chooseTime } from "../backup/BackupSession.ts"
import { KnownChunks } from "../backup/KnownChunks.ts"
import type { ArchiveUpload, Session, SessionFailure, SessionOptions } from "../backup/Session.ts"
import * as SessionFiles from "../backup/SessionFiles.ts"
import { emptyStatistics } from "../backup/SessionStatistics.ts"
import { encodedSizeMax } from "../format/DataBlob.ts"
import * as Manifest from "../format/Manifest.ts"
import type { ArchiveName } from "../model/ArchiveName.ts"
import * as ArchiveNames from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { ChunkCodec } from "../platform/ChunkCodec.ts"
import { Entropy } from "../platform/Entropy.ts"
import * as UploadRoom from "../store/bucket/UploadRoom.ts"
import type { NewChunk } from "../store/ChunkStore.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { Remote } from "./Remote.ts"
import * as Calls from "./RemoteBackupCalls.ts"
import * as RemoteBackupIndex from "./RemoteBackupIndex.ts"
import * as Previous from "./RemoteBackupPrevious.ts"
import { RemoteError } from "./RemoteError.ts"
import { asStoreError } from "./toldFailures.ts"
import * as RemoteInventory from "./RemoteInventory.ts"

/** Encoded chunks on their way. */
const uploadBytes = 64 * 1024 * 1024
/** Small ones have memory of their own. */
const uploadsAtOnce = 32

const told = <A, R>(effect: Effect.Effect<A, RemoteError, R>): Effect.Effect<A, StoreError, R> =>
  Effect.mapError(effect, asStoreError)

/** What sends the chunks of all archives of a session. */
interface Sending {
  readonly calls: Calls.BackupCalls
  readonly codec: ChunkCodec["Service"]
  readonly room: UploadRoom.UploadRoom
  readonly inTurn: Semaphore.Semaphore
  readonly landings: RemoteBackupIndex.Landings
}

/** Encodes a chunk and uploads it. */
const send = (
  { codec, inTurn, landings, room }: Sending,
  index: RemoteBackupIndex.RemoteIndex,
  { compress, crypt, data, digest, letGo = Effect.void }: NewChunk
) =>
  room
    .lend(encodedSizeMax(data.length), ({ memory, shrink }) =>
      Effect.gen(function* () {
        const request = { data, compress, crypt, ...(memory === undefined ? {} : { room: memory }) }
        const { blob } = yield* codec.encode(request)
        yield* shrink(blob.length)
        const sizeBytes = data.length
        yield* inTurn.withPermit(Effect.andThen(letGo, index.upload({ digest, sizeBytes, blob })))
        return { duplicate: false, encodedSizeBytes: blob.length }
      })
    )
    .pipe(Effect.onExit((exit) => Effect.sync(() => landings.settle(digest, exit))))

const openArchive = (
  sending: Sending,
  archive: ArchiveName,
  sizeBytes: number | undefined
): Effect.Effect<ArchiveUpload, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const index = yield* RemoteBackupIndex.open(sending.calls, sending.landings, archive, sizeBytes)
    return {
      append: (digest: Uint8Array, chunkBytes: number, isNew: boolean) => {
        if (isNew) sending.landings.expect(Digest.fromBytes(digest))
        index.append(digest, chunkBytes)
      },
      store: (chunk: NewChunk) => told(send(sending, index, chunk)),
      close: (encoded: Calls.Closing) => told(index.close(encoded))
    }
  }).pipe(told)

const makeSending = (calls: Calls.BackupCalls): Effect.Effect<Sending, never, ChunkCodec> =>
  Effect.gen(function* () {
    return {
      calls,
      codec: yield* ChunkCodec,
      room: yield* UploadRoom.make(uploadBytes),
      inTurn: yield* Semaphore.make(uploadsAtOnce),
      landings: new RemoteBackupIndex.Landings()
    }
  })

/** Small files come whole. */
const uploadBlob =
  (calls: Calls.BackupCalls) =>
  (archive: ArchiveName, blob: Uint8Array): Effect.Effect<void, StoreError> => {
    if (blob.length <= Calls.encodedMaxBytes) return told(calls.uploadBlob(archive.file, blob))
    const detail = `a server takes blobs of at most 16 MiB; this has ${blob.length} bytes`
    return Effect.fail(storeError("Refused", archive.client, detail))
  }

const lookWhether = "look with granary snapshots whether the snapshot is complete all the same"

/** From the answer on the snapshot exists; without one nobody here can tell. */
const publish = (calls: Calls.BackupCalls, manifest: Manifest.Manifest) =>
  Effect.gen(function* () {
    yield* told(calls.uploadBlob(ArchiveNames.manifestFile, Manifest.encode(manifest)))
    yield* Effect.mapError(calls.finish, (error) =>
      error.reason === "Disconnected"
        ? asStoreError(new RemoteError({ ...error, advice: lookWhether }))
        : asStoreError(error)
    )
    return manifest
  })

/** The snapshots of the group, as far as the server tells; the group may be new, or not ours to look at. */
const listGroup = (remote: Remote, { group, namespace }: SessionOptions) =>
  RemoteInventory.snapshots(remote, namespace, group).pipe(
    Effect.catchIf(
      ({ reason }) => reason === "Missing" || reason === "Refused",
      () => Effect.succeed([])
    ),
    told
  )

/** Opens a session on the server; closing the scope before `finish` undoes it. */
export const open = (
  remote: Remote,
  options: SessionOptions
): Effect.Effect<Session, SessionFailure, ChunkCodec | Scope.Scope> =>
  Effect.gen(function* () {
    const { group, key, namespace, reusePrevious = true } = options
    const listed = yield* listGroup(remote, options)
    const newest = listed.findLast(({ finished }) => finished)
    const snapshot = Snapshot.make(group, yield* chooseTime(options, newest?.snapshot))
    const calls = yield* told(Calls.open(remote, namespace, snapshot))
    const entropy = yield* Entropy
    const known = new KnownChunks(Buffer.from(entropy(4)).readUInt32LE())
    const previous = reusePrevious ? yield* told(Previous.find(calls, options)) : undefined
    if (previous !== undefined) yield* told(Previous.register(calls, previous, known))
    const sending = yield* makeSending(calls)
    const crypto = SessionFiles.cryptoOf(options)
    const files = SessionFiles.make(crypto, uploadBlob(calls))
    const finish = Effect.gen(function* () {
      yield* SessionFiles.requireFiles(files, Snapshot.format(snapshot))
      return yield* publish(calls, SessionFiles.manifestOf(files, snapshot, key))
    })
    return {
      namespace,
      snapshot,
      previous,
      previousContent: yield* Previous.content(remote, options, previous),
      leftovers: listed.filter(({ finished }) => !finished).map((entry) => entry.snapshot),
      known,
      // The server proves what it gives out as known.
      knownChunks: "register",
      ...crypto,
      statistics: emptyStatistics(),
      digest: (data) => sending.codec.digest(data, crypto.crypt),
      openArchive: (archive, sizeBytes) => openArchive(sending, archive, sizeBytes),
      addFile: files.addFile,
      uploadBlob: files.uploadBlob,
      uploadEncodedBlob: files.uploadEncodedBlob,
      finish
    }
  })
