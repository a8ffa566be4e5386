/**
 * RemoteTargetSnapshot: a snapshot in the making on a server, as a sync makes it: a session of the backup protocol that
 * takes encoded chunks and finished indexes.
 *
 * A server takes an index only when it knows that this session has its chunks: those of the snapshot that it builds on,
 * and those uploaded in the session. So the intake is the snapshot's own, and what another snapshot of the same sync
 * has uploaded is uploaded again, as Proxmox Backup Server's push does.
 *
 * Invariants: what is uploaded was proven. The manifest goes out last. A connection that breaks ends the snapshot, and
 * the server leaves nothing of it.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { KnownChunks } from "../backup/KnownChunks.ts"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import { Entropy } from "../platform/Entropy.ts"
import { proofWith } from "../sync/ChunkIntake.ts"
import { decodeOrCorrupt } from "../sync/decodeManifest.ts"
import { SyncError, syncError } from "../sync/SyncError.ts"
import type { ChunkIntake, TargetSnapshot, WantedChunk, WantingArchive } from "../sync/SyncTarget.ts"
import type { SnapshotPlace } from "./places.ts"
import type { Remote } from "./Remote.ts"
import * as Calls from "./RemoteBackupCalls.ts"
import * as RemoteBackupIndex from "./RemoteBackupIndex.ts"
import * as Previous from "./RemoteBackupPrevious.ts"
import type { RemoteError } from "./RemoteError.ts"
import { asSyncError } from "./toldFailures.ts"

/** The session of the snapshot before may still be ending. */
const briefly = Schedule.max([Schedule.spaced("200 millis"), Schedule.recurs(25)])

const againHint = "check the connection to the server, and run the sync again: it goes on with this snapshot"

/** A session that is gone does not come back: trying the same again is of no use. */
const asSessionError = (error: RemoteError): SyncError => {
  const told = asSyncError(error)
  if (told.reason === "Unavailable") return new SyncError({ ...told, reason: "Failed", advice: againHint })
  if (told.reason !== "Conflict") return told
  const advice = "the server has a newer snapshot, or an unfinished one of this time: see granary snapshots"
  return new SyncError({ ...told, advice })
}

const told = <A, R>(effect: Effect.Effect<A, RemoteError, R>): Effect.Effect<A, SyncError, R> =>
  Effect.mapError(effect, asSessionError)

/** The indexes of a session, each begun when it is first needed. */
const makeIndexes = (calls: Calls.BackupCalls, landings: RemoteBackupIndex.Landings) =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const turns = yield* Semaphore.make(1)
    const open = new Map<string, RemoteBackupIndex.RemoteIndex>()
    return ({ name, sizeBytes }: WantingArchive) =>
      turns.withPermit(
        Effect.gen(function* () {
          const known = open.get(name.file)
          if (known !== undefined) return known
          const made = yield* RemoteBackupIndex.open(calls, landings, name, sizeBytes).pipe(
            Scope.provide(scope)
          )
          open.set(name.file, made)
          return made
        })
      )
  })

const numbersOf = (digests: Uint8Array, isWanted: (offset: number) => boolean): ReadonlyArray<number> => {
  const numbers: Array<number> = []
  for (let offset = 0; offset < digests.length; offset += Digest.lengthBytes) {
    if (isWanted(offset)) numbers.push(offset / Digest.lengthBytes)
  }
  return numbers
}

type IndexFor = Effect.Success<ReturnType<typeof makeIndexes>>

const makeIntake = (codec: ChunkCodec["Service"], known: KnownChunks, indexFor: IndexFor): ChunkIntake => {
  const prove = proofWith(codec)
  const absent = (digests: Uint8Array) =>
    Effect.sync(() => numbersOf(digests, (offset) => !known.has(digests, offset)))
  const store = (chunk: WantedChunk) =>
    Effect.gen(function* () {
      const { digest, sizeBytes } = chunk
      const blob = yield* chunk.fetch
      yield* prove(chunk, blob)
      const index = yield* told(indexFor(chunk.archive))
      yield* told(index.upload({ digest, sizeBytes, blob }))
      known.add(Digest.toBytes(digest))
      return { outcome: "stored", encodedBytes: blob.length } as const
    })
  return { claim: absent, findAbsent: absent, store }
}

const decodeIndex = (archive: ArchiveName.ArchiveName, bytes: Uint8Array) =>
  decodeOrCorrupt("source", archive.file, (): ChunkIndex => Previous.decodeIndex(archive, bytes))

const putIndex = (indexFor: IndexFor, archive: ArchiveName.ArchiveName, bytes: Uint8Array) =>
  Effect.gen(function* () {
    const index = yield* decodeIndex(archive, bytes)
    const { checksum, count, sizeBytes } = index
    const written = yield* told(indexFor({ name: archive, sizeBytes }))
    for (let chunk = 0; chunk < count; chunk++) {
      written.append(index.digestBytes(chunk), index.end(chunk) - index.start(chunk))
    }
    yield* told(written.close({ checksum, count, sizeBytes }))
  })

const putBlob = (calls: Calls.BackupCalls, archive: ArchiveName.ArchiveName, bytes: Uint8Array) =>
  bytes.length > Calls.encodedMaxBytes
    ? Effect.fail(
        syncError("Refused", `a server takes files of at most 16 MiB; this has ${bytes.length} bytes`)
      )
    : told(calls.uploadBlob(archive.file, bytes))

/** Begins the snapshot; closing the scope before it was finished undoes it. */
export const open = (
  remote: Remote,
  codec: ChunkCodec["Service"],
  { namespace, snapshot }: SnapshotPlace
): Effect.Effect<TargetSnapshot, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const calls = yield* Effect.retry(Calls.open(remote, namespace, snapshot), {
      schedule: briefly,
      while: ({ isTransient }) => isTransient
    })
    const entropy = yield* Entropy
    const known = new KnownChunks(Buffer.from(entropy(4)).readUInt32LE())
    const previous = yield* Previous.find(calls, { group: snapshot.group })
    if (previous !== undefined) yield* Previous.register(calls, previous, known)
    const indexFor = yield* makeIndexes(calls, new RemoteBackupIndex.Landings())
    return {
      intake: makeIntake(codec, known, indexFor),
      manifest: undefined,
      fileNames: new Set<string>(),
      file: () => Effect.succeed(undefined),
      putFile: (archive: ArchiveName.ArchiveName, bytes: Uint8Array) =>
        archive.kind === "blob" ? putBlob(calls, archive, bytes) : putIndex(indexFor, archive, bytes),
      removeFile: () => Effect.void,
      finish: (manifest: Uint8Array) =>
        told(Effect.andThen(calls.uploadBlob(ArchiveName.manifestFile, manifest), calls.finish))
    }
  }).pipe(told)
