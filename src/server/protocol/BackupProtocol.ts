/**
 * BackupProtocol: what a client can ask for in a backup session, `proxmox-backup-protocol-v1`.
 *
 * Behind it is the same session as behind a local backup (`BackupSession`): a writer's lease, the group and the new
 * snapshot held alone, the snapshot it builds on shared, its chunks proven to be there before the client may rely on
 * them and all chunks of the new snapshot before its manifest is written. When the scope closes before `finish` was
 * answered with success, nothing of the snapshot is left.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as BackupSession from "../../backup/BackupSession.ts"
import { Datastore } from "../../datastore/Datastore.ts"
import type { AuthId } from "../../model/AuthId.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import type { Namespace } from "../../model/Namespace.ts"
import type { ChunkCodec } from "../../platform/ChunkCodec.ts"
import type { Files } from "../../platform/Files.ts"
import * as Answer from "../Answer.ts"
import { type ApiError, badRequest, notFound } from "../ApiError.ts"
import { rawRoute, route, type Route, type RouteTable, subdirectories } from "../Call.ts"
import * as Parameters from "../Parameters.ts"
import * as blobUploads from "./blobUploads.ts"
import * as bodies from "./bodies.ts"
import * as chunkUploads from "./chunkUploads.ts"
import * as finishing from "./finishing.ts"
import * as indexUploads from "./indexUploads.ts"
import * as rawFiles from "./rawFiles.ts"
import * as Upload from "./Upload.ts"

export interface OpenOptions {
  readonly datastore: Datastore["Service"]
  readonly namespace: Namespace
  readonly group: BackupGroup.BackupGroup
  readonly time: number
  readonly owner: AuthId
}

type Needs = ChunkCodec | Files

const previousBackupTime = ({ session }: Upload.Upload): Route =>
  route({}, () => Effect.sync(() => Answer.data(session.previous?.snapshot.time ?? null)))

/** Hands out a file of the previous snapshot; the chunks of an index count as known to the client from then on. */
const previous = (upload: Upload.Upload): Route<Files> =>
  rawRoute({ "archive-name": Parameters.fileName }, (values) =>
    Effect.gen(function* () {
      yield* Upload.requireActive(upload)
      const { datastore, namespace, previous: base } = upload.session
      if (base === undefined) return yield* badRequest("no valid previous backup")
      const place = { datastore, namespace, snapshot: base.snapshot }
      const archive = yield* rawFiles.archiveNamed(values["archive-name"])
      const answer = yield* rawFiles.answer(place, archive)
      if (archive.kind === "blob") return answer
      const index = yield* rawFiles.index(place, archive)
      // The session has proven the chunks of indexes that are the ones their manifest names, and of no others.
      const named = base.manifest.files.find(({ filename }) => filename === archive.file)
      if (named?.csum === index.computeChecksum()) {
        yield* rawFiles.eachPart(index, (first, end) => upload.known.addFrom(index, first, end))
      }
      return answer
    })
  )

const speedtest: Route = rawRoute({}, (_, call) => Effect.as(bodies.drop(call.body), Answer.nothing))

const routesOf = (upload: Upload.Upload): RouteTable<Needs> => {
  const table: ReadonlyArray<readonly [string, Route<Needs>]> = [
    ["GET /previous_backup_time", previousBackupTime(upload)],
    ["GET /previous", previous(upload)],
    ["POST /blob", blobUploads.routeFor(upload)],
    ["POST /dynamic_index", indexUploads.createDynamic(upload)],
    ["PUT /dynamic_index", indexUploads.append(upload, "dynamic")],
    ["POST /dynamic_chunk", chunkUploads.routeFor(upload, "dynamic")],
    ["POST /dynamic_close", indexUploads.close(upload, "dynamic")],
    ["POST /fixed_index", indexUploads.createFixed(upload)],
    ["PUT /fixed_index", indexUploads.append(upload, "fixed")],
    ["POST /fixed_chunk", chunkUploads.routeFor(upload, "fixed")],
    ["POST /fixed_close", indexUploads.close(upload, "fixed")],
    ["POST /finish", finishing.routeFor(upload)],
    ["POST /speedtest", speedtest]
  ]
  const list = Answer.data(subdirectories(table.map(([key]) => key)))
  return new Map(table).set(
    "GET /",
    route({}, () => Effect.succeed(list))
  )
}

/** Failures of opening a session, in the words that clients know. */
const explain = (
  error: Effect.Error<ReturnType<typeof BackupSession.open>>,
  options: OpenOptions
): ApiError => {
  if (error._tag !== "StoreError") return badRequest(error.message)
  switch (error.reason) {
    case "NoSuchNamespace":
      return notFound("namespace not found")
    case "SnapshotExists":
      return badRequest("backup timestamp is older than last backup.")
    case "NotOwner":
      return badRequest(`backup owner check failed (${error.detail})`)
    case "Busy": {
      const name = BackupGroup.format(options.group)
      return badRequest(`unable to acquire backup group lock "${name}" - ${error.message}`)
    }
    default:
      return badRequest(error.message)
  }
}

/** An attempt that fails holds nothing any more. */
const attempt = (options: OpenOptions) =>
  Effect.gen(function* () {
    const { datastore, ...session } = options
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* BackupSession.open(session).pipe(
      Effect.provideService(Datastore, datastore),
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
  })

/** Opens a session; closing the scope before it was finished undoes it. */
export const open = (options: OpenOptions): Effect.Effect<RouteTable<Needs>, ApiError, Scope.Scope> =>
  Effect.gen(function* () {
    const opened = yield* attempt(options).pipe(
      // The previous snapshot lacks chunks and is marked as failed now: without it everything is stored anew.
      Effect.retry({ times: 1, while: (error) => error._tag === "KnownChunkMissing" && error.isMarked }),
      Effect.mapError((error) => explain(error, options))
    )
    return routesOf(yield* Upload.make(opened))
  })
