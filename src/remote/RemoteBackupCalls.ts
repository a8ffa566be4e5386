/**
 * RemoteBackupCalls: the requests of a backup session, `proxmox-backup-protocol-v1`, one function each, with the
 * parameters in the order and the form in which Proxmox Backup Server's own client sends them.
 *
 * Invariant: what an answer says is looked at before anybody relies on it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { encodedSizeMax } from "../format/DataBlob.ts"
import type { ArchiveName } from "../model/ArchiveName.ts"
import * as ArchiveNames from "../model/ArchiveName.ts"
import type { Digest } from "../model/Digest.ts"
import type { Namespace } from "../model/Namespace.ts"
import type { Snapshot } from "../model/Snapshot.ts"
import { snapshotParameters } from "./places.ts"
import type { Remote } from "./Remote.ts"
import { RemoteError } from "./RemoteError.ts"

/** What an index is written as. */
export type IndexKind = "dynamic" | "fixed"

export interface NewChunk {
  readonly digest: Digest
  /** Decoded. */
  readonly sizeBytes: number
  readonly blob: Uint8Array
}

export interface Closing {
  readonly count: number
  readonly sizeBytes: number
  readonly checksum: Digest
}

export interface BackupCalls {
  /** Host and port. */
  readonly server: string
  /** The time of the snapshot that the server builds on; undefined for none. */
  readonly previousTime: Effect.Effect<number | undefined, RemoteError>
  /** A file of that snapshot. The chunks of an index may be named from then on. */
  readonly previous: (archive: ArchiveName) => Effect.Effect<Uint8Array, RemoteError>
  /** Begins an index; answers its number in this session. */
  readonly createIndex: (
    archive: ArchiveName,
    sizeBytes: number | undefined
  ) => Effect.Effect<number, RemoteError>
  readonly uploadChunk: (kind: IndexKind, wid: number, chunk: NewChunk) => Effect.Effect<void, RemoteError>
  readonly append: (
    kind: IndexKind,
    wid: number,
    digests: ReadonlyArray<string>,
    offsets: ReadonlyArray<number>
  ) => Effect.Effect<void, RemoteError>
  readonly closeIndex: (kind: IndexKind, wid: number, closing: Closing) => Effect.Effect<void, RemoteError>
  readonly uploadBlob: (name: string, blob: Uint8Array) => Effect.Effect<void, RemoteError>
  readonly finish: Effect.Effect<void, RemoteError>
}

/** The size of what PBS's protocol takes as one chunk or blob, encoded. */
export const encodedMaxBytes = encodedSizeMax(16 * 1024 * 1024)

/** Of 26 million chunks. */
export const indexMaxBytes = 1024 * 1024 * 1024

/** The kind in which an archive of chunks is written. */
export const kindOf = (archive: ArchiveName): IndexKind => (archive.kind === "fixed" ? "fixed" : "dynamic")

const unexpected = (server: string, what: string): RemoteError =>
  new RemoteError({ reason: "BadAnswer", server, detail: `its answer to ${what} makes no sense` })

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value)

/** Opens a session; when the scope closes before `finish`, the server undoes it. */
export const open = (
  remote: Remote,
  namespace: Namespace,
  snapshot: Snapshot
): Effect.Effect<BackupCalls, RemoteError, Scope.Scope> =>
  Effect.gen(function* () {
    const { server } = remote
    const session = yield* remote.begin("backup", {
      ...snapshotParameters({ namespace, snapshot }),
      benchmark: false,
      debug: false
    })
    const { bytes, call } = session
    return {
      server,
      previousTime: Effect.flatMap(call("GET", "/previous_backup_time", {}), (time) => {
        if (time === null) return Effect.succeed(undefined)
        return isWhole(time) ? Effect.succeed(time) : Effect.fail(unexpected(server, "previous_backup_time"))
      }),
      previous: ({ file, kind }) =>
        bytes("/previous", { "archive-name": file }, kind === "blob" ? encodedMaxBytes : indexMaxBytes),
      createIndex: (archive, sizeBytes) => {
        const size = archive.kind === "fixed" ? { size: sizeBytes } : {}
        const created = call("POST", `/${kindOf(archive)}_index`, { "archive-name": archive.file, ...size })
        return Effect.flatMap(created, (wid) =>
          isWhole(wid) ? Effect.succeed(wid) : Effect.fail(unexpected(server, `${archive.kind}_index`))
        )
      },
      uploadChunk: (kind, wid, { blob, digest, sizeBytes }) =>
        Effect.asVoid(
          call(
            "POST",
            `/${kind}_chunk`,
            { digest, "encoded-size": blob.length, size: sizeBytes, wid },
            { bytes: blob }
          )
        ),
      append: (kind, wid, digests, offsets) =>
        Effect.asVoid(
          call("PUT", `/${kind}_index`, {}, { json: { "digest-list": digests, "offset-list": offsets, wid } })
        ),
      closeIndex: (kind, wid, { checksum, count, sizeBytes }) =>
        Effect.asVoid(
          call("POST", `/${kind}_close`, { "chunk-count": count, csum: checksum, size: sizeBytes, wid })
        ),
      uploadBlob: (name, blob) =>
        Effect.asVoid(
          call("POST", "/blob", { "encoded-size": blob.length, "file-name": name }, { bytes: blob })
        ),
      finish: Effect.asVoid(call("POST", "/finish", {}))
    }
  })

export const manifestName = ArchiveNames.fromFile(ArchiveNames.manifestFile)
